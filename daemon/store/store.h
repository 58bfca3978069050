/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-store: the SQLite file with every exchange, verdict and rating.  One
 * section per source file.  stored.c is the program: it opens a store, passes
 * batches of requests to it, and sends the answers.  The other files are
 * libstore, so that tests can call them without a process.
 */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include <jansson.h>
#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"

#define STORE_STATEMENTS	160	/* prepared statements in the cache */
#define STORE_BUSY_MS		5000	/* wait for another writer's lock */
#define STORE_IDLE_MS		20	/* without a request: it is idle */
#define STORE_WAL_CHECKPOINT	1000	/* pages: write back when idle */
#define STORE_WAL_HIGH		8000	/* pages: write back when busy */
#define STORE_WAL_LONG	16000	/* pages: empty it, and wait for readers */
#define STORE_WAL_WAIT_MS	50	/* for their transactions to end */
#define STORE_WAL_LIMIT		(1024LL * 1024 * 1024)	/* bytes: refuse */
#define STORE_PURGE_PAGES	500	/* of the index, merged in one step */
#define STORE_FREE_PAGES	64	/* so many may stay free in the file */
#define STORE_SHRINK_PAGES	500	/* given back in one step */
#define STORE_WAL_KEEP		(16 * 1024 * 1024)	/* bytes on disk */
#define STORE_KEY_MAX		128	/* bytes of a begin's key */
#define STORE_UID_MAX		4294967294.0	/* a uid, as a field's bound */
#define STORE_TITLE_CHARS	60	/* in a title made from a prompt */
#define STORE_SLICE		(64 * 1024)	/* bytes read for one answer */
#define STORE_PAGE		(1024 * 1024)	/* bytes of a page of show */
#define STORE_ROW		128	/* bytes counted for a row, in addition
					 * to its texts: as in v_size */

/* A prepared statement in the cache. */
struct store_statement {
	const char	*sql;		/* borrowed: static, the key */
	sqlite3_stmt	*q;		/* owned */
};

/* An open database. */
struct store {
	sqlite3		*db;		/* owned; NULL after a disk error until
					 * there is a new connection */
	char		*path;		/* owned: the database file */
	char		*lock_path;	/* owned: path + ".lock" */
	int		 lock;		/* owned: descriptor, or -1 */
	int		 rc;		/* SQLite's code of the last failure */
	char		 why[300];	/* its message, one line */
	int		 failed;	/* connect again before the next use */
	int		 warned;	/* the failure has been logged */
	int		 wipe;		/* deleted text is still in the WAL */
	int		 purge;		/* deleted words are still in the search
					 * index: 1, or 2 once it has begun */
	int		 shrink;	/* the file may have free pages */
	int		 wal_pages;	/* pages in the WAL */
	int		 wal_back;	/* of them written back already */
	int64_t		 wal_next;	/* monotonic ms: not emptied before */
	int64_t		 page_size;	/* bytes */
	int64_t		 wal_limit;	/* bytes: STORE_WAL_LIMIT */
	int64_t		 interrupted;	/* replies ended by store_open */
	struct store	*reader;	/* owned: for reads.c, with db, path and
					 * statements only; NULL before use */
	struct store_statement statements[STORE_STATEMENTS];
	int		 nstatements;
};

/* One request, and its answer. */
struct store_request {
	json_t		*msg;		/* borrowed: the request */
	int		 writes;	/* it may change something */
	json_t		*done;		/* owned: the done event, or NULL */
	struct fault	 fault;		/* if done is NULL: the reason */
	int64_t		 used, limit;	/* if the fault is quota: the stored
					 * amount and the limit */
	/* For a read: called with each item (taken) of the answer. */
	void		(*item)(void *arg, json_t *item);
	void		*arg;		/* borrowed */
};

/* ---- store.c: open, close, maintain */

