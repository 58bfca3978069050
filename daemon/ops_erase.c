/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations that remove what is stored, bring it back or check it.
 */
#include "ops_impl.h"

#include <string.h>

#include "replay.h"

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

/* replay: compare a logged reply, or draw some that can be compared. */
void
ops_replay(struct request *r, struct ops_args *a)
{
	json_t	*m;

	if (a->all && !r->operator) {
		request_fail(r, "denied", "all: for operators only");
		return;
	}
	m = ops_to_store(r, "replay", 1);
	if (a->exchange > 0)
		msg_set_int(m, "exchange", a->exchange);
	if (a->reply > 0)
		msg_set_int(m, "reply", a->reply);
	if (a->sample > 0)
		msg_set_int(m, "sample", a->sample);
	if (a->seed > 0)
		msg_set_int(m, "seed", a->seed);
	if (a->after > 0)
		msg_set_int(m, "after", a->after);
	if (a->all)
		msg_set_bool(m, "all", 1);
	if (a->sample > 0)
		relay_store(r, m);
	else
		replay_new(r, m);
}

/* backup: a copy of the database, in the folder of the state. */
void
ops_backup(struct request *r, struct ops_args *a)
{
	(void)a;
	exporter_backup(r);
}

/* restore: a backup takes the place of the database. */
void
ops_restore(struct request *r, struct ops_args *a)
{
	if (a->file[0] == '.' || strchr(a->file, '/') != NULL)
		request_fail(r, "bad_field", "file: expected the name of a "
		    "file in the folder \"backup\", found \"%.80s\"",
		    a->file);
	else if (!TAILQ_EMPTY(&r->d->exchanges))
		request_fail(r, "busy", "replies are being written: try "
		    "again when no exchange runs");
	else
		exporter_restore(r, a->file);
}
