/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl search.
 */
#include "chatctl.h"

#include <stdlib.h>

#include "json.h"

/* chatctl search */
int
cmd_search(struct ctl *ctl, int argc, char **argv)
{
	struct pager	 p;
	json_t		*m;
	char		*query;
	int		 status;

	if (argc > 0) {
		query = input_join(argc, argv);
		status = input_check(query, "the words");
	} else {
		query = NULL;
		status = CTL_OK;
	}
	m = msg_op("search", -1);
	msg_set_string(m, "query", query);
	free(query);
	if (status != CTL_OK || (status = filter_add(ctl, m)) != CTL_OK ||
	    (status = link_open(ctl)) != CTL_OK) {
		json_decref(m);
		return (status);
	}
	msg_set_int(m, "limit", ctl->opt.limit > 0 ? ctl->opt.limit :
	    LIST_DEFAULT);
	if (ctl->opt.before > 0)
		msg_set_int(m, "before", ctl->opt.before);
	if (ctl->opt.user != NULL)
		ctl->opt.all = 1;
	if (ctl->opt.all)
		msg_set_bool(m, "all", 1);
	status = list_print(ctl, m, pager_open(&p, !ctl->opt.no_pager &&
	    !ctl->opt.json));
	pager_close(&p);
	return (status);
}