/*
 * Open the database at path. Creates it if it does not exist, but not its
 * folder. Locks it, checks it, brings the schema up to date and ends replies
 * that a crash left running. Returns 0 and *out (owned by the caller), or an
 * error with *f filled:
 *   CHAT_EDENIED   other users could write the folder or read the file
 *   CHAT_EBUSY     another store has it
 *   CHAT_EFORMAT   damaged, of another program, or newer; left untouched
 *   CHAT_ESYSTEM   a system call or SQLite has failed
 */
int	 store_open(const char *path, struct store **out, struct fault *f);

/* Write the log back into the database, and release everything. */
void	 store_close(struct store *st);

/* Make a new connection if there was a disk error. Returns 0, or CHAT_ESYSTEM
 * with st->why filled. */
int	 store_ready(struct store *st);

/*
 * Do maintenance that can wait: write back a log that has grown, and wipe
 * deleted text from it. idle: there was no request for a while. After a failure
 * the next call tries again. Returns the number of ms without a request after
 * which to call it with idle set, or -1 if nothing is left to do.
 */
int	 store_maintain(struct store *st, int idle);

/* Write the whole log back and empty it. Returns 0, or CHAT_ESYSTEM after a
 * disk error or if a reader still uses the log. */
int	 store_checkpoint(struct store *st);

/* Get the connection for reads (borrowed from st), which is opened if needed.
 * Returns NULL with st->why filled if that fails. */
struct store *store_reader(struct store *st);

/* Close it; the next store_reader opens it again. */
void	 store_reader_close(struct store *st);

/* Fill f from st->rc: too_long or bad_field if the request is wrong (returns
 * CHAT_EFORMAT), else store_unavailable (returns CHAT_ESYSTEM). */
int	 store_fault(struct store *st, struct fault *f);

/* ---- store_backup.c: copies of the database, and taking one back */

/* Copy the database at path, which may be in use, into a new file, and write
 * {"path","bytes"} as a line to out. Returns 0, or an error with *f filled. */
int	 backup_make(const char *path, FILE *out, struct fault *f);

/* Check the backup of that name, and have the store take it at its next start.
 * Returns 0, or an error with *f filled. */
int	 backup_stage(const char *path, const char *name, struct fault *f);

/* Before store_open: take a backup that backup_stage has put there. A failure
 * is logged; then the database stays as it was. */
void	 backup_take(const char *path);

/* ---- schema.c: the tables, and updates of older files */

#define SCHEMA_VERSION	4
#define SCHEMA_ID	0x63686174	/* "chat": SQLite's application_id */

/* schema_steps.c: step i, the SQL that takes a file from version i to version
 * i + 1. */
extern const char	*const schema_steps[SCHEMA_VERSION];

/* Check that this is a chatd database of a known version. Returns as
 * schema_check does. */
int	 schema_identify(sqlite3 *db, const char *path, int *version,
	    struct fault *f);

/* Check the database through db without changing it. path is for messages only.
 * Returns 0 and *version (0 for an empty file), or with *f filled CHAT_EFORMAT
 * (damaged, newer, or of another program) or CHAT_ESYSTEM. */
int	 schema_check(sqlite3 *db, const char *path, int *version,
	    struct fault *f);

/* Bring db from version to SCHEMA_VERSION, one transaction for each step.
 * Returns a code of SQLite. After a failure the finished steps stay. */
int	 schema_migrate(sqlite3 *db, int version);

/*
 * ---- sql.c: SQL statements.  "types" has a letter for each argument:
 *   i   int64_t
 *   r   double
 *   s   const char *, NULL for null; borrowed until the statement ends
 *   b   const void * and size_t; borrowed until the statement ends
 * If SQLite fails, all return CHAT_ESYSTEM with st->rc and st->why filled.
 */

/* Fill st->rc and st->why for a failure of SQLite. Returns CHAT_ESYSTEM. */
int	 sql_failed(struct store *st, int rc);

/* Run a statement to its end. Returns 0 or an error. */
int	 sql_run(struct store *st, const char *sql, const char *types, ...);

/* Run a statement that gives one integer. Returns 1 and *out, 0 if there is no
 * row or it is null, or an error. */
int	 sql_int(struct store *st, int64_t *out, const char *sql,
	    const char *types, ...);

