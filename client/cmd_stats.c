/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl stats: how many replies there are, how they were rated, and how far
 * raters agree.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

static void	stats_group(const json_t *, const char *, const char *);
static void	stats_agreement(const json_t *);

/* chatctl stats */
int
cmd_stats(struct ctl *ctl, int argc, char **argv)
{
	json_t	*m, *end;
	int	 status;

	(void)argc;
	(void)argv;
	m = msg_op("stats", -1);
	if ((status = filter_add(ctl, m)) != CTL_OK ||
	    (status = link_open(ctl)) != CTL_OK) {
		json_decref(m);
		return (status);
	}
	if (ctl->opt.all || ctl->opt.user != NULL)
		msg_set_bool(m, "all", 1);
	status = link_call(ctl, m, NULL, NULL, &end);
	if (status == CTL_OK && ctl->opt.json)
		term_json(end);
	else if (status == CTL_OK) {
		stats_group(end, "states", "replies");
		stats_group(end, "models", "models");
		stats_group(end, "ratings", "ratings");
		stats_group(end, "reasons", "reasons");
		stats_group(end, "categories", "findings");
		stats_agreement(end);
	}
	json_decref(end);
	return (status);
}

/* Print the counts of one group, a line each. */
static void
stats_group(const json_t *end, const char *key, const char *title)
{
	json_t		*group = json_object_get(end, key), *count;
	const char	*word;
	char		*safe;
	int		 first = 1;

	json_object_foreach(group, word, count) {
		safe = render_line(word);
		printf("%s%-10s%s %10lld  %s\n", term_on(1, ROLE_BOLD),
		    first ? title : "", term_off(1),
		    (long long)json_integer_value(count), safe);
		free(safe);
		first = 0;
	}
	if (first)
		printf("%s%-10s%s %10d\n", term_on(1, ROLE_BOLD), title,
		    term_off(1), 0);
}

/* The name of a rater: the users, or an operator's number. */
static char *
stats_rater(const char *word, size_t n)
{
	char	*name = xstrndup(word, n), *user;
	int64_t	 uid;

	if (opts_number(name, 0, UINT32_MAX, &uid) == -1)
		return (name);
	user = filter_user(uid);
	free(name);
	return (user);
}

/* Print how far each two raters agree. */
static void
stats_agreement(const json_t *end)
{
	json_t		*pair;
	const char	*raters, *space;
	char		*one, *two, *safe;
	size_t		 i;

	json_array_foreach(json_object_get(end, "agreement"), i, pair) {
		raters = msg_string(pair, "raters");
		if (raters == NULL || (space = strchr(raters, ' ')) == NULL)
			continue;
		one = stats_rater(raters, (size_t)(space - raters));
		two = stats_rater(space + 1, strlen(space + 1));
		safe = render_line(one);
		free(one);
		one = xasprintf("%s and %s", safe, two);
		free(safe);
		safe = render_line(one);
		printf("%s%-10s%s %10lld  of %lld replies rated the same by "
		    "%s; kappa ", term_on(1, ROLE_BOLD), i == 0 ?
		    "agreement" : "", term_off(1),
		    (long long)msg_int(pair, "same", 0),
		    (long long)msg_int(pair, "replies", 0), safe);
		if (json_is_number(json_object_get(pair, "kappa")))
			printf("%.2f\n", msg_real(pair, "kappa", 0));
		else
			printf("not defined\n");
		free(safe);
		free(one);
		free(two);
	}
}
