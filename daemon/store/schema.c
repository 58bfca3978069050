/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables and views of the database, and the checks of a file.  PRAGMA
 * user_version holds the version of a file; schema_steps.c has the SQL.
 */
#include "store.h"

#include <stdio.h>
#include <string.h>

static int	schema_number(sqlite3 *, const char *, int64_t *);
static int	schema_damaged(const char *, const char *, struct fault *);
static int	schema_refuse(const char *, struct fault *, sqlite3 *);
static int	schema_sound(sqlite3 *, const char *, struct fault *);

/* Run a statement that gives one integer. Returns SQLite's code. */
static int
schema_number(sqlite3 *db, const char *sql, int64_t *out)
{
	sqlite3_stmt	*q = NULL;
	int		 rc;

	if ((rc = sqlite3_prepare_v2(db, sql, -1, &q, NULL)) == SQLITE_OK &&
	    (rc = sqlite3_step(q)) == SQLITE_ROW) {
		*out = sqlite3_column_int64(q, 0);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(q);
	return (rc);
}

/* Report a damaged file, and how an administrator can repair it. */
static int
schema_damaged(const char *path, const char *how, struct fault *f)
{
	return (fault_set(f, "store_unavailable", NULL, "%s is damaged "
	    "(%.60s) and was left untouched. To repair it, copy it and its "
	    "-wal, run: sqlite3 THE-COPY .recover | sqlite3 NEW, and put NEW "
	    "in its place without the old -wal and -shm; or restore a backup",
	    path, how));
}

/* Report a failure of SQLite as a damaged file or as a failing disk. */
static int
schema_refuse(const char *path, struct fault *f, sqlite3 *db)
{
	int	rc = sqlite3_errcode(db) & 0xff;

	if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB || rc == SQLITE_ERROR)
		return (schema_damaged(path, sqlite3_errmsg(db), f));
	fault_set(f, "store_unavailable", NULL, "%s: %s", path,
	    sqlite3_errmsg(db));
	return (CHAT_ESYSTEM);
}

/* Let SQLite check the structure of the file. */
static int
schema_sound(sqlite3 *db, const char *path, struct fault *f)
{
	sqlite3_stmt	*q = NULL;
	const char	*word;
	int		 r = 0;

	if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &q, NULL) !=
	    SQLITE_OK || sqlite3_step(q) != SQLITE_ROW) {
		r = schema_refuse(path, f, db);
		goto out;
	}
	word = (const char *)sqlite3_column_text(q, 0);
	if (word == NULL || strcmp(word, "ok") != 0)
		r = schema_damaged(path, word == NULL ? "no answer" : word, f);
out:
	sqlite3_finalize(q);
	return (r);
}

/* Check that the file is a chatd database. */
int
schema_identify(sqlite3 *db, const char *path, int *version, struct fault *f)
{
	int64_t	 v = 0, id = 0, tables = 0;

	if (schema_number(db, "PRAGMA user_version", &v) != SQLITE_OK ||
	    schema_number(db, "PRAGMA application_id", &id) != SQLITE_OK ||
	    schema_number(db, "SELECT count(*) FROM sqlite_schema",
	    &tables) != SQLITE_OK)
		return (schema_refuse(path, f, db));
	if (tables > 0 && id != SCHEMA_ID)
		return (fault_set(f, "store_unavailable", NULL,
		    "%s is an SQLite database of another program", path));
	if (v > SCHEMA_VERSION)
		return (fault_set(f, "store_unavailable", NULL,
		    "%s has schema version %lld, which a newer chatd has "
		    "made; this chatd-store supports versions up to %d", path,
		    (long long)v, SCHEMA_VERSION));
	*version = (int)v;
	return (0);
}

/* Check the file before anything changes it. */
int
schema_check(sqlite3 *db, const char *path, int *version, struct fault *f)
{
	int	r;

	if ((r = schema_identify(db, path, version, f)) != 0)
		return (r);
	return (schema_sound(db, path, f));
}

/* Take the steps from version to the current one. */
int
schema_migrate(sqlite3 *db, int version)
{
	char	mark[64];
	int	rc = SQLITE_OK;

	for (; rc == SQLITE_OK && version < SCHEMA_VERSION; version++) {
		snprintf(mark, sizeof mark, "PRAGMA user_version = %d; COMMIT",
		    version + 1);
		if ((rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL,
		    NULL)) == SQLITE_OK &&
		    (rc = sqlite3_exec(db, schema_steps[version], NULL, NULL,
		    NULL)) == SQLITE_OK)
			rc = sqlite3_exec(db, mark, NULL, NULL, NULL);
		if (rc != SQLITE_OK && !sqlite3_get_autocommit(db))
			sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	}
	return (rc);
}
