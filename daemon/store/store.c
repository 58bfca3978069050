/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and maintaining the database.  The file must be safe, and only one
 * store may have it.  The log is written back while no request waits.  After a
 * disk error a new connection is made.
 */
#include "store.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "pseudonym.h"
#include "xmalloc.h"

#define STORE_RETRY_MS	1000	/* after maintenance that has failed */

#define STORE_TEXT_(x)	#x
#define STORE_TEXT(x)	STORE_TEXT_(x)	/* a macro's value in a string */

static int	store_wal_hook(void *, sqlite3 *, const char *, int);
static int	store_folder(const char *, struct fault *);
static int	store_lock(struct store *, struct fault *);
static int	store_file(const char *, struct fault *);
static void	store_undo(const char *);
static int	store_look(const char *, int *, struct fault *);
static int	store_connect(struct store *);
static void	store_disconnect(struct store *);
static int	store_settle(struct store *);
static int	store_purge(struct store *);
static void	store_shrinkable(struct store *);
static int	store_write_back(struct store *);
static int	store_shrink(struct store *);
static void	store_orphans(struct store *);
static void	store_unpurged(struct store *);

/* SQLite reports the length of the log after each commit. */
static int
store_wal_hook(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store	*st = arg;

	(void)db;
	(void)name;
	if (pages < st->wal_pages)	/* it was started anew */
		st->wal_back = 0;
	st->wal_pages = pages;
	return (SQLITE_OK);
}

/* Check that only our account and root can create files in its folder. */
static int
store_folder(const char *path, struct fault *f)
{
	const char	*slash = strrchr(path, '/');
	char		*dir;
	struct stat	 s;
	int		 r = 0;

	dir = slash == NULL ? xstrdup(".") : slash == path ? xstrdup("/") :
	    xstrndup(path, (size_t)(slash - path));
	if (stat(dir, &s) == -1) {
		fault_set(f, "store_unavailable", NULL, "folder %s: %s", dir,
		    strerror(errno));
		r = CHAT_ESYSTEM;
	} else if (!S_ISDIR(s.st_mode)) {
		fault_set(f, "store_unavailable", NULL, "%s is not a folder",
		    dir);
		r = CHAT_EDENIED;
	} else if ((s.st_uid != geteuid() && s.st_uid != 0) ||
	    (s.st_mode & (S_IWGRP|S_IWOTH)) != 0) {
		fault_set(f, "store_unavailable", NULL, "folder %s can be "
		    "written by others (owner uid %u, mode %04o): chown it to "
		    "uid %u and chmod 0700", dir, (unsigned)s.st_uid,
		    (unsigned)s.st_mode & 07777, (unsigned)geteuid());
		r = CHAT_EDENIED;
	}
	free(dir);
	return (r);
}

/* Lock a file beside the database, so that it has one store only. A lock of
 * SQLite would keep readers out. */
static int
store_lock(struct store *st, struct fault *f)
{
	st->lock = open(st->lock_path, O_RDWR|O_CREAT|O_NOFOLLOW|O_CLOEXEC,
	    0600);
	if (st->lock == -1) {
		fault_set(f, "store_unavailable", NULL, "%s: %s",
		    st->lock_path, strerror(errno));
		return (CHAT_ESYSTEM);
	}
	if (flock(st->lock, LOCK_EX|LOCK_NB) == 0)
		return (0);
	fault_set(f, "store_unavailable", NULL, errno == EWOULDBLOCK ?
	    "%s is in use by another chatd-store" : "%s can't be locked",
	    st->path);
	return (errno == EWOULDBLOCK ? CHAT_EBUSY : CHAT_ESYSTEM);
}

/* Create the file with mode 0600 before SQLite does; -wal and -shm get the same
 * mode from SQLite. */
static int
store_file(const char *path, struct fault *f)
{
	struct stat	 s;
	int		 fd, r = 0;

	fd = open(path, O_RDWR|O_CREAT|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC, 0600);
	if (fd == -1) {
		fault_set(f, "store_unavailable", NULL, "%s: %s", path,
		    strerror(errno));
		return (CHAT_ESYSTEM);
	}
	if (fstat(fd, &s) == -1 || !S_ISREG(s.st_mode) ||
	    (s.st_uid != geteuid() && geteuid() != 0)) {
		fault_set(f, "store_unavailable", NULL, "%s is not a regular "
		    "file of uid %u", path, (unsigned)geteuid());
		r = CHAT_EDENIED;
	} else if ((s.st_mode & 077) != 0 && fchmod(fd, 0600) == -1) {
		fault_set(f, "store_unavailable", NULL, "%s: mode %04o lets "
		    "others in: %s", path, (unsigned)s.st_mode & 07777,
		    strerror(errno));
		r = CHAT_EDENIED;
	}
	close(fd);
	return (r);
}

