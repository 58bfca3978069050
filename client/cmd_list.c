/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl list.
 */
#include "chatctl.h"

#include "json.h"

/* chatctl list */
int
cmd_list(struct ctl *ctl, int argc, char **argv)
{
	struct pager	 p;
	json_t		*m;
	int		 status;

	(void)argc;
	(void)argv;
	m = msg_op("list", -1);
	if ((status = filter_add(ctl, m)) != CTL_OK ||
	    (status = link_open(ctl)) != CTL_OK) {
		json_decref(m);
		return (status);
	}
	if (ctl->opt.user != NULL)
		ctl->opt.all = 1;
	msg_set_int(m, "limit", ctl->opt.limit > 0 ? ctl->opt.limit :
	    LIST_DEFAULT);
	if (ctl->opt.before > 0)
		msg_set_int(m, "before", ctl->opt.before);
	if (ctl->opt.all)
		msg_set_bool(m, "all", 1);
	if (ctl->opt.raw)
		msg_set_string(m, "kind", "complete");
	status = list_print(ctl, m, pager_open(&p, !ctl->opt.no_pager &&
	    !ctl->opt.json));
	pager_close(&p);
	return (status);
}
