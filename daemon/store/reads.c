/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that only read.  The process has one thread.  It commits the waiting
 * writes, reads one slice, and looks for writes again.  So a read delays a
 * write by at most one slice, which takes about a millisecond.  A second
 * process for reading would not gain much, and would need restarts, a back-off
 * and a place in chatd's list of helpers.
 *
 * Reads use a second connection, which can't write.  It sees committed data
 * only, and is not affected if a write fails.  No transaction stays open from
 * one slice to the next, so a slow client does not keep the log from being
 * written back.
 */
#include "store.h"

#include <string.h>

#include "json.h"
#include "log.h"
#include "xmalloc.h"

static const struct {
	const char	*name;
	int		(*run)(struct store *, struct store_request *);
} reads_ops[] = {
	{ "ab", store_ab },
	{ "count", store_count },
	{ "list", store_list },
	{ "search", store_search },
	{ "show", store_show },
	{ "stats", store_stats },
	{ "replay", store_replay },
};

static size_t	reads_find(const json_t *);
static int	reads_hold(struct store *, json_t *);
static int	reads_try(struct store *, struct store_request *, size_t);

/* Find an operation; nitems(reads_ops) if it is not in the table. */
static size_t
reads_find(const json_t *msg)
{
	const char	*name = msg_string(msg, "op");
	size_t		 i;

	for (i = 0; i < nitems(reads_ops); i++) {
		if (name != NULL && strcmp(name, reads_ops[i].name) == 0)
			break;
	}
	return (i);
}

/* Does it only read? */
int
reads_known(const json_t *msg)
{
	return (reads_find(msg) < nitems(reads_ops));
}

/* Take the name out of a request. If the account had another name, hold what it
 * has stored first, with the connection that writes. */
static int
reads_hold(struct store *st, json_t *msg)
{
	const char	*name = msg_string(msg, "name");
	int		 r = 0;

	if (name != NULL && !st->failed && (r = store_is_held(st,
	    msg_int(msg, "uid", -1), name)) == 1) {
		if ((r = sql_run(st, "BEGIN IMMEDIATE", "")) == 0 &&
		    (r = store_hold(st, msg)) == 0)
			r = sql_run(st, "COMMIT", "");
		if (r != 0 && !sqlite3_get_autocommit(st->db))
			sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
	}
	json_object_del(msg, "name");
	return (r);
}

/* Carry out a request in a transaction, so that all of its statements see the
 * same data. */
static int
reads_try(struct store *rd, struct store_request *req, size_t op)
{
	int	r;

	if ((r = sql_run(rd, "BEGIN", "")) == 0)
		r = reads_ops[op].run(rd, req);
	if (!sqlite3_get_autocommit(rd->db))
		sqlite3_exec(rd->db, "ROLLBACK", NULL, NULL, NULL);
	return (r);
}

/* Carry out one slice. */
void
reads_run(struct store *st, struct store_request *req)
{
	struct store	*rd;
	int		 r = CHAT_ESYSTEM;

	req->done = json_object();
	if (reads_hold(st, req->msg) != 0) {
		store_fault(st, &req->fault);
		fault_set(&req->fault, "store_unavailable", NULL, "%s",
		    st->why);
	} else if ((rd = store_reader(st)) == NULL)
		fault_set(&req->fault, "store_unavailable", NULL, "%s",
		    st->why);
	else if ((r = reads_try(rd, req, reads_find(req->msg))) ==
	    CHAT_ESYSTEM) {
		r = store_fault(rd, &req->fault);
		if (r == CHAT_ESYSTEM)
			log_warnx("%s", rd->why);
		store_reader_close(st);
	}
	if (r != 0)
		batch_clear(req);
}