/* Undo the transaction that a journal describes: a new file is made with one,
 * and is left with it if the disk fails then. A connection that can't change
 * the file can't read it before. store_look reports what is wrong. */
static void
store_undo(const char *path)
{
	char	*journal = xasprintf("%s-journal", path);
	sqlite3	*db = NULL;

	if (access(journal, F_OK) == 0 && sqlite3_open_v2(path, &db,
	    SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
		sqlite3_busy_timeout(db, STORE_BUSY_MS);
		sqlite3_exec(db, "PRAGMA schema_version", NULL, NULL, NULL);
	}
	sqlite3_close(db);
	free(journal);
}

/* Check the file through a connection that can't change it. */
static int
store_look(const char *path, int *version, struct fault *f)
{
	sqlite3	*db = NULL;
	int	 r;

	store_undo(path);
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) !=
	    SQLITE_OK) {
		fault_set(f, "store_unavailable", NULL, "%s: %s", path,
		    db != NULL ? sqlite3_errmsg(db) : "out of memory");
		r = CHAT_ESYSTEM;
	} else {
		sqlite3_busy_timeout(db, STORE_BUSY_MS);
		r = schema_check(db, path, version, f);
	}
	sqlite3_close(db);
	return (r);
}

/* Open the connection that writes. */
static int
store_connect(struct store *st)
{
	static const char setup[] =
	    "PRAGMA auto_vacuum = INCREMENTAL;"	/* of a new file */
	    "PRAGMA secure_delete = ON;"
	    "PRAGMA foreign_keys = ON;"
	    "PRAGMA temp_store = MEMORY;"
	    "PRAGMA cell_size_check = ON;"
	    "PRAGMA journal_mode = WAL;"
	    "PRAGMA synchronous = FULL;";
	char	limit[64];
	int	rc;

	rc = sqlite3_open_v2(st->path, &st->db, SQLITE_OPEN_READWRITE, NULL);
	if (rc != SQLITE_OK)
		goto fail;
	sqlite3_extended_result_codes(st->db, 1);
	sqlite3_busy_timeout(st->db, STORE_BUSY_MS);
	sqlite3_wal_hook(st->db, store_wal_hook, st);
	snprintf(limit, sizeof limit, "PRAGMA journal_size_limit = %d",
	    STORE_WAL_KEEP);
	if ((rc = sqlite3_exec(st->db, setup, NULL, NULL, NULL)) !=
	    SQLITE_OK ||
	    (rc = sqlite3_exec(st->db, limit, NULL, NULL, NULL)) !=
	    SQLITE_OK ||
	    sql_int(st, &st->page_size, "PRAGMA page_size", "") != 1)
		goto fail;
	return (0);
fail:
	if (rc != SQLITE_OK)
		sql_failed(st, rc);
	store_disconnect(st);
	return (CHAT_ESYSTEM);
}

/* The connection for reading. */
struct store *
store_reader(struct store *st)
{
	struct store	*rd;
	int		 rc;

	if (st->reader != NULL)
		return (st->reader);
	rd = xcalloc(1, sizeof *rd);
	rd->lock = -1;
	rd->path = xstrdup(st->path);
	st->reader = rd;
	rc = sqlite3_open_v2(rd->path, &rd->db, SQLITE_OPEN_READONLY, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_extended_result_codes(rd->db, 1);
		sqlite3_busy_timeout(rd->db, STORE_BUSY_MS);
		return (rd);
	}
	sql_failed(rd, rc);
	snprintf(st->why, sizeof st->why, "%s", rd->why);
	store_reader_close(st);
	return (NULL);
}

/* Close the connection for reading. */
void
store_reader_close(struct store *st)
{
	if (st->reader == NULL)
		return;
	sql_clear(st->reader);
	sqlite3_close(st->reader->db);
	free(st->reader->path);
	free(st->reader);
	st->reader = NULL;
}

/* Close both connections, with their prepared statements. */
static void
store_disconnect(struct store *st)
{
	store_reader_close(st);
	sql_clear(st);
	sqlite3_close(st->db);
	st->db = NULL;
	st->failed = 1;
}

/* End the replies that a crash of the store left running. "finished" stays
 * null, because chatd may still be running, and finish them later. */
static int
store_settle(struct store *st)
{
	if (sql_run(st, "UPDATE reply SET state = 'interrupted' "
	    "WHERE state = 'running'", "") != 0)
		return (CHAT_ESYSTEM);
	st->interrupted = sqlite3_changes(st->db);
	return (0);
}

/* Let the file of an older version give pages back from now on. SQLite has to
 * write the file anew for that, once. Without the room it stays as it is. */
