/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite statements with typed arguments and a cache.  Only this file turns
 * failures of SQLite into messages.
 */
#include "store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

static int	sql_prepare(struct store *, const char *, sqlite3_stmt **);
static int	sql_bind(sqlite3_stmt *, const char *, va_list);
static int	sql_vopen(struct store *, sqlite3_stmt **, const char *,
		    const char *, va_list);

/* Note a failure, and make its message. */
int
sql_failed(struct store *st, int rc)
{
	static const struct {
		int		 rc;
		const char	*words;
		int		 reopen;
	} kinds[] = {
		{ SQLITE_FULL, "the disk is full", 0 },
		{ SQLITE_IOERR, "the disk has reported an error", 1 },
		{ SQLITE_READONLY, "the file can't be written", 1 },
		{ SQLITE_BUSY, "another program has locked the file", 0 },
		{ SQLITE_LOCKED, "another program has locked the file", 0 },
		{ SQLITE_CANTOPEN, "the file can't be opened", 1 },
		{ SQLITE_CORRUPT, "the file is damaged; after a restart the "
		    "log has the steps to repair it", 1 },
		{ SQLITE_NOTADB, "the file is damaged; after a restart the "
		    "log has the steps to repair it", 1 },
	};
	const char	*words = "unexpected";
	size_t		 i;

	st->rc = rc;
	for (i = 0; i < nitems(kinds); i++) {
		if (kinds[i].rc == (rc & 0xff)) {
			words = kinds[i].words;
			st->failed |= kinds[i].reopen;
		}
	}
	snprintf(st->why, sizeof st->why, "%s: %s (SQLite %d: %s)", st->path,
	    words, rc, st->db != NULL && sqlite3_errcode(st->db) ==
	    (rc & 0xff) ? sqlite3_errmsg(st->db) : sqlite3_errstr(rc));
	return (CHAT_ESYSTEM);
}

/* Find or make a statement. */
static int
sql_prepare(struct store *st, const char *sql, sqlite3_stmt **out)
{
	sqlite3_stmt	*q;
	int		 i, rc;

	for (i = 0; i < st->nstatements; i++) {
		if (st->statements[i].sql == sql) {
			*out = st->statements[i].q;
			return (0);
		}
	}
	if (i == STORE_STATEMENTS)
		abort();		/* more than the code has */
	rc = sqlite3_prepare_v3(st->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
	    &q, NULL);
	if (rc != SQLITE_OK)
		return (sql_failed(st, rc));
	st->statements[st->nstatements++] = (struct store_statement){ sql, q };
	*out = q;
	return (0);
}

/* Bind the arguments. Returns SQLite's code. */
static int
sql_bind(sqlite3_stmt *q, const char *types, va_list ap)
{
	const char	*s;
	const void	*p;
	int		 i, rc = SQLITE_OK;

	for (i = 1; rc == SQLITE_OK && types[i - 1] != '\0'; i++) {
		switch (types[i - 1]) {
		case 'i':
			rc = sqlite3_bind_int64(q, i, va_arg(ap, int64_t));
			break;
		case 'r':
			rc = sqlite3_bind_double(q, i, va_arg(ap, double));
			break;
		case 's':
			s = va_arg(ap, const char *);
			rc = sqlite3_bind_text(q, i, s, -1, SQLITE_STATIC);
			break;
		default:
			p = va_arg(ap, const void *);
			rc = sqlite3_bind_blob64(q, i, p, va_arg(ap, size_t),
			    SQLITE_STATIC);
		}
	}
	return (rc);
}

/* Prepare and bind. */
static int
sql_vopen(struct store *st, sqlite3_stmt **out, const char *sql,
    const char *types, va_list ap)
{
	sqlite3_stmt	*q = NULL;
	int		 rc;

	if (sql_prepare(st, sql, &q) != 0)
		return (CHAT_ESYSTEM);
	if ((rc = sql_bind(q, types, ap)) != SQLITE_OK) {
		sql_end(q);
		return (sql_failed(st, rc));
	}
	*out = q;
	return (0);
}

/* Begin a statement. */
int
sql_open(struct store *st, sqlite3_stmt **out, const char *sql,
    const char *types, ...)
{
	va_list	 ap;
	int	 r;

	va_start(ap, types);
	r = sql_vopen(st, out, sql, types, ap);
	va_end(ap);
	return (r);
}

/* Run a statement. */
int
sql_run(struct store *st, const char *sql, const char *types, ...)
{
	sqlite3_stmt	*q;
	va_list		 ap;
	int		 r;

	va_start(ap, types);
	r = sql_vopen(st, &q, sql, types, ap);
	va_end(ap);
	if (r != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1)
		;
	return (r);
}

/* Run a statement that gives one integer. */
int
sql_int(struct store *st, int64_t *out, const char *sql, const char *types,
    ...)
{
	sqlite3_stmt	*q;
	va_list		 ap;
	int		 r;

	va_start(ap, types);
	r = sql_vopen(st, &q, sql, types, ap);
	va_end(ap);
	if (r != 0)
		return (r);
	if ((r = sql_step(st, q)) != 1)
		return (r);
	if (sqlite3_column_type(q, 0) == SQLITE_NULL)
		r = 0;
	else
		*out = sqlite3_column_int64(q, 0);
	sql_end(q);
	return (r);
}

/* Go to the next row. */
int
sql_step(struct store *st, sqlite3_stmt *q)
{
	int	rc;

	if ((rc = sqlite3_step(q)) == SQLITE_ROW)
		return (1);
	if (rc != SQLITE_DONE)
		sql_failed(st, sqlite3_extended_errcode(st->db));
	sql_end(q);
	return (rc == SQLITE_DONE ? 0 : CHAT_ESYSTEM);
}

/* End a statement and release its arguments. */
void
sql_end(sqlite3_stmt *q)
{
	sqlite3_reset(q);
	sqlite3_clear_bindings(q);
}

/* A column as a string. */
void
sql_text(json_t *msg, const char *key, sqlite3_stmt *q, int col)
{
	const char	*s = (const char *)sqlite3_column_text(q, col);

	if (s != NULL)
		msg_set_text(msg, key, s, (size_t)sqlite3_column_bytes(q,
		    col));
}

/* A column as an integer. */
void
sql_integer(json_t *msg, const char *key, sqlite3_stmt *q, int col)
{
	if (sqlite3_column_type(q, col) != SQLITE_NULL)
		msg_set_int(msg, key, sqlite3_column_int64(q, col));
}

/* A column as the JSON it holds. */
void
sql_json(json_t *msg, const char *key, sqlite3_stmt *q, int col)
{
	const char	*s = (const char *)sqlite3_column_text(q, col);
	json_t		*v = NULL;

	if (s != NULL)
		v = json_loads(s, JSON_DECODE_ANY, NULL);
	msg_set(msg, key, v != NULL ? v : json_null());
}

/* Drop the cache. */
void
sql_clear(struct store *st)
{
	while (st->nstatements > 0)
		sqlite3_finalize(st->statements[--st->nstatements].q);
}
