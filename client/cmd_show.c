/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl show.
 */
#include "chatctl.h"

/* chatctl show */
int
cmd_show(struct ctl *ctl, int argc, char **argv)
{
	struct pager	 p;
	int64_t		 n;
	int		 status;

	(void)argc;
	if (opts_number(argv[0], 1, INT64_MAX, &n) == -1) {
		term_error("show: expected %s's number, found \"%s\"",
		    ctl->opt.exchange ? "an exchange" : "a conversation",
		    argv[0]);
		return (CTL_USAGE);
	}
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	status = show_conversation(ctl, n, pager_open(&p, !ctl->opt.no_pager &&
	    !ctl->opt.json), NULL);
	pager_close(&p);
	return (status);
}