/* Begin a statement. sql is static text. *out is borrowed from the cache, so do
 * not begin the same statement again before it has ended. */
int	 sql_open(struct store *st, sqlite3_stmt **out, const char *sql,
	    const char *types, ...);

/* Go to the next row. Returns 1, 0 after the last row, or an error. The
 * statement has ended after 0 and after an error; sql_end ends it before. */
int	 sql_step(struct store *st, sqlite3_stmt *q);
void	 sql_end(sqlite3_stmt *q);

/* Set a key of a message to a column. A null column sets nothing. */
void	 sql_text(json_t *msg, const char *key, sqlite3_stmt *q, int col);
void	 sql_integer(json_t *msg, const char *key, sqlite3_stmt *q, int col);
/* The same for a text with JSON; null if the JSON is not valid. */
void	 sql_json(json_t *msg, const char *key, sqlite3_stmt *q, int col);

/* Release all prepared statements. */
void	 sql_clear(struct store *st);

/* ---- batch.c: many requests, one transaction */

/* Fill req for a message (borrowed). */
void	 batch_init(struct store_request *req, json_t *msg);

/* Release the answer in req. */
void	 batch_clear(struct store_request *req);

/*
 * Carry out n requests in one transaction. When this returns, every request
 * that has req->done is on disk. A request with a fault is undone alone. If the
 * transaction fails, every request that writes gets store_unavailable.
 */
void	 batch_run(struct store *st, struct store_request *reqs, size_t n);

/* ---- reads.c: requests that only read, a slice at a time */

/* Does this request only read? */
int	 reads_known(const json_t *msg);

/*
 * Carry out one of them on the connection for reads. Its transaction has ended
 * when this returns. The items of one slice are passed to req->item; then
 * req->done or req->fault is set. A slice has STORE_SLICE bytes, and may exceed
 * that by one prompt and one reply. If the page has not ended, req->done has
 * "next": the members with which the rest is requested.
 */
void	 reads_run(struct store *st, struct store_request *req);

/* ---- account.c: the amount that each user has stored, and the quotas */

/* The quota of a user; 0: no limit. */
struct account_quota {
	int64_t		 conversations, bytes;
};

/* The fields of a request with a quota; at is the offset of its struct. */
#define ACCOUNT_FIELDS(at) \
	{ "max_conversations", FIELD_INT, 0, 0, JSON_INT_MAX, \
	    (at) + offsetof(struct account_quota, conversations) }, \
	{ "max_bytes", FIELD_INT, 0, 0, JSON_INT_MAX, \
	    (at) + offsetof(struct account_quota, bytes) }

/* An exchange of uid has been created, or has grown by that many bytes. */
int	 account_grow(struct store *st, int64_t exchange, int64_t uid,
	    int64_t bytes);

/* Is text the name of an account? Only digits, and NULL, are not. */
int	 account_is_name(const char *text);

/* Find the number of the account "user", a number or a name. field is for
 * messages. Returns 0, CHAT_EFORMAT with *f filled, or CHAT_ESYSTEM. */
int	 account_find(struct store *st, const char *user, const char *field,
	    int64_t *uid, struct fault *f);

/* Note the account name of uid, as it is now (NULL: not known). */
int	 account_named(struct store *st, int64_t uid, const char *name);

/*
 * Is uid within the quota q? Called after everything of the request has been
 * written. made: the request has created a conversation. Returns 0, and sets
 * "near" in req->done from nine tenths of the quota on; CHAT_EFORMAT with
 * req->fault (code quota), and the caller undoes the request; or CHAT_ESYSTEM.
 */
int	 account_check(struct store *st, struct store_request *req,
	    int64_t uid, int made, const struct account_quota *q);

/*
 * ---- store_*.c: the operations.  store_ab.c, store_count.c, store_list.c,
 * store_search.c and store_show.c read; the others write.  Each reads req->msg
 * and fills req->done.  Returns 0, CHAT_EFORMAT with req->fault filled, or
 * CHAT_ESYSTEM as sql.c does.
 */