static void
store_shrinkable(struct store *st)
{
	int64_t	mode = 0;
	int	rc;

	if (sql_int(st, &mode, "PRAGMA auto_vacuum", "") != 1 || mode == 2)
		return;
	log_info("%s: is written anew once, so that it can shrink", st->path);
	sql_clear(st);
	if ((rc = sqlite3_exec(st->db, "PRAGMA auto_vacuum = INCREMENTAL; "
	    "VACUUM", NULL, NULL, NULL)) == SQLITE_OK)
		return;
	sql_failed(st, rc);
	log_warnx("%s: the file can't shrink yet; the next start tries again",
	    st->why);
}

/* Report rows whose parent has been deleted by a program that did not check
 * foreign keys. */
static void
store_orphans(struct store *st)
{
	sqlite3_stmt	*q;

	if (sql_open(st, &q, "SELECT count(*), \"table\", parent "
	    "FROM pragma_foreign_key_check GROUP BY 2, 3", "") != 0)
		return;
	while (sql_step(st, q) == 1)
		log_warnx("%s: %lld rows of %s belong to a row of %s that is "
		    "gone: another program has deleted it with foreign keys "
		    "off. To remove them, stop chatd and see chatd-db(5), "
		    "orphans", st->path, (long long)sqlite3_column_int64(q, 0),
		    (const char *)sqlite3_column_text(q, 1),
		    (const char *)sqlite3_column_text(q, 2));
}

/* If something was ever deleted, a store that was killed may have left its
 * words in the search index. */
static void
store_unpurged(struct store *st)
{
	int64_t	one;

	if (sql_int(st, &one, "SELECT 1 FROM tombstone LIMIT 1", "") == 1)
		st->purge = st->shrink = 1;
}

/* Open a store. */
int
store_open(const char *path, struct store **out, struct fault *f)
{
	struct store	*st;
	int		 r, rc, version;

	st = xcalloc(1, sizeof *st);
	st->lock = -1;
	st->path = xstrdup(path);
	st->lock_path = xasprintf("%s.lock", path);
	st->wal_limit = STORE_WAL_LIMIT;
	if ((r = store_folder(path, f)) != 0 ||
	    (r = store_lock(st, f)) != 0 ||
	    (r = store_file(path, f)) != 0 ||
	    (r = pseudonym_make(path, f)) != 0 ||
	    (r = store_look(path, &version, f)) != 0)
		goto out;
	if ((r = store_connect(st)) != 0) {
		fault_set(f, "store_unavailable", NULL, "%s", st->why);
		goto out;
	}
	if ((rc = schema_migrate(st->db, version)) != SQLITE_OK)
		r = sql_failed(st, rc);
	else if ((r = store_settle(st)) == 0 &&
	    (r = store_hold_settle(st)) == 0) {
		store_orphans(st);
		store_shrinkable(st);
		store_unpurged(st);
		r = store_checkpoint(st) != 0 && st->failed ? CHAT_ESYSTEM : 0;
	}
	if (r != 0) {
		fault_set(f, "store_unavailable", NULL, "%s", st->why);
		goto out;
	}
	st->failed = 0;
	*out = st;
	st = NULL;
out:
	store_close(st);
	return (r);
}

/* Close a store. */
void
store_close(struct store *st)
{
	if (st == NULL)
		return;
	if (st->db != NULL)
		store_checkpoint(st);
	store_disconnect(st);
	if (st->lock != -1)
		close(st->lock);
	free(st->lock_path);
	free(st->path);
	free(st);
}

/*
 * After a disk error, the state of the old connection may not match the disk. A
 * new connection reads the log again, writes it back and empties it, so that no
 * later commit follows a page whose sync has failed.
 */
int
store_ready(struct store *st)
{
	if (!st->failed)
		return (0);
	store_disconnect(st);
	if (store_connect(st) != 0 || store_checkpoint(st) != 0)
		return (CHAT_ESYSTEM);
	st->failed = 0;
	return (0);
}

/* Empty the log, and wait up to wait_ms for readers. Returns a code of
 * SQLite. */
