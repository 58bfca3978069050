/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-store: the SQLite file with every exchange, verdict and rating.  One
 * section per source file.  stored.c (the program) opens a store, hands it
 * batches of requests and sends the answers; everything else is libstore, so
 * that tests can call it without a process.
 */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include <jansson.h>
#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"

#define STORE_STATEMENTS	64	/* prepared statements kept */
#define STORE_BUSY_MS		5000	/* patience with another writer */
#define STORE_IDLE_MS		20	/* without a request: idle */
#define STORE_WAL_CHECKPOINT	1000	/* pages: checkpoint when idle */
#define STORE_WAL_HIGH		8000	/* pages: checkpoint even under load */
#define STORE_WAL_LIMIT		(1024LL * 1024 * 1024)	/* bytes: refuse */
#define STORE_WAL_KEEP		(16 * 1024 * 1024)	/* bytes kept on disk */
#define STORE_KEY_MAX		128	/* bytes of a begin's key */
#define STORE_UID_MAX		4294967294.0	/* a uid, as a field's bound */
#define STORE_TITLE_CHARS	60	/* of a title made from a prompt */
#define STORE_SLICE		(64 * 1024)	/* bytes read for one answer */
#define STORE_PAGE		(1024 * 1024)	/* bytes of a page of show */
#define STORE_ROW		128	/* bytes that a row counts for, with
					 * its texts beside it: as in v_size */

struct store_statement {
	const char	*sql;		/* static text: the cache's key */
	sqlite3_stmt	*q;		/* owned */
};

struct store {
	sqlite3		*db;		/* owned; NULL while it can't be had */
	char		*path;		/* owned: the database file */
	char		*lock_path;	/* owned: path + ".lock" */
	int		 lock;		/* owned descriptor, -1 */
	int		 rc;		/* SQLite's code of the last failure */
	char		 why[300];	/* and what it means, one line */
	int		 failed;	/* reopen before the next use */
	int		 warned;	/* the log knows that it is failing */
	int		 wipe;		/* deleted text is still in the WAL */
	int		 wal_pages;	/* in the WAL after the last commit */
	int64_t		 page_size;	/* bytes */
	int64_t		 wal_limit;	/* bytes: STORE_WAL_LIMIT */
	int64_t		 interrupted;	/* replies closed by store_open */
	struct store	*reader;	/* owned: the connection of reads.c,
					 * only db, path and statements; NULL:
					 * not opened yet */
	struct store_statement statements[STORE_STATEMENTS];
	int		 nstatements;
};

/* One request, and its answer. */
struct store_request {
	json_t		*msg;		/* borrowed: the request */
	int		 writes;	/* it may change something */
	json_t		*done;		/* owned: the done event, or NULL */
	struct fault	 fault;		/* with done NULL: why not */
	int64_t		 used, limit;	/* with a fault of code quota: what
					 * is stored, what may be */
	/* Of a read: takes item (taken), a row of the answer. */
	void		(*item)(void *arg, json_t *item);
	void		*arg;		/* borrowed */
};

/* ---- store.c: open, close, keep in shape */

/*
 * Open the database at path, making it where it is not there; the folder must
 * be. Takes the lock, checks the file, brings the schema up to date and closes
 * what a crash left unfinished. 0 and *out (owned by the caller), or an error
 * with the words for it in *f: CHAT_EDENIED (the folder or file is not safe),
 * CHAT_EBUSY (another store has it), CHAT_EFORMAT (damaged, foreign or newer;
 * the file is as it was), CHAT_ESYSTEM.
 */
int	 store_open(const char *path, struct store **out, struct fault *f);

/* Write the log back into the database, and release the lock and memory. */
void	 store_close(struct store *st);

/* Make sure that there is a connection, a new one after a disk error. 0, or
 * CHAT_ESYSTEM with st->why filled. */
int	 store_ready(struct store *st);

/*
 * Do maintenance that can wait: write back a log that has grown, wipe deleted
 * text. idle: there was no request for a while. A failure is not fatal; the
 * next call tries again. Returns the number of ms without a request after which
 * to call it with idle set, or -1 if there is no need.
 */
