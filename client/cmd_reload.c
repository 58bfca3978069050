/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl reload.
 */
#include "chatctl.h"

#include "json.h"

/* chatctl reload */
int
cmd_reload(struct ctl *ctl, int argc, char **argv)
{
	json_t	*end;
	int	 status;

	(void)argc;
	(void)argv;
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	status = link_call(ctl, msg_op("reload", -1), NULL, NULL, &end);
	if (status == CTL_OK && ctl->opt.json)
		term_json(end);
	else if (status == CTL_OK && term_is(1))
		term_note("[configuration read again]");
	json_decref(end);
	return (status);
}
