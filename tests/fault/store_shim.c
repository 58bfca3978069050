/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaded in front of chatd-store (LD_PRELOAD) by test_store_faults.py and
 * bench/durability.py: makes calls on the database and its log fail, kills the
 * process before one of them, or records them for a power cut.
 *
 *   SHIM_CALL    write, sync, read or truncate: which calls are meant
 *   SHIM_AT      the number of the first of them to fail, from 1
 *   SHIM_STICKY  set: all later ones fail too
 *   SHIM_LIE     set: they do nothing and report success instead
 *   SHIM_KILL    set: the process is killed instead (kill -9)
 *   SHIM_NORMAL  set: SQLite runs with synchronous = NORMAL, which does not
 *                sync each commit
 *   SHIM_LOG     a file that takes a record for every call that changes
 *                something, and for every answer that is sent:
 *                kind (1 byte: W, T, S or O), file (1 byte: d, w or o),
 *                offset and length (8 bytes each), then the bytes written
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SHIM_PASS, SHIM_FAIL, SHIM_LIED };

ssize_t	pwrite64(int fd, const void *buf, size_t n, off64_t off);
ssize_t	pwrite(int fd, const void *buf, size_t n, off_t off);
ssize_t	pread64(int fd, void *buf, size_t n, off64_t off);
ssize_t	pread(int fd, void *buf, size_t n, off_t off);
int	ftruncate64(int fd, off64_t size);
int	ftruncate(int fd, off_t size);
int	fdatasync(int fd);
int	fsync(int fd);
ssize_t	write(int fd, const void *buf, size_t n);
int	sqlite3_exec(void *db, const char *sql, void *cb, void *arg,
	    void *error);

/* 'd' for the database, 'w' for its log, 0 for all else. */
static char
shim_file(int fd)
{
	char	link[64], path[4096];
	ssize_t	n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	if ((n = readlink(link, path, sizeof path - 1)) == -1)
		return (0);
	path[n] = '\0';
	if (n > 8 && strcmp(path + n - 8, "chatd.db") == 0)
		return ('d');
	if (n > 12 && strcmp(path + n - 12, "chatd.db-wal") == 0)
		return ('w');
	return (0);
}

/* The C library's function of a name. */
static void
shim_real(void *fn, const char *name)
{
	*(void **)fn = dlsym(RTLD_NEXT, name);
}

/* Write a record. */
static void
shim_record(char kind, char file, uint64_t off, const void *buf, uint64_t n)
{
	static int	 fd = -1;
	ssize_t		(*real)(int, const void *, size_t);
	const char	*path = getenv("SHIM_LOG");
	char		 head[18] = { kind, file };

	if (path == NULL)
		return;
	if (fd == -1)
		fd = open(path, O_WRONLY|O_CREAT|O_APPEND|O_CLOEXEC, 0600);
	memcpy(head + 2, &off, 8);
	memcpy(head + 10, &n, 8);
	shim_real(&real, "write");
	if (real(fd, head, sizeof head) == -1 ||
	    (buf != NULL && real(fd, buf, n) == -1))
		abort();
}

/* Decide what to do with this call. */
static int
shim_fate(const char *call, int fd)
{
	static long	 count;
	const char	*which = getenv("SHIM_CALL"), *at = getenv("SHIM_AT");

	if (which == NULL || at == NULL || strcmp(which, call) != 0 ||
	    !shim_file(fd))
		return (SHIM_PASS);
	count++;
	if (count != atol(at) &&
	    (count < atol(at) || getenv("SHIM_STICKY") == NULL))
		return (SHIM_PASS);
	if (count == atol(at))
		fputs("shim: here\n", stderr);
	if (getenv("SHIM_KILL") != NULL)
		raise(SIGKILL);
	if (getenv("SHIM_LIE") != NULL)
		return (SHIM_LIED);
	errno = EIO;
	return (SHIM_FAIL);
}

ssize_t
pwrite64(int fd, const void *buf, size_t n, off64_t off)
{
	ssize_t	(*real)(int, const void *, size_t, off64_t);
	int	fate = shim_fate("write", fd);
	char	file;

	if (fate != SHIM_PASS)
		return (fate == SHIM_FAIL ? -1 : (ssize_t)n);
	if ((file = shim_file(fd)) != 0)
		shim_record('W', file, (uint64_t)off, buf, n);
	shim_real(&real, "pwrite64");
	return (real(fd, buf, n, off));
}

ssize_t
pwrite(int fd, const void *buf, size_t n, off_t off)
{
	return (pwrite64(fd, buf, n, off));
}

ssize_t
pread64(int fd, void *buf, size_t n, off64_t off)
{
	ssize_t	(*real)(int, void *, size_t, off64_t);

	if (shim_fate("read", fd) == SHIM_FAIL)
		return (-1);
	shim_real(&real, "pread64");
	return (real(fd, buf, n, off));
}

ssize_t
pread(int fd, void *buf, size_t n, off_t off)
{
	return (pread64(fd, buf, n, off));
}

int
ftruncate64(int fd, off64_t size)
{
	int	(*real)(int, off64_t);
	int	fate = shim_fate("truncate", fd);
	char	file;

	if (fate != SHIM_PASS)
		return (fate == SHIM_FAIL ? -1 : 0);
	if ((file = shim_file(fd)) != 0)
		shim_record('T', file, (uint64_t)size, NULL, 0);
	shim_real(&real, "ftruncate64");
	return (real(fd, size));
}

int
ftruncate(int fd, off_t size)
{
	return (ftruncate64(fd, size));
}

int
fdatasync(int fd)
{
	int	(*real)(int);
	int	fate = shim_fate("sync", fd), r;
	char	file;

	if (fate != SHIM_PASS)
		return (fate == SHIM_FAIL ? -1 : 0);
	shim_real(&real, "fdatasync");
	r = real(fd);
	if (r == 0 && (file = shim_file(fd)) != 0)
		shim_record('S', file, 0, NULL, 0);
	return (r);
}

int
fsync(int fd)
{
	return (fdatasync(fd));
}

/* SQLite's function, which sets up the store's connection. */
int
sqlite3_exec(void *db, const char *sql, void *cb, void *arg, void *error)
{
	static const char	full[] = "synchronous = FULL";
	int	(*real)(void *, const char *, void *, void *, void *);
	char	*copy, *at;
	int	 r;

	shim_real(&real, "sqlite3_exec");
	if (getenv("SHIM_NORMAL") == NULL || sql == NULL ||
	    strstr(sql, full) == NULL)
		return (real(db, sql, cb, arg, error));
	if ((copy = strdup(sql)) == NULL)
		abort();
	at = strstr(copy, full);
	memcpy(at, "synchronous = 1   ", sizeof full - 1);
	r = real(db, copy, cb, arg, error);
	free(copy);
	return (r);
}

/* Answers go out through a pipe: from here on they are a promise. */
ssize_t
write(int fd, const void *buf, size_t n)
{
	ssize_t	(*real)(int, const void *, size_t);

	if (fd == STDOUT_FILENO)
		shim_record('O', 'o', 0, buf, n);
	shim_real(&real, "write");
	return (real(fd, buf, n));
}
