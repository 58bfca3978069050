/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl delete.
 */
#include "chatctl.h"

#include "json.h"

/* chatctl delete */
int
cmd_delete(struct ctl *ctl, int argc, char **argv)
{
	const char	*what = ctl->opt.exchange ? "exchange" :
			    "conversation";
	json_t		*m, *end;
	int64_t		 n;
	int		 i, status, worst = CTL_OK;

	for (i = 0; i < argc; i++) {
		if (opts_number(argv[i], 1, INT64_MAX, &n) == 0)
			continue;
		term_error("delete: expected %s's number, found \"%s\"; "
		    "nothing was deleted", ctl->opt.exchange ? "an exchange" :
		    "a conversation", argv[i]);
		return (CTL_USAGE);
	}
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	for (i = 0; i < argc && ctl->chat != NULL; i++) {
		(void)opts_number(argv[i], 1, INT64_MAX, &n);
		m = msg_op("delete", -1);
		msg_set_int(m, what, n);
		status = link_run(ctl, m, 0, NULL, NULL, &end);
		if (status != CTL_OK) {
			worst = status;
			if (end != NULL)
				term_error("%s %lld: %s", what, (long long)n,
				    msg_string(end, "message"));
			else
				link_report(ctl, NULL);
		} else if (ctl->opt.json)
			term_json(end);
		json_decref(end);
	}
	return (worst);
}