int	 store_begin(struct store *st, struct store_request *req);
int	 store_finish(struct store *st, struct store_request *req);
int	 store_new(struct store *st, struct store_request *req);
int	 store_rate(struct store *st, struct store_request *req);
int	 store_unrate(struct store *st, struct store_request *req);
int	 store_consent(struct store *st, struct store_request *req);
int	 store_import(struct store *st, struct store_request *req);
int	 store_delete(struct store *st, struct store_request *req);
int	 store_forget(struct store *st, struct store_request *req);
int	 store_expire(struct store *st, struct store_request *req);
int	 store_adopt(struct store *st, struct store_request *req);
int	 store_replay(struct store *st, struct store_request *req);
int	 store_list(struct store *st, struct store_request *req);
int	 store_search(struct store *st, struct store_request *req);
int	 store_count(struct store *st, struct store_request *req);
int	 store_ab(struct store *st, struct store_request *req);
int	 store_show(struct store *st, struct store_request *req);
int	 store_stats(struct store *st, struct store_request *req);

/*
 * ---- store_adapter.c: the adapters that wrote replies.  An adapter in a
 * message is {name, digest}.
 */

/* Find or create the row of an adapter (NULL: none). Returns 0 and *id (0:
 * none), CHAT_EFORMAT with *f filled, or CHAT_ESYSTEM. */
int	 store_adapter(struct store *st, json_t *adapter, int64_t *id,
	    struct fault *f);

/* Set "adapter" of a message, from columns col (its name) and col + 1 (its
 * digest), and "assigned" from col + 2. A reply of the model alone has no
 * "adapter". */
void	 store_adapter_tell(json_t *msg, sqlite3_stmt *q, int col);

/*
 * SQL: was the reply rated wrong_refusal by its owner? And the decision of an
 * operator about it, "keep", "overturn" or NULL. Only ratings up to the id
 * "last" are looked at.
 */
#define STORE_COUNTS(a, last) \
	a ".id <= " last " AND NOT EXISTS (SELECT 1 FROM rating " \
	"WHERE supersedes = " a ".id AND id <= " last ")"
#define STORE_WRONG(a) \
	"EXISTS (SELECT 1 FROM json_each(" a ".reasons) " \
	"WHERE value = 'wrong_refusal')"
#define STORE_APPEAL(reply, owner, last) \
	"EXISTS (SELECT 1 FROM rating o WHERE o.reply = " reply " AND " \
	"o.uid = " owner " AND " STORE_WRONG("o") " AND " \
	STORE_COUNTS("o", last) ")"
#define STORE_DECISION(reply, owner, last) \
	"(SELECT CASE WHEN " STORE_WRONG("d") " THEN 'overturn' " \
	"WHEN d.thumb = 1 THEN 'keep' END FROM rating d WHERE d.reply = " \
	reply " AND d.uid <> " owner " AND " STORE_COUNTS("d", last) \
	" ORDER BY d.id DESC LIMIT 1)"

/*
 * Before an operation: if the account "uid" of msg had another "name" when it
 * was last seen, hold what it has stored (store_hold.c). Needs a transaction.
 */
int	 store_hold(struct store *st, const json_t *msg);

/* When a store is opened: give accounts that are held under a number of an
 * older chatd, which imported users may have, a new number. */
int	 store_hold_settle(struct store *st);

/* Would store_hold do so? Returns 1, 0, or CHAT_ESYSTEM. */
int	 store_is_held(struct store *st, int64_t uid, const char *name);

/* The same for the database at path, which need not be open. Returns 0 if it
 * can't be read. */
int	 store_file_is_held(const char *path, int64_t uid, const char *name);

/*
 * ---- store_filter.c: which exchanges a request is about.  Rating, reason,
 * category and model are looked for in one reply of an exchange.
 */
struct store_filter {
	int64_t		 since, until;	/* ms: [since..until); until 0: now */
	const char	*model;		/* its name or its digest */
	const char	*category;	/* of a finding that was acted upon */
	const char	*rating;	/* a thumb, any, none or ideal */
	const char	*reason;
	const char	*user;		/* the name of the owner, or NULL */
	int64_t		 uid;		/* the owner; -1: not given */
	int		 given;		/* something about a reply */
	int		 any;		/* something at all */
};

