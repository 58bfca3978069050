/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl status.
 */
#include "chatctl.h"

/* chatctl status; with --wait, once the model is loaded. */
int
cmd_status(struct ctl *ctl, int argc, char **argv)
{
	int	 status;

	(void)argc;
	(void)argv;
	if ((status = link_open(ctl)) != CTL_OK ||
	    (ctl->opt.wait > 0 &&
	    (status = link_wait_model(ctl)) != CTL_OK))
		return (status);
	return (show_status(ctl, stdout));
}
