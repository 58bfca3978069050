/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl reload and rollback.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"

/* Show how much of the new model is loaded. */
static void
reload_event(void *arg, const json_t *m)
{
	const char	*event = msg_string(m, "event");

	if (event != NULL && strcmp(event, "progress") == 0)
		link_progress(arg, m);
}

/* Print one model: what it is for, its path and its digest. */
static void
reload_model(const char *what, const json_t *model)
{
	const char	*digest = msg_string(model, "digest");
	char		*path, *safe;

	path = render_line(msg_string(model, "path") != NULL ?
	    msg_string(model, "path") : "?");
	safe = render_line(digest != NULL ? digest : "it was not loaded");
	printf("%-7s  %s (%s)\n", what, path, safe);
	free(path);
	free(safe);
}

/* Send a request that may load a model, and print the result. note is for a
 * reload that has loaded none. */
static int
reload_run(struct ctl *ctl, json_t *m, const char *note)
{
	const json_t	*before;
	json_t		*end;
	int		 status;

	if ((status = link_open(ctl)) != CTL_OK) {
		json_decref(m);
		return (status);
	}
	status = link_call(ctl, m, reload_event, ctl, &end);
	link_progress_end(ctl);
	before = json_object_get(end, "before");
	if (status == CTL_OK && ctl->opt.json)
		term_json(end);
	else if (status == CTL_OK && before != NULL && !ctl->opt.quiet) {
		reload_model("model", json_object_get(end, "model"));
		reload_model("before", before);
		printf("%-7s  %.1f s\n", "time",
		    (double)msg_int(end, "ms", 0) / 1000);
	} else if (status == CTL_OK && term_is(1) && note != NULL)
		term_note("%s", note);
	json_decref(end);
	return (status);
}

/* chatctl reload */
int
cmd_reload(struct ctl *ctl, int argc, char **argv)
{
	json_t	*m = msg_op("reload", -1);

	(void)argc;
	(void)argv;
	msg_set_string(m, "model", ctl->opt.model);
	return (reload_run(ctl, m, "[configuration read again]"));
}

/* chatctl rollback */
int
cmd_rollback(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return (reload_run(ctl, msg_op("rollback", -1), NULL));
}
