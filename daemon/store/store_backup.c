/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backups: copies of the database in the folder "backup" beside it, mode 0600.
 *
 * A backup is made while the store runs, by another process, and is the
 * database at one moment.  To restore one, its copy is put beside the database
 * (PATH.restore), and the store takes it when it starts the next time.  The
 * database that it replaces is kept.  What was deleted since the backup was
 * made is deleted again.
 */
#include "store.h"

#include <sys/file.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "json.h"
#include "log.h"
#include "path.h"
#include "xmalloc.h"

#define BACKUP_COPY	65536	/* bytes copied at a time */

static char	*backup_folder(const char *);
static char	*backup_name(const char *, const char *);
static int	 backup_sync(const char *);
static int	 backup_failed(const char *, const char *, struct fault *);
static int	 backup_copy(const char *, const char *, struct fault *);
static int	 backup_check(const char *, struct fault *);
static int	 backup_buried(struct store *, const char *);
static void	 backup_swap(const char *, const char *);

/* The folder of the backups of the database at path. Owned by the caller. */
static char *
backup_folder(const char *path)
{
	char	*state = path_folder(path), *folder;

	folder = path_join(state, "backup");
	free(state);
	return (folder);
}

/* A name with the time now. Owned by the caller. */
static char *
backup_name(const char *before, const char *after)
{
	struct tm	 tm;
	time_t		 now = time(NULL);
	char		 stamp[32];

	gmtime_r(&now, &tm);
	strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
	return (xasprintf("%s%s%s", before, stamp, after));
}

/* Have a file or folder written to the disk. Returns 0, or -1 with errno. */
static int
backup_sync(const char *path)
{
	int	fd, r;

	if ((fd = open(path, O_RDONLY|O_CLOEXEC)) == -1)
		return (-1);
	r = fsync(fd);
	close(fd);
	return (r);
}

/* Report a failure about a file. */
static int
backup_failed(const char *path, const char *why, struct fault *f)
{
	fault_set(f, "store_unavailable", NULL, "%s: %s", path, why);
	return (CHAT_ESYSTEM);
}

/* Make a backup, and write its name and size as a line of JSON to out. */
int
backup_make(const char *path, FILE *out, struct fault *f)
{
	char		*folder = backup_folder(path);
	char		*start = path_join(folder, "chatd-");
	char		*name = backup_name(start, ".db");
	char		*temp = xasprintf("%s.part", name), *line;
	struct stat	 s;
	sqlite3		*db = NULL;
	sqlite3_stmt	*q = NULL;
	json_t		*m;
	size_t		 n;
	int		 fd, version, r = 0;

	if (mkdir(folder, 0700) == -1 && errno != EEXIST) {
		r = backup_failed(folder, strerror(errno), f);
		goto out;
	}
	if ((fd = open(temp, O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC,
	    0600)) == -1) {
		r = backup_failed(temp, strerror(errno), f);
		goto out;
	}
	close(fd);
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) !=
	    SQLITE_OK || sqlite3_busy_timeout(db, STORE_BUSY_MS) != SQLITE_OK)
		r = backup_failed(path, sqlite3_errmsg(db), f);
	else if ((r = schema_identify(db, path, &version, f)) == 0 &&
	    (sqlite3_prepare_v2(db, "VACUUM INTO ?", -1, &q, NULL) !=
	    SQLITE_OK || sqlite3_bind_text(q, 1, temp, -1, SQLITE_STATIC) !=
	    SQLITE_OK || sqlite3_step(q) != SQLITE_DONE))
		r = backup_failed(temp, sqlite3_errmsg(db), f);
	sqlite3_finalize(q);
	sqlite3_close(db);
	if (r == 0 && (backup_sync(temp) == -1 || stat(temp, &s) == -1 ||
	    link(temp, name) == -1 || backup_sync(folder) == -1))
		r = backup_failed(name, strerror(errno), f);
	unlink(temp);
	if (r == 0) {
		m = json_object();
		msg_set_string(m, "path", name);
		msg_set_int(m, "bytes", s.st_size);
		line = msg_line(m, &n);
		fwrite(line, 1, n, out);
		free(line);
		json_decref(m);
		if (fflush(out) != 0)
			r = backup_failed("output", strerror(errno), f);
	}
