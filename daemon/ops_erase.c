/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations that remove what is stored, bring it back or check it.
 */
#include "ops_impl.h"

/* forget: what an account has said in a range of time, or all of it. */
void
ops_forget(struct request *r, struct ops_args *a)
{
	json_t	*m;

	if (a->user != NULL && !r->operator) {
		request_fail(r, "denied", "user: for operators only");
		return;
	}
	if (exchange_busy_user(r, a->user)) {
		request_fail(r, "busy", "a reply is being written: cancel it "
		    "first");
		return;
	}
	m = ops_to_store(r, "forget", 1);
	msg_set_string(m, "user", a->user);
	if (a->since > 0)
		msg_set_int(m, "since", a->since);
	if (a->until > 0)
		msg_set_int(m, "until", a->until);
	if (a->all)
		msg_set_bool(m, "all", 1);
	relay_forget(r, m);
}

/* adopt: give an account what is held. */
void
ops_adopt(struct request *r, struct ops_args *a)
{
	json_t	*m = ops_to_store(r, "adopt", 0);

	msg_set_string(m, "from", a->from);
	msg_set_string(m, "to", a->to);
	relay_adopt(r, m);
}
