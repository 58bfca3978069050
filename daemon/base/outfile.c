/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New files.  Each way of compressing is one struct outfile_way.  The
 * compressed bytes of a text are the same each time: there is no time in them.
 */
#include <config.h>
#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "path.h"
#include "xmalloc.h"

#define OUTFILE_BUF	65536
#define OUTFILE_FD	"/proc/self/fd/%d"
#define OUTFILE_LINK	(sizeof OUTFILE_FD + 12)
#define OUTFILE_GZIP	(15 + 16)	/* zlib: the largest window, and gzip's
					 * header */
#define OUTFILE_LEVEL	6		/* of gzip */
#define OUTFILE_ZLEVEL	9		/* of zstd */

struct outfile {
	char		*path;		/* owned */
	char		*temp;		/* owned: its name until then, or NULL
					 * if it has none */
	int		 fd;		/* owned, -1: closed */
	int		 failed;	/* errno of the first failure */
	int64_t		 bytes;
	struct sha256	 sum;
	const struct outfile_way *way;
	z_stream	 z;
#ifdef HAVE_ZSTD
	ZSTD_CCtx	*zstd;		/* owned */
#endif
};

/* A way of compressing. */
struct outfile_way {
	const char	*suffix;
	int		(*begin)(struct outfile *);
	/* Compress n bytes; last: and end. */
	void		(*add)(struct outfile *, const void *, size_t, int);
	void		(*end)(struct outfile *);
};

static int	outfile_open(struct outfile *);
static int	outfile_name(const struct outfile *);
static void	outfile_raw(struct outfile *, const void *, size_t);
static int	outfile_plain_begin(struct outfile *);
static void	outfile_plain_add(struct outfile *, const void *, size_t, int);
static void	outfile_plain_end(struct outfile *);
static int	outfile_gz_begin(struct outfile *);
static void	outfile_gz_add(struct outfile *, const void *, size_t, int);
static void	outfile_gz_end(struct outfile *);
static int	outfile_zst_begin(struct outfile *);
static void	outfile_zst_add(struct outfile *, const void *, size_t, int);
static void	outfile_zst_end(struct outfile *);

static const struct outfile_way outfile_ways[] = {
	{ ".gz", outfile_gz_begin, outfile_gz_add, outfile_gz_end },
	{ ".zst", outfile_zst_begin, outfile_zst_add, outfile_zst_end },
	{ "", outfile_plain_begin, outfile_plain_add, outfile_plain_end },
};

/* Write bytes as they are. */
static void
outfile_raw(struct outfile *o, const void *p, size_t n)
{
	const char	*s = p;
	ssize_t		 k;

	sha256_add(&o->sum, p, n);
	o->bytes += (int64_t)n;
	while (n > 0 && o->failed == 0) {
		if ((k = write(o->fd, s, n)) == -1) {
			if (errno != EINTR)
				o->failed = errno;
			continue;
		}
		s += k;
		n -= (size_t)k;
	}
}

/* Not compressed. */
static int
outfile_plain_begin(struct outfile *o)
{
	(void)o;
	return (0);
}

static void
outfile_plain_add(struct outfile *o, const void *p, size_t n, int last)
{
	(void)last;
	outfile_raw(o, p, n);
}

static void
outfile_plain_end(struct outfile *o)
{
	(void)o;
}

/* gzip */
static int
outfile_gz_begin(struct outfile *o)
{
	return (deflateInit2(&o->z, OUTFILE_LEVEL, Z_DEFLATED, OUTFILE_GZIP, 8,
	    Z_DEFAULT_STRATEGY) == Z_OK ? 0 : -1);
}

static void
outfile_gz_add(struct outfile *o, const void *p, size_t n, int last)
{
	unsigned char	buf[OUTFILE_BUF];
	int		rc;

	o->z.next_in = (unsigned char *)(uintptr_t)p;
	o->z.avail_in = (uInt)n;
	do {
		o->z.next_out = buf;
		o->z.avail_out = sizeof buf;
		rc = deflate(&o->z, last ? Z_FINISH : Z_NO_FLUSH);
		outfile_raw(o, buf, sizeof buf - o->z.avail_out);
	} while (rc == Z_OK && o->z.avail_out == 0);
}

static void
outfile_gz_end(struct outfile *o)
{
	deflateEnd(&o->z);
}

/* zstd */
#ifdef HAVE_ZSTD
static int
outfile_zst_begin(struct outfile *o)
{
	if ((o->zstd = ZSTD_createCCtx()) == NULL)
		return (-1);
	ZSTD_CCtx_setParameter(o->zstd, ZSTD_c_compressionLevel,
	    OUTFILE_ZLEVEL);
	ZSTD_CCtx_setParameter(o->zstd, ZSTD_c_checksumFlag, 1);
	return (0);
}

static void
outfile_zst_add(struct outfile *o, const void *p, size_t n, int last)
{
	char		 buf[OUTFILE_BUF];
	ZSTD_inBuffer	 in = { p, n, 0 };
	ZSTD_outBuffer	 to;
	size_t		 left;

	do {
		to = (ZSTD_outBuffer){ buf, sizeof buf, 0 };
		left = ZSTD_compressStream2(o->zstd, &to, &in, last ?
		    ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left)) {
			o->failed = o->failed != 0 ? o->failed : EIO;
			return;
		}
		outfile_raw(o, buf, to.pos);
	} while (last ? left > 0 : in.pos < in.size);
}

static void
outfile_zst_end(struct outfile *o)
{
	ZSTD_freeCCtx(o->zstd);
}
#else
static int
outfile_zst_begin(struct outfile *o)
{
	(void)o;
	return (-1);
}

