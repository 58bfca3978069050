/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl filters: the plugins that judge texts, and what they have done.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

/* Print a string of an object after a word, on its own line, if it is there. */
static void
filters_more(const json_t *o, const char *word, const char *key)
{
	char	*safe;

	if (msg_string(o, key) == NULL)
		return;
	safe = render_line(msg_string(o, key));
	printf("           %s%s\n", word, safe);
	free(safe);
}

/* Print what a plugin has done, which chatd reports to operators only. */
static void
filters_counts(const json_t *o)
{
	int64_t	 restarts = msg_int(o, "restarts", 0);
	char	*safe;

	if (json_object_get(o, "texts") == NULL)
		return;
	printf("           %lld texts, %lld findings, %lld errors; "
	    "%.1f us a text, at most %.1f us\n",
	    (long long)msg_int(o, "texts", 0),
	    (long long)msg_int(o, "findings", 0),
	    (long long)msg_int(o, "errors", 0), msg_real(o, "us_mean", 0),
	    msg_real(o, "us_max", 0));
	safe = render_line(msg_string(o, "process"));
	printf("           in %s", safe);
	free(safe);
	if (msg_int(o, "pid", 0) > 0)
		printf(", process %lld", (long long)msg_int(o, "pid", 0));
	if (restarts > 0)
		printf(", restarted %lld time%s", (long long)restarts,
		    restarts == 1 ? "" : "s");
	putchar('\n');
}

/* Print the models and rule packs that a plugin has read. */
static void
filters_reads(const json_t *list)
{
	json_t	*o;
	size_t	 i;
	char	*path, *digest;

	json_array_foreach(list, i, o) {
		path = render_line(msg_string(o, "path"));
		digest = render_line(msg_string(o, "digest"));
		printf("           reads %s\n", path);
		if (digest[0] != '\0')
			printf("           sha256 %s\n", digest);
		free(path);
		free(digest);
	}
}

/* Print one plugin. */
static void
filters_print(const json_t *o)
{
	const char	*state = msg_string(o, "state");
	char		*name, *version, *abi, *safe;

	if (state == NULL)
		state = "unknown";
	name = render_line(msg_string(o, "name"));
	version = render_line(msg_string(o, "version"));
	abi = render_line(msg_string(o, "abi"));
	safe = render_line(state);
	printf("%-10s ", name);
	if (version[0] != '\0')
		printf("%s, interface %s", version, abi);
	if (msg_int(o, "rules", 0) > 0)
		printf(", %lld rules or features",
		    (long long)msg_int(o, "rules", 0));
	if (version[0] != '\0')
		printf(": ");
	printf("%s%s%s\n", term_on(1, strcmp(state, "ready") == 0 ?
	    ROLE_GOOD : ROLE_BAD), safe, term_off(1));
	free(name);
	free(version);
	free(abi);
	free(safe);
	filters_counts(o);
	filters_more(o, "", "path");
	filters_more(o, "sha256 ", "digest");
	filters_reads(json_object_get(o, "reads"));
	if (strcmp(state, "ready") != 0)
		filters_more(o, "", "why");
}

/* Print what the judge has done, if there is one. */
static void
filters_judge(const json_t *o)
{
	const char	*state = msg_string(o, "state");
	char		*model, *safe;

	if (o == NULL || state == NULL)
		return;
	model = render_line(msg_string(o, "model"));
	safe = render_line(state);
	printf("%-10s %s: %s%s%s\n", "judge", model, term_on(1,
	    strcmp(state, "ready") == 0 ? ROLE_GOOD : ROLE_BAD), safe,
	    term_off(1));
	free(model);
	free(safe);
	printf("           %lld texts, %lld findings, %lld without a verdict, "
	    "of these %lld late; %.1f ms a text, at most %lld ms\n",
	    (long long)msg_int(o, "texts", 0),
	    (long long)msg_int(o, "findings", 0),
	    (long long)msg_int(o, "failed", 0),
	    (long long)msg_int(o, "late", 0), msg_real(o, "ms_mean", 0),
	    (long long)msg_int(o, "ms_max", 0));
	if (strcmp(state, "ready") != 0)
		filters_more(o, "", "why");
}

/* chatctl filters */
int
cmd_filters(struct ctl *ctl, int argc, char **argv)
{
	json_t	*end, *list, *o;
	char	 when[STAMP_TEXT];
	size_t	 i;
	int	 status;

	(void)argc;
	(void)argv;
	if ((status = link_open(ctl)) != CTL_OK ||
	    (status = link_call(ctl, msg_op("filters", -1), NULL, NULL,
	    &end)) != CTL_OK)
		return (status);
	list = json_object_get(end, "filters");
	if (ctl->opt.json) {
		json_object_del(end, "event");
		json_object_del(end, "id");
		term_json(end);
	} else {
		json_array_foreach(list, i, o)
			filters_print(o);
		filters_judge(json_object_get(end, "judge"));
		if (json_array_size(list) == 0)
			puts("no filters: every text passes");
		else if (msg_int(end, "since", 0) > 0)
			printf("since      %s\n", stamp_text(msg_int(end,
			    "since", 0), STAMP_SECONDS, when));
	}
	json_decref(end);
	term_flush();
	return (CTL_OK);
}
