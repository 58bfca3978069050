/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl backup and restore.
 */
#include "chatctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

static void	backup_text(void *, const json_t *);

/* Print where the backup is; chatd sends that as a line of JSON. */
static void
backup_text(void *arg, const json_t *event)
{
	const struct ctl	*ctl = arg;
	const char		*text = msg_string(event, "text");
	json_t			*made;
	char			*path;

	if (text == NULL || (made = json_loads(text, 0, NULL)) == NULL)
		return;
	if (ctl->opt.json)
		term_json(made);
	else if (msg_string(made, "path") != NULL) {
		path = render_line(msg_string(made, "path"));
		printf("%s (%lld bytes)\n", path,
		    (long long)msg_int(made, "bytes", 0));
		free(path);
	}
	json_decref(made);
}

/* chatctl backup */
int
cmd_backup(struct ctl *ctl, int argc, char **argv)
{
	json_t	*end;
	int	 status;

	(void)argc;
	(void)argv;
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	status = link_call(ctl, msg_op("backup", -1), backup_text, ctl, &end);
	json_decref(end);
	return (status);
}

/* chatctl restore */
int
cmd_restore(struct ctl *ctl, int argc, char **argv)
{
	json_t	*m, *end;
	int	 status;

	(void)argc;
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	m = msg_op("restore", -1);
	msg_set_string(m, "file", argv[0]);
	status = link_call(ctl, m, NULL, NULL, &end);
	json_decref(end);
	return (status);
}