int	 store_maintain(struct store *st, int idle);

/* Write the whole log back and empty it. 0, or CHAT_ESYSTEM (a reader holds
 * it, or a disk error). */
int	 store_checkpoint(struct store *st);

/* Get the connection that only reads; opens it if needed. NULL, with st->why
 * filled, if that fails. */
struct store *store_reader(struct store *st);

/* Close it: the next store_reader opens it anew. */
void	 store_reader_close(struct store *st);

/* Fill f (code store_unavailable, or too_long, bad_field where the request
 * itself is at fault) from st->rc. Returns CHAT_ESYSTEM or CHAT_EFORMAT. */
int	 store_fault(struct store *st, struct fault *f);

/* ---- schema.c: the tables, and how older files become this version */

#define SCHEMA_VERSION	2
#define SCHEMA_ID	0x63686174	/* "chat" in the file's header */

/* Check that this is a chatd database of a known version. 0 and *version (0:
 * an empty file), or an error as schema_check. */
int	 schema_identify(sqlite3 *db, const char *path, int *version,
	    struct fault *f);

/* Check the database through db without changing it. 0 and *version (0: an
 * empty file), CHAT_EFORMAT (damaged, newer or foreign) or CHAT_ESYSTEM,
 * both with *f filled. path is for the message only. */
int	 schema_check(sqlite3 *db, const char *path, int *version,
	    struct fault *f);

/* Bring db from version to SCHEMA_VERSION, each step in a transaction of its
 * own. Returns SQLite's code: 0, or why it stopped (the steps taken stay). */
int	 schema_migrate(sqlite3 *db, int version);

/* ---- sql.c: statements without ceremony.  Types of the arguments, one
 * letter each: i int64_t, r double, s const char * (NULL: null), b const void *
 * and size_t.  Text and blobs are borrowed until the statement ends.  All
 * return CHAT_ESYSTEM with st->rc and st->why filled where SQLite fails. */

/* Remember and explain a failure. Returns CHAT_ESYSTEM. */
int	 sql_failed(struct store *st, int rc);

/* Run a statement to its end. */
int	 sql_run(struct store *st, const char *sql, const char *types, ...);

/* Run a statement that gives one integer: 1 and *out, or 0 (no row, or
 * null). */
int	 sql_int(struct store *st, int64_t *out, const char *sql,
	    const char *types, ...);

/* Begin a statement (borrowed from the store's cache; sql is static text, in
 * use once at a time). */
int	 sql_open(struct store *st, sqlite3_stmt **out, const char *sql,
	    const char *types, ...);

/* 1: there is a row; 0: no more (and the statement is ended). */
int	 sql_step(struct store *st, sqlite3_stmt *q);
void	 sql_end(sqlite3_stmt *q);

/* Columns into messages. A null text or integer sets nothing. */
void	 sql_text(json_t *msg, const char *key, sqlite3_stmt *q, int col);
void	 sql_integer(json_t *msg, const char *key, sqlite3_stmt *q, int col);
/* Text that holds JSON, as that JSON (null where it does not parse). */
void	 sql_json(json_t *msg, const char *key, sqlite3_stmt *q, int col);

/* Forget all prepared statements. */
void	 sql_clear(struct store *st);

/* ---- batch.c: many requests, one transaction */

/* Make a request's record from its message (borrowed). */
void	 batch_init(struct store_request *req, json_t *msg);

/* Release an answer. */
void	 batch_clear(struct store_request *req);

/*
 * Carry out n requests in one transaction; when this returns, what is answered
 * done is on disk. A request at fault is undone alone; where the transaction
 * fails, every request that writes gets store_unavailable.
 */
void	 batch_run(struct store *st, struct store_request *reqs, size_t n);

/* ---- reads.c: requests that only read, a slice at a time */

/* Is this operation one that only reads? */
int	 reads_known(const json_t *msg);

