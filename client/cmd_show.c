/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl show.
 */
#include "chatctl.h"

#include <string.h>

/* chatctl show */
int
cmd_show(struct ctl *ctl, int argc, char **argv)
{
	struct pager	 p;
	int64_t		 n;
	int		 status;

	(void)argc;
	if (opts_number(argv[0], 1, INT64_MAX, &n) == -1 &&
	    (!ctl->opt.exchange || strcmp(argv[0], "last") != 0)) {
		term_error("show: expected %s, found \"%s\"",
		    ctl->opt.exchange ? "an exchange's number or last" :
		    "a conversation's number", argv[0]);
		return (CTL_USAGE);
	}
	if ((status = link_open(ctl)) != CTL_OK ||
	    (ctl->opt.exchange &&
	    (status = filter_exchange(ctl, argv[0], &n)) != CTL_OK))
		return (status);
	status = show_conversation(ctl, n, pager_open(&p, !ctl->opt.no_pager &&
	    !ctl->opt.json), NULL);
	pager_close(&p);
	return (status);
}
