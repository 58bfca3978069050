/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl export: writes exchanges and ratings to stdout, or to a new file that
 * only its owner can read, with a manifest.
 */
#include "chatctl.h"

#include <string.h>

/* chatctl export */
int
cmd_export(struct ctl *ctl, int argc, char **argv)
{
	const char	*path = ctl->opt.output;
	size_t		 bytes = 0;
	json_t		*end;
	int		 status;

	(void)argc;
	(void)argv;
	if (path != NULL && strcmp(path, "-") == 0)
		path = NULL;
	status = exporting_run(ctl, ctl->opt.format, path, &bytes, &end);
	if (status == CTL_OK && bytes == 0)
		term_note("[nothing to export%s]", ctl->opt.all ? "" :
		    " among your own texts; operators get those of all users "
		    "with --all");
	json_decref(end);
	return (status);
}