static int
store_empty(struct store *st, int wait_ms)
{
	int	rc;

	sqlite3_busy_timeout(st->db, wait_ms);
	rc = sqlite3_wal_checkpoint_v2(st->db, NULL,
	    SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(st->db, STORE_BUSY_MS);
	if (rc == SQLITE_OK) {
		st->wal_pages = st->wal_back = 0;
		st->wipe = 0;
	}
	return (rc);
}

/* Empty the log. */
int
store_checkpoint(struct store *st)
{
	/* This does not wait for readers; the caller tries again. */
	int	rc = store_empty(st, 0);

	return (rc == SQLITE_OK ? 0 : sql_failed(st, rc));
}

/*
 * Write the log back.  A log that readers keep from starting anew would grow
 * without end, so a long one is emptied: that waits until the transactions of
 * all readers have ended, and new ones no longer use the log.  This stops the
 * store, so it waits for a short time only, and not often.  Returns a code of
 * SQLite; SQLITE_OK also if a reader still uses the log.
 */
static int
store_write_back(struct store *st)
{
	int64_t	now = clock_monotonic();
	int	rc, pages = -1, done = -1;

	if (st->wal_pages >= STORE_WAL_LONG && now >= st->wal_next) {
		rc = store_empty(st, STORE_WAL_WAIT_MS);
		if (rc == SQLITE_OK)
			return (rc);
		if ((rc & 0xff) != SQLITE_BUSY)
			return (sql_failed(st, rc), rc);
		st->wal_next = clock_monotonic() + STORE_RETRY_MS;
	}
	rc = sqlite3_wal_checkpoint_v2(st->db, NULL,
	    SQLITE_CHECKPOINT_PASSIVE, &pages, &done);
	if (rc != SQLITE_OK)
		return (sql_failed(st, rc), rc);
	/* The log keeps its length. If all of it is written back, the next
	 * commit starts it anew, unless a reader uses it. */
	st->wal_pages = pages;
	st->wal_back = done;
	return (rc);
}

/* Give free pages at the end of the file back to the file system, some at a
 * time. Returns 1 if there are more. */
static int
store_shrink(struct store *st)
{
	int64_t	mode = 0, pages = 0, left = 0;

	if (sql_int(st, &mode, "PRAGMA auto_vacuum", "") != 1 || mode != 2 ||
	    sql_int(st, &pages, "PRAGMA freelist_count", "") != 1 ||
	    pages < STORE_FREE_PAGES)
		return (0);
	if (sqlite3_exec(st->db, "PRAGMA incremental_vacuum("
	    STORE_TEXT(STORE_SHRINK_PAGES) ")", NULL, NULL, NULL) !=
	    SQLITE_OK ||
	    sql_int(st, &left, "PRAGMA freelist_count", "") != 1)
		return (0);
	return (left < pages && left >= STORE_FREE_PAGES);
}

/*
 * Take a step in merging the search index into one segment, which leaves out
 * the words of what was deleted.  The first step says that all of it is to be
 * merged.  A step that changes nothing is the last one.  Returns a code of
 * SQLite.
 */
static int
store_purge(struct store *st)
{
	const char	*sql = st->purge == 1 ?
			    "INSERT INTO search (search, rank) VALUES "
			    "('merge', -" STORE_TEXT(STORE_PURGE_PAGES) ")" :
			    "INSERT INTO search (search, rank) VALUES "
			    "('merge', " STORE_TEXT(STORE_PURGE_PAGES) ")";
	int		 before = sqlite3_total_changes(st->db), rc;

	rc = sqlite3_exec(st->db, sql, NULL, NULL, NULL);
	if (rc != SQLITE_OK) {
		sql_failed(st, rc);
		return (rc);
	}
	st->purge = sqlite3_total_changes(st->db) - before < 2 ? 0 : 2;
	st->wipe = 1;
	return (rc);
}

/* Do maintenance that can wait. */
int
store_maintain(struct store *st, int idle)
{
	int	r = -1;

	if (st->failed)
		return (-1);
	if (st->purge && idle && store_purge(st) != SQLITE_OK)
		return (STORE_RETRY_MS);
	if (st->wipe && !(st->purge == 2 && idle) &&
	    store_checkpoint(st) != 0)
		return (STORE_RETRY_MS);
	if (st->purge)
		return (idle ? 0 : STORE_IDLE_MS);
	if (idle && st->shrink) {
		st->shrink = store_shrink(st);
		return (0);
	}
	if (st->wal_pages < STORE_WAL_CHECKPOINT ||
	    st->wal_back == st->wal_pages)
		return (st->shrink ? STORE_IDLE_MS : -1);
	if (!idle && st->wal_pages - st->wal_back < STORE_WAL_HIGH)
		return (STORE_IDLE_MS);
	if (store_write_back(st) != SQLITE_OK ||
	    (idle && st->wal_back < st->wal_pages))
		r = STORE_RETRY_MS;
	return (r);
}

/* Report the failure to a client of the store. */
int
store_fault(struct store *st, struct fault *f)
{
	int	kind = st->rc & 0xff;

	if (kind == SQLITE_CONSTRAINT || kind == SQLITE_MISMATCH)
		return (fault_set(f, "bad_field", NULL, "does not match the "
		    "stored data: %s", st->why));
	if (kind == SQLITE_TOOBIG)
		return (fault_set(f, "too_long", NULL, "%s", st->why));
	fault_set(f, "store_unavailable", NULL, "%s", st->why);
	return (CHAT_ESYSTEM);
}