static void
outfile_zst_add(struct outfile *o, const void *p, size_t n, int last)
{
	(void)o, (void)p, (void)n, (void)last;
}

static void
outfile_zst_end(struct outfile *o)
{
	(void)o;
}
#endif

/* Choose the way of compressing. */
static const struct outfile_way *
outfile_choose(const char *path)
{
	size_t	 i, n = strlen(path), k;

	for (i = 0; i < nitems(outfile_ways); i++) {
		k = strlen(outfile_ways[i].suffix);
		if (n > k && strcmp(path + n - k, outfile_ways[i].suffix) == 0)
			break;
	}
	return (&outfile_ways[i < nitems(outfile_ways) ? i :
	    nitems(outfile_ways) - 1]);
}

/* Remove the name that it has had so far. */
static void
outfile_unlink(const struct outfile *o)
{
	if (o->temp != NULL)
		unlink(o->temp);
}

/* Release it. */
static void
outfile_free(struct outfile *o)
{
	if (o->fd != -1)
		close(o->fd);
	free(o->path);
	free(o->temp);
	free(o);
}

/* Open a file without a name, which is gone if this process is killed, or one
 * with another name if the file system has none such. Returns 0, or -1 with
 * errno. */
static int
outfile_open(struct outfile *o)
{
	char	*folder = path_folder(o->path), link[OUTFILE_LINK];

	o->fd = open(folder, O_TMPFILE|O_WRONLY|O_CLOEXEC, 0600);
	free(folder);
	if (o->fd != -1) {
		snprintf(link, sizeof link, OUTFILE_FD, o->fd);
		if (access(link, F_OK) == 0)
			return (0);
		close(o->fd);
	}
	o->temp = xasprintf("%s.XXXXXX", o->path);
	if ((o->fd = mkostemp(o->temp, O_CLOEXEC)) != -1)
		return (0);
	free(o->temp);
	o->temp = NULL;
	return (-1);
}

/* Give the file its name. A link never takes the place of another file. Returns
 * 0, or -1 with errno. */
static int
outfile_name(const struct outfile *o)
{
	char	name[OUTFILE_LINK];

	if (o->temp != NULL)
		return (link(o->temp, o->path));
	snprintf(name, sizeof name, OUTFILE_FD, o->fd);
	return (linkat(AT_FDCWD, name, AT_FDCWD, o->path, AT_SYMLINK_FOLLOW));
}

/* Begin a file. */
int
outfile_new(const char *path, struct outfile **out, struct fault *f)
{
	struct outfile	*o;
	struct stat	 s;

	if (lstat(path, &s) == 0) {
		fault_set(f, "bad_field", "output", "%s: already exists; "
		    "expected the name of a new file", path);
		return (CHAT_ESYSTEM);
	}
	o = xcalloc(1, sizeof *o);
	o->path = xstrdup(path);
	o->way = outfile_choose(path);
	sha256_init(&o->sum);
	if (outfile_open(o) == -1) {
		fault_set(f, "bad_field", "output", "%s: %s", path,
		    strerror(errno));
		outfile_free(o);
		return (CHAT_ESYSTEM);
	}
	if (fchmod(o->fd, 0600) == -1 || o->way->begin(o) != 0) {
		fault_set(f, "bad_field", "output", "%s: this build can't "
		    "write %s files", path, o->way->suffix);
		outfile_unlink(o);
		outfile_free(o);
		return (CHAT_EFORMAT);
	}
	*out = o;
	return (0);
}

/* Add bytes. */
void
outfile_write(struct outfile *o, const void *p, size_t n)
{
	const char	*s = p;
	size_t		 k;

	for (; n > 0 && o->failed == 0; s += k, n -= k) {
		k = n < OUTFILE_BUF ? n : OUTFILE_BUF;
		o->way->add(o, s, k, 0);
	}
}

/* The stream's way to write. */
static ssize_t
outfile_cookie(void *arg, const char *buf, size_t n)
{
	struct outfile	*o = arg;

	outfile_write(o, buf, n);
	if (o->failed == 0)
		return ((ssize_t)n);
	errno = o->failed;
	return (0);
}

/* Make a stream. */
FILE *
outfile_stream(struct outfile *o)
{
	FILE	*out = fopencookie(o, "w", (cookie_io_functions_t){
		    .write = outfile_cookie });

	if (out == NULL)
		abort();	/* out of memory */
	return (out);
}

/* Complete the file. */
int
outfile_end(struct outfile *o, struct outfile_facts *facts, struct fault *f)
{
	int	 r = 0;

	if (o->failed == 0)
		o->way->add(o, "", 0, 1);
	if (o->failed == 0 && fsync(o->fd) == -1)
		o->failed = errno;
	if (o->failed == 0 && outfile_name(o) == -1)
		o->failed = errno;
	outfile_unlink(o);
	if (o->failed != 0) {
		fault_set(f, "bad_field", "output", "%s: %s", o->path,
		    strerror(o->failed));
		r = CHAT_ESYSTEM;
	}
	if (facts != NULL) {
		facts->bytes = o->bytes;
		sha256_end(&o->sum, facts->sha256);
	}
	o->way->end(o);
	outfile_free(o);
	return (r);
}

/* Remove the unfinished file. */
void
outfile_drop(struct outfile *o)
{
	if (o == NULL)
		return;
	outfile_unlink(o);
	o->way->end(o);
	outfile_free(o);
}

/* Write a whole file. */
int
outfile_put(const char *path, const char *text, size_t n, struct fault *f)
{
	struct outfile	*o;
	int		 r;

	if ((r = outfile_new(path, &o, f)) != 0)
		return (r);
	outfile_write(o, text, n);
	return (outfile_end(o, NULL, f));
}