out:
	free(temp);
	free(name);
	free(start);
	free(folder);
	return (r);
}

/* Copy a file into a new one of mode 0600, and have it written to the disk. */
static int
backup_copy(const char *from, const char *to, struct fault *f)
{
	struct stat	 s;
	char		*buf;
	const char	*bad = from;
	ssize_t		 n = -1;
	int		 in, out = -1;

	buf = xmalloc(BACKUP_COPY);
	if ((in = open(from, O_RDONLY|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC)) != -1 &&
	    fstat(in, &s) == 0 && !S_ISREG(s.st_mode))
		errno = EINVAL;
	else if (in != -1) {
		bad = to;
		out = open(to, O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC,
		    0600);
	}
	while (out != -1 && (n = read(in, buf, BACKUP_COPY)) > 0) {
		if (write(out, buf, (size_t)n) != n) {
			n = -1;
			break;
		}
	}
	if (out == -1 || n == -1 || fsync(out) == -1) {
		backup_failed(bad, strerror(errno), f);
		n = -1;
	}
	if (in != -1)
		close(in);
	if (out != -1)
		close(out);
	free(buf);
	return (n == 0 ? 0 : CHAT_ESYSTEM);
}

/* Is it a sound database of chatd? */
static int
backup_check(const char *path, struct fault *f)
{
	sqlite3	*db = NULL;
	int	 r, version = 0;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) !=
	    SQLITE_OK)
		r = backup_failed(path, sqlite3_errmsg(db), f);
	else if ((r = schema_check(db, path, &version, f)) == 0 &&
	    version == 0)
		r = fault_set(f, "store_unavailable", NULL, "%s is empty, "
		    "expected a database of chatd", path);
	sqlite3_close(db);
	return (r);
}

/* Put a backup where the next start of the store takes it. */
int
backup_stage(const char *path, const char *name, struct fault *f)
{
	char	*folder, *state, *from, *temp, *ready;
	int	 r;

	if (name[0] == '.' || name[0] == '\0' || strchr(name, '/') != NULL)
		return (fault_set(f, "bad_field", "file", "file: expected the "
		    "name of a file in the folder \"backup\", found \"%s\"",
		    name));
	folder = backup_folder(path);
	state = path_folder(path);
	from = path_join(folder, name);
	temp = xasprintf("%s.restore-part", path);
	ready = xasprintf("%s.restore", path);
	unlink(temp);
	if ((r = backup_copy(from, temp, f)) == 0 &&
	    (r = backup_check(temp, f)) == 0 &&
	    (rename(temp, ready) == -1 || backup_sync(state) == -1))
		r = backup_failed(ready, strerror(errno), f);
	unlink(temp);
	free(ready);
	free(temp);
	free(from);
	free(state);
	free(folder);
	return (r);
}

/* SQL: the consent of a row that is in both databases as o and t. What the old
 * one says was said later. A refusal is kept if it says nothing. */
#define BACKUP_CONSENT \
	"CASE WHEN o.consent IS NULL AND t.consent = 0 THEN 0 " \
	"ELSE o.consent END"

/* Delete in st what has been deleted in the database at path, too, and take
 * over what users have said there about training. A title may have changed
 * because its prompt was deleted. */
