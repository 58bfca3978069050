/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit: all waiting writes go into one transaction, with one sync of
 * the disk.  Each write has a savepoint, so that a failed one is undone alone.
 * Reads are in reads.c.
 */
#include "store.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "log.h"
#include "xmalloc.h"

#define BATCH_TEXT_(x)	#x
#define BATCH_TEXT(x)	BATCH_TEXT_(x)	/* a macro's value in a string */

/* An operation by name. */
struct batch_op {
	const char	*name;
	int		 writes;
	int		(*run)(struct store *, struct store_request *);
};

static int	batch_ping(struct store *, struct store_request *);
static int	batch_probe(struct store *, struct store_request *);
static const struct batch_op *batch_find(const json_t *);
static int	batch_one(struct store *, struct store_request *);
static int	batch_room(struct store *);
static int	batch_try(struct store *, struct store_request *, size_t);
static void	batch_fail(struct store *, struct store_request *);

static const struct batch_op batch_ops[] = {
	{ "begin", 1, store_begin },
	{ "finish", 1, store_finish },
	{ "new", 1, store_new },
	{ "rate", 1, store_rate },
	{ "unrate", 1, store_unrate },
	{ "consent", 1, store_consent },
	{ "import", 1, store_import },
	{ "delete", 1, store_delete },
	{ "forget", 1, store_forget },
	{ "expire", 1, store_expire },
	{ "adopt", 1, store_adopt },
	{ "ping", 0, batch_ping },
	{ "probe", 1, batch_probe },
};

/* ping: the answer shows that the process is alive. */
static int
batch_ping(struct store *st, struct store_request *req)
{
	(void)st;
	return (fields_read(req->msg, NULL, 0, NULL, &req->fault));
}

/* probe: a commit that changes nothing, to find out whether the store can
 * write. It writes the schema version again, which takes one page of the
 * log. */
static int
batch_probe(struct store *st, struct store_request *req)
{
	int	 r;

	if ((r = fields_read(req->msg, NULL, 0, NULL, &req->fault)) != 0)
		return (r);
	return (sql_run(st, "PRAGMA user_version = "
	    BATCH_TEXT(SCHEMA_VERSION), ""));
}

/* Look an operation up. */
static const struct batch_op *
batch_find(const json_t *msg)
{
	const char	*name = msg_string(msg, "op");
	size_t		 i;

	for (i = 0; name != NULL && i < nitems(batch_ops); i++) {
		if (strcmp(name, batch_ops[i].name) == 0)
			return (&batch_ops[i]);
	}
	return (NULL);
}

/* Make a record. */
void
batch_init(struct store_request *req, json_t *msg)
{
	const struct batch_op	*op = batch_find(msg);

	memset(req, 0, sizeof *req);
	req->msg = msg;
	req->writes = op != NULL && op->writes;
}

/* Release an answer. */
void
batch_clear(struct store_request *req)
{
	json_decref(req->done);
	req->done = NULL;
}

/* Carry out one request inside the transaction. Returns CHAT_ESYSTEM if the
 * whole transaction has failed. */
static int
batch_one(struct store *st, struct store_request *req)
{
	const struct batch_op	*op = batch_find(req->msg);
	int			 r;

	if (op == NULL) {
		fault_set(&req->fault, "bad_field", "op", "unknown op");
		return (0);
	}
	if (req->writes && (r = sql_run(st, "SAVEPOINT request", "")) != 0)
		return (r);
	req->done = json_object();
	if (!req->writes || (r = store_hold(st, req->msg)) == 0)
		r = op->run(st, req);
	if (r == CHAT_ESYSTEM)
		r = store_fault(st, &req->fault);
	if (r == CHAT_ESYSTEM)
		return (r);
	if (r != 0) {
		batch_clear(req);
		if (!req->writes)
			return (0);
		if ((r = sql_run(st, "ROLLBACK TO request", "")) != 0)
			return (r);
	}
	return (req->writes ? sql_run(st, "RELEASE request", "") : 0);
}

/* Refuse to write if the log is over its limit and can't be emptied, because
 * another process reads from it. */
static int
batch_room(struct store *st)
{
	if (st->wal_pages * st->page_size < st->wal_limit ||
	    store_checkpoint(st) == 0)
		return (0);
	snprintf(st->why, sizeof st->why, "%s: a reader keeps the log, which "
	    "has %lld MiB now, from being written back; end that reader",
	    st->path,
	    (long long)(st->wal_pages * st->page_size / (1024 * 1024)));
	return (CHAT_ESYSTEM);
}

/* Carry out all requests in one transaction. Returns 0 when it is on disk. */
static int
batch_try(struct store *st, struct store_request *reqs, size_t n)
{
	size_t	 i;
	int	 r, writes = 0;

	for (i = 0; i < n; i++)
		writes |= reqs[i].writes;
	if ((r = store_ready(st)) != 0 ||
	    (writes && (r = batch_room(st)) != 0))
		return (r);
	r = writes ? sql_run(st, "BEGIN IMMEDIATE", "") :
	    sql_run(st, "BEGIN", "");
	for (i = 0; r == 0 && i < n; i++)
		r = batch_one(st, &reqs[i]);
	if (r == 0)
		r = sql_run(st, "COMMIT", "");
	if (r != 0 && !sqlite3_get_autocommit(st->db))
		sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
	return (r);
}

/* Fail a request that could not be carried out. */
static void
batch_fail(struct store *st, struct store_request *req)
{
	batch_clear(req);
	fault_set(&req->fault, "store_unavailable", NULL, "%s", st->why);
	if (!st->warned)
		log_warnx("%s", st->why);
	st->warned = 1;
}

/*
 * Carry out all requests. If the transaction fails, each request that does not
 * write is tried alone. If the disk is full, the other requests are tried alone
 * too, because a small one may still fit.
 */
void
batch_run(struct store *st, struct store_request *reqs, size_t n)
{
	size_t	i;
	int	full;

	if (batch_try(st, reqs, n) == 0) {
		for (i = 0; i < n; i++) {
			if (st->warned && reqs[i].writes) {
				log_info("%s: writing works again", st->path);
				st->warned = 0;
			}
		}
		return;
	}
	full = (st->rc & 0xff) == SQLITE_FULL;
	for (i = 0; i < n; i++) {
		batch_clear(&reqs[i]);
		if (n > 1 && (full || !reqs[i].writes))
			batch_run(st, &reqs[i], 1);
		else
			batch_fail(st, &reqs[i]);
	}
}