/*
 * Carry out one of them on a connection of its own, in a read transaction
 * that has ended when this returns: the rows go to req->item as they come, a
 * slice of them (STORE_SLICE bytes, and one exchange's prompt and one reply
 * above it at most); then req->done, or req->fault. Where the page is not at
 * its end, done has "next": the members to ask the rest with.
 */
void	 reads_run(struct store *st, struct store_request *req);

/* ---- account.c: how much each user has stored, and may store */

/* The limits of a user; 0: no limit. */
struct account_quota {
	int64_t		 conversations, bytes;
};

/* The fields of a request that fill one, at offset at of its arguments. */
#define ACCOUNT_FIELDS(at) \
	{ "max_conversations", FIELD_INT, 0, 0, JSON_INT_MAX, \
	    (at) + offsetof(struct account_quota, conversations) }, \
	{ "max_bytes", FIELD_INT, 0, 0, JSON_INT_MAX, \
	    (at) + offsetof(struct account_quota, bytes) }

/* Count that an exchange of uid has grown by that many bytes, or has been
 * created. */
int	 account_grow(struct store *st, int64_t exchange, int64_t uid,
	    int64_t bytes);

/*
 * To be called when all is written: is uid still within q? made: the request
 * made a conversation. 0, with "near" in req->done where nine tenths are used;
 * CHAT_EFORMAT with req->fault (quota), so that it is undone; CHAT_ESYSTEM.
 */
int	 account_check(struct store *st, struct store_request *req,
	    int64_t uid, int made, const struct account_quota *q);

/* ---- store_begin.c, store_finish.c, store_conversation.c, store_rating.c,
 * store_delete.c: the operations that write. store_list.c, store_show.c: those
 * that read. Each reads req->msg and fills req->done. Returns 0, CHAT_EFORMAT
 * with req->fault filled, or CHAT_ESYSTEM (see sql.c). */

int	 store_begin(struct store *st, struct store_request *req);
int	 store_finish(struct store *st, struct store_request *req);
int	 store_new(struct store *st, struct store_request *req);
int	 store_rate(struct store *st, struct store_request *req);
int	 store_delete(struct store *st, struct store_request *req);
int	 store_list(struct store *st, struct store_request *req);
int	 store_show(struct store *st, struct store_request *req);
int	 store_stats(struct store *st, struct store_request *req);

/* A title from the start of a text: at most STORE_TITLE_CHARS characters, one
 * line. Owned by the caller. */
char	*store_title(const char *text);

/* ---- export.c: one export, in a process that only reads */

#define EXPORT_PIECE	(256 * 1024)	/* bytes in a piece, and a line */

struct export {
	struct store	 st;		/* only db, path and statements */
	FILE		*out;		/* borrowed: the piece */
	int64_t		 uid;		/* whose data; -1: everybody's */
	int64_t		 exchange, reply, rating; /* highest at the start */
	int64_t		 last;		/* the format's: where to go on */
	int		 pieces;	/* already written */
};

/*
 * Write an export of the database at path to out: what belongs to uid, or all
 * of it (-1), as it was at the start. format is one of
 * vocabulary_formats. 0, CHAT_ECLOSED (nobody reads out any more), or another
 * error with *f filled.
 */
int	 export_run(const char *format, const char *path, int64_t uid,
	    FILE *out, struct fault *f);

/* Write msg (taken) as a line. */
void	 export_line(struct export *ex, json_t *msg);

/* Has the piece reached its size? */
int	 export_full(struct export *ex);

/* ---- export_dialogue.c, export_preference.c, export_csv.c: the formats.
 * Each writes a piece of its kind, from ex->last on (0 at first), and takes
 * nothing that was not there at the start: 1 where there is more, 0 at the
 * end, or CHAT_ESYSTEM (ex->st.why). */

int	 export_oig(struct export *ex);
int	 export_messages(struct export *ex);
int	 export_preference(struct export *ex);
int	 export_csv(struct export *ex);

/* A message of a conversation: {"role": role, "content": text}. */
json_t	*export_message(const char *role, const char *text);

#endif