#define STORE_LOOK	256	/* rows looked at for one slice of an answer
				 * with a filter: about a millisecond */

/* The fields of a request with a filter; at is the offset of its struct. */
#define STORE_FILTER_FIELDS(at) \
	{ "since", FIELD_INT, FIELD_NULLABLE, 0, JSON_INT_MAX, \
	    (at) + offsetof(struct store_filter, since) }, \
	{ "until", FIELD_INT, FIELD_NULLABLE, 0, JSON_INT_MAX, \
	    (at) + offsetof(struct store_filter, until) }, \
	{ "model", FIELD_STRING, FIELD_NULLABLE, 0, 4096, \
	    (at) + offsetof(struct store_filter, model) }, \
	{ "category", FIELD_STRING, FIELD_NULLABLE, 0, 64, \
	    (at) + offsetof(struct store_filter, category) }, \
	{ "rating", FIELD_STRING, FIELD_NULLABLE, 0, 64, \
	    (at) + offsetof(struct store_filter, rating) }, \
	{ "reason", FIELD_STRING, FIELD_NULLABLE, 0, 64, \
	    (at) + offsetof(struct store_filter, reason) }, \
	{ "user", FIELD_STRING, FIELD_NULLABLE, 0, 256, \
	    (at) + offsetof(struct store_filter, user) }

/* Check a filter after its fields were read. Returns 0, or another value with
 * *f filled: a word is not known, the filter is for operators, or nothing is
 * stored under the name of the user. */
int	 store_filter_read(struct store *st, struct store_filter *ft,
	    int admin, struct fault *f);

/*
 * SQL: does the exchange e pass the filter?  The statement has the parameter
 * ?4, true if ratings by others than the owner are looked at, and ?5 to ?13,
 * which are STORE_FILTER_ARGS with the types STORE_FILTER_TYPES.
 */
#define STORE_FILTER_TYPES	"iiisissss"
#define STORE_FILTER_ARGS(ft) \
	(ft)->since, (ft)->until != 0 ? (ft)->until : (int64_t)JSON_INT_MAX, \
	(ft)->uid, (ft)->user, (int64_t)(ft)->given, (ft)->model, \
	(ft)->category, (ft)->rating, (ft)->reason
#define STORE_FILTER \
	"(e.created >= ?5 AND e.created < ?6 AND (?7 = -1 OR e.uid = ?7) " \
	"AND (?8 IS NULL OR e.name = ?8) AND (NOT ?9 OR EXISTS (SELECT 1 " \
	"FROM reply fr WHERE fr.exchange = e.id AND (?10 IS NULL OR " \
	"EXISTS (SELECT 1 FROM model WHERE id = fr.model AND (name = ?10 " \
	"OR digest = ?10))) AND (?11 IS NULL OR EXISTS (SELECT 1 " \
	"FROM verdict WHERE reply = fr.id AND category = ?11 " \
	"AND action <> 'allow')) AND (coalesce(?12, ?13) IS NULL OR " \
	"(ifnull(?12, '') = 'none') <> EXISTS (SELECT 1 FROM rating fa " \
	"WHERE fa.reply = fr.id AND (fa.uid = e.uid OR ?4) AND NOT EXISTS " \
	"(SELECT 1 FROM rating WHERE supersedes = fa.id) AND " \
	"CASE ifnull(?12, 'any') WHEN 'good' THEN fa.thumb = 1 " \
	"WHEN 'bad' THEN fa.thumb = -1 WHEN 'neutral' THEN fa.thumb = 0 " \
	"WHEN 'ideal' THEN fa.ideal IS NOT NULL ELSE 1 END AND " \
	"(?13 IS NULL OR EXISTS (SELECT 1 FROM json_each(fa.reasons) " \
	"WHERE value = ?13)))))))"

/* Make a title from the start of a text: one line of at most STORE_TITLE_CHARS
 * characters, owned by the caller. */
char	*store_title(const char *text);

#endif
