/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl health: one line and an exit status, for people and for programs
 * that monitor services.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "json.h"
#include "xmalloc.h"

/* The states of health that chatd reports. */
static const struct {
	const char	*word;
	int		 status;
	enum role	 role;
} health_words[] = {
	{ "ok", CTL_OK, ROLE_GOOD },
	{ "degraded", CTL_REFUSED, ROLE_BAD },
	{ "starting", CTL_UNREACHABLE, ROLE_BAD },
	{ "down", CTL_UNREACHABLE, ROLE_BAD },
};

/* Print the line. */
static void
health_print(const json_t *m, const char *word, enum role role)
{
	const json_t	*x, *v;
	char		*safe, bytes[BYTES_TEXT], when[STAMP_TEXT];
	size_t		 i;

	safe = render_line(word);
	printf("%s%s%s", term_on(1, role), safe, term_off(1));
	free(safe);
	json_array_foreach(json_object_get(m, "why"), i, v) {
		safe = render_line(json_string_value(v));
		printf("%s%s", i == 0 ? ": " : "; ", safe);
		free(safe);
	}
	x = json_object_get(m, "exchanges");
	printf("; %lld running, %lld waiting",
	    (long long)msg_int(x, "running", 0),
	    (long long)msg_int(x, "waiting", 0));
	x = json_object_get(m, "swap");
	if (msg_string(x, "state") != NULL) {
		safe = render_line(msg_string(x, "state"));
		printf("; %s a %s model", safe, strcmp(safe, "loading") == 0 ?
		    "new" : "former");
		free(safe);
	}
	x = json_object_get(m, "disk");
	if (msg_int(x, "free", -1) >= 0)
		printf("; %s free", bytes_text(msg_int(x, "free", 0), bytes));
	if (msg_int(m, "last_commit", 0) > 0)
		printf("; last commit %s", stamp_text(msg_int(m,
		    "last_commit", 0), STAMP_SECONDS, when));
	putchar('\n');
}

/* chatctl health; with --wait, once the model is loaded. */
int
cmd_health(struct ctl *ctl, int argc, char **argv)
{
	json_t		*end;
	const char	*word;
	size_t		 i;
	int		 status;

	(void)argc;
	(void)argv;
	if ((status = link_open(ctl)) != CTL_OK ||
	    (ctl->opt.wait > 0 &&
	    (status = link_wait_model(ctl)) != CTL_OK) ||
	    (status = link_call(ctl, msg_op("health", -1), NULL, NULL,
	    &end)) != CTL_OK)
		return (status);
	word = msg_string(end, "health");
	for (i = 0; word != NULL && i < nitems(health_words) &&
	    strcmp(health_words[i].word, word) != 0; i++)
		;
	if (word == NULL || i == nitems(health_words)) {
		term_error("the answer of chatd has no known state of health");
		json_decref(end);
		return (CTL_PROTOCOL);
	}
	if (ctl->opt.json) {
		json_object_del(end, "event");
		json_object_del(end, "id");
		term_json(end);
	} else
		health_print(end, word, health_words[i].role);
	status = health_words[i].status;
	json_decref(end);
	return (status);
}