static int
backup_buried(struct store *st, const char *path)
{
	static const char *const steps[] = {
		"BEGIN IMMEDIATE",
		"DELETE FROM conversation WHERE uuid IN (SELECT name "
		    "FROM old.tombstone WHERE kind = 'conversation')",
		"DELETE FROM exchange WHERE id IN (SELECT exchange FROM reply "
		    "WHERE key IN (SELECT name FROM old.tombstone "
		    "WHERE kind = 'reply'))",
		"INSERT INTO tombstone (kind, name, deleted) SELECT kind, "
		    "name, deleted FROM old.tombstone o WHERE NOT EXISTS "
		    "(SELECT 1 FROM main.tombstone WHERE name = o.name)",
		"UPDATE main.conversation AS t SET title = o.title, consent = "
		    BACKUP_CONSENT " FROM old.conversation o "
		    "WHERE o.uuid = t.uuid",
		"UPDATE main.account AS t SET consent = " BACKUP_CONSENT
		    " FROM old.account o WHERE o.uid = t.uid "
		    "AND ifnull(o.name, '') = ifnull(t.name, '')",
		"INSERT INTO main.account (uid, name, consent) "
		    "SELECT uid, name, consent FROM old.account o "
		    "WHERE consent = 0 AND NOT EXISTS (SELECT 1 "
		    "FROM main.account WHERE uid = o.uid)",
		"COMMIT",
	};
	size_t	 i;
	int	 r;

	if ((r = sql_run(st, "ATTACH ? AS old", "s", path)) != 0)
		return (r);
	for (i = 0; r == 0 && i < nitems(steps); i++)
		r = sql_run(st, steps[i], "");
	if (!sqlite3_get_autocommit(st->db))
		sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
	st->wipe = st->purge = 1;
	while (r == 0 && st->purge && store_maintain(st, 1) >= 0)
		;
	sql_clear(st);
	sqlite3_exec(st->db, "DETACH old", NULL, NULL, NULL);
	return (r);
}

/*
 * Put the database at ready in the place of the one at path, which is kept as
 * PATH.replaced-TIME.  If this is cut, the next start does the rest: nothing is
 * done twice, and ready goes last.
 */
static void
backup_swap(const char *path, const char *ready)
{
	char	*start = xasprintf("%s.replaced-", path);
	char	*old = backup_name(start, ""), *state = path_folder(path);
	char	*wal = xasprintf("%s-wal", path);
	char	*shm = xasprintf("%s-shm", path);
	char	*old_wal = xasprintf("%s-wal", old);

	if ((rename(wal, old_wal) == -1 && errno != ENOENT) ||
	    (unlink(shm) == -1 && errno != ENOENT) ||
	    (rename(path, old) == -1 && errno != ENOENT) ||
	    rename(ready, path) == -1 || backup_sync(state) == -1)
		log_warn("%s: restoring it", path);
	else
		log_info("%s: restored from a backup; the database before is "
		    "%s", path, old);
	free(old_wal);
	free(shm);
	free(wal);
	free(state);
	free(old);
	free(start);
}

/* Lock the database at path. Returns a descriptor, or -1 if a store has it. */
static int
backup_lock(const char *path)
{
	char	*lock = xasprintf("%s.lock", path);
	int	 fd;

	fd = open(lock, O_RDWR|O_CREAT|O_NOFOLLOW|O_CLOEXEC, 0600);
	if (fd != -1 && flock(fd, LOCK_EX|LOCK_NB) == -1) {
		close(fd);
		fd = -1;
	}
	free(lock);
	return (fd);
}

/* Put the backup at ready, which is open as st, in the place of the database at
 * path. */
static void
backup_replace(struct store *st, const char *path, const char *ready)
{
	if (access(path, F_OK) == 0 && backup_buried(st, path) != 0)
		log_warnx("%s: what was deleted since the backup may be back: "
		    "%s", path, st->why);
	store_close(st);
	backup_swap(path, ready);
}

/* Take a backup that waits to be restored. If another store has the database,
 * store_open will say so. */
void
backup_take(const char *path)
{
	static const char *const rest[] = { "lock", "key" };
	char		*ready = xasprintf("%s.restore", path), *name;
	struct store	*st = NULL;
	struct fault	 f;
	size_t		 i;
	int		 fd = -1;

	if (access(ready, F_OK) == 0 && (fd = backup_lock(path)) != -1) {
		if (store_open(ready, &st, &f) == 0)
			backup_replace(st, path, ready);
		else {
			log_warnx("not restored: %s", f.message);
			unlink(ready);
		}
		for (i = 0; i < nitems(rest); i++) {
			name = xasprintf("%s.%s", ready, rest[i]);
			unlink(name);
			free(name);
		}
		close(fd);
	}
	free(ready);
}
