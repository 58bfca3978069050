/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zip files of torch.save. They are not trusted: no number in them is used
 * before it has been checked against the real size of the file. Nothing is
 * searched for: a record must be exactly where the one before it says, or the
 * file is refused.
 */
#include "torchzip.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fileio.h"
#include "le.h"
#include "torchzip_impl.h"
#include "utf8.h"
#include "xmalloc.h"

#define TZ_END_SIZE		22
#define TZ_END64_SIZE		56
#define TZ_LOCATOR_SIZE		20
#define TZ_CENTRAL_SIZE		46

#define TZ_CENTRAL_SIG		0x02014b50
#define TZ_END_SIG		0x06054b50
#define TZ_END64_SIG		0x06064b50
#define TZ_LOCATOR_SIG		0x07064b50

#define TZ_FLAG_ENCRYPTED	0x0001
#define TZ_FLAG_UTF8		0x0800

static enum tz_error	tz_start(const struct tz_reader *);
static enum tz_error	tz_end(struct tz_reader *);
static enum tz_error	tz_directory(struct tz_reader *, struct torchzip *);
static enum tz_error	tz_entry(const struct tz_reader *, const uint8_t *,
			    size_t, struct tz_entry *, size_t *);
static enum tz_error	tz_name(const struct tz_reader *,
			    const struct tz_entry *);
static enum tz_error	tz_sort(const struct tz_reader *, struct torchzip *);

/* Read the directory of a file. */
enum tz_error
torchzip_read(const char *path, int fd, uint64_t size, struct torchzip *out,
    struct fault *f)
{
	struct tz_reader	 r = { .path = path, .fd = fd, .size = size,
				    .f = f };
	struct torchzip		 z = { 0 };
	enum tz_error		 e;

	if ((e = tz_start(&r)) != TZ_OK || (e = tz_end(&r)) != TZ_OK ||
	    (e = tz_directory(&r, &z)) != TZ_OK ||
	    (e = tz_sort(&r, &z)) != TZ_OK)
		goto out;
	*out = z;
	memset(&z, 0, sizeof z);
out:
	torchzip_clear(&z);
	return (e);
}

/* Release a directory. */
void
torchzip_clear(struct torchzip *z)
{
	size_t	 i;

	for (i = 0; i < z->n; i++)
		free(z->members[i].name);
	free(z->members);
	memset(z, 0, sizeof *z);
}

/* Report one line: the file and what is wrong. */
enum tz_error
tz_fail(const struct tz_reader *r, enum tz_error why, const char *fmt, ...)
{
	char	 text[300];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	fault_set(r->f, "bad_model", NULL, "%s: %s", r->path, text);
	return (why);
}

/* Read n bytes; the caller has checked that they are inside the file. */
enum tz_error
tz_bytes(const struct tz_reader *r, void *out, size_t n, uint64_t off)
{
	int	 e = fileio_read(r->fd, out, n, off);

	if (e == 0)
		return (TZ_OK);
	return (tz_fail(r, TZ_READ, "reading: %s", fileio_why(e)));
}

/* Check the first bytes: a local header, or a form that has its own message. */
static enum tz_error
tz_start(const struct tz_reader *r)
{
	/* The forms before 1.6: the pickled magic number, and the text in the
	 * first header of a tar file. */
	static const uint8_t	 magic[] = { 0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc,
				    0x9c, 0x46, 0xf9 };
	uint8_t			 b[512] = { 0 };
	enum tz_error		 e;

	if ((e = tz_bytes(r, b, r->size < sizeof b ? (size_t)r->size :
	    sizeof b, 0)) != TZ_OK)
		return (e);
	if (memcmp(b, magic, sizeof magic) == 0 ||
	    memcmp(b + 257, "ustar", 5) == 0)
		return (tz_fail(r, TZ_LEGACY, "written by PyTorch before 1.6, "
		    "which is not supported: save it again with a newer one"));
	if (r->size < 4 || le_u32(b) != TZ_LOCAL_SIG)
		return (tz_fail(r, TZ_NOT_ZIP,
		    "expected a zip file of PyTorch, found other bytes"));
	return (TZ_OK);
}

/* Read the ZIP64 end record that the locator at b points to. On return, *limit
 * is its start. */
static enum tz_error
tz_end64(struct tz_reader *r, const uint8_t *b, uint64_t *limit)
{
	uint8_t		 end[TZ_END64_SIZE];
	uint64_t	 at = le_u64(b + 8), count, size, dir;
	enum tz_error	 e;

	if (le_u32(b + 4) != 0 || le_u32(b + 16) != 1)
		return (tz_fail(r, TZ_DISKS, "a zip file of several disks"));
	if (r->size < TZ_END64_SIZE + TZ_LOCATOR_SIZE + TZ_END_SIZE ||
	    at != r->size - TZ_END64_SIZE - TZ_LOCATOR_SIZE - TZ_END_SIZE)
		return (tz_fail(r, TZ_END64, "the ZIP64 end record is not "
		    "right before its locator"));
	if ((e = tz_bytes(r, end, sizeof end, at)) != TZ_OK)
		return (e);
	if (le_u32(end) != TZ_END64_SIG ||
	    le_u64(end + 4) != TZ_END64_SIZE - 12)
		return (tz_fail(r, TZ_END64, "no ZIP64 end record at %llu",
		    (unsigned long long)at));
	count = le_u64(end + 32);
	size = le_u64(end + 40);
	dir = le_u64(end + 48);
	if (le_u32(end + 16) != 0 || le_u32(end + 20) != 0 ||
	    le_u64(end + 24) != count)
		return (tz_fail(r, TZ_DISKS, "a zip file of several disks"));
	if ((r->count != 0xffff && r->count != count) ||
	    (r->dir_size != TZ_NONE && r->dir_size != size) ||
	    (r->dir != TZ_NONE && r->dir != dir))
		return (tz_fail(r, TZ_DISAGREE,
		    "the two end records differ"));
	r->count = count;
	r->dir_size = size;
	r->dir = dir;
	*limit = at;
	return (TZ_OK);
}

/* Read the end record, and the one of ZIP64 if it exists. */
static enum tz_error
tz_end(struct tz_reader *r)
{
	uint8_t		 b[TZ_LOCATOR_SIZE + TZ_END_SIZE] = { 0 };
	const uint8_t	*end = b + TZ_LOCATOR_SIZE;
	uint64_t	 limit;		/* where the directory must end */
	enum tz_error	 e;

	if (r->size < sizeof b)
		return (tz_fail(r, TZ_END, "no end record: the file is cut"));
	if ((e = tz_bytes(r, b, sizeof b, r->size - sizeof b)) != TZ_OK)
		return (e);
	if (le_u32(end) != TZ_END_SIG)
		return (tz_fail(r, TZ_END, "the last %d bytes are not an end "
		    "record: the file is cut, or something follows it",
		    TZ_END_SIZE));
	if (le_u16(end + 20) != 0)
		return (tz_fail(r, TZ_COMMENT, "a comment at its end"));
	if (le_u16(end + 4) != 0 || le_u16(end + 6) != 0 ||
	    le_u16(end + 8) != le_u16(end + 10))
		return (tz_fail(r, TZ_DISKS, "a zip file of several disks"));
	r->count = le_u16(end + 10);
	r->dir_size = le_u32(end + 12);
	r->dir = le_u32(end + 16);
	limit = r->size - TZ_END_SIZE;
	if (le_u32(b) == TZ_LOCATOR_SIG) {
		if ((e = tz_end64(r, b, &limit)) != TZ_OK)
			return (e);
	} else if (r->count == 0xffff || r->dir_size == TZ_NONE ||
	    r->dir == TZ_NONE)
		return (tz_fail(r, TZ_LOCATOR, "the end record refers to a "
		    "ZIP64 end record, but there is no such record"));
	if (r->dir > limit || r->dir_size != limit - r->dir)
		return (tz_fail(r, TZ_DIRECTORY, "a directory of %llu bytes "
		    "at %llu does not end at %llu",
		    (unsigned long long)r->dir_size,
		    (unsigned long long)r->dir, (unsigned long long)limit));
	return (TZ_OK);
}

/* Read every entry of the directory, and the local header of each. */
static enum tz_error
tz_directory(struct tz_reader *r, struct torchzip *z)
{
	struct tz_entry		 t;
	struct tz_member	*m;
	uint8_t			*b;
	uint64_t		 data = 0;
	size_t			 at = 0, used = 0;
	enum tz_error		 e;

	if (r->dir_size > TORCHZIP_DIRECTORY_MAX ||
	    r->count > TORCHZIP_MEMBERS_MAX)
		return (tz_fail(r, TZ_TOO_BIG, "a directory of %llu members, "
		    "%llu bytes: expected at most %d, %d",
		    (unsigned long long)r->count,
		    (unsigned long long)r->dir_size, TORCHZIP_MEMBERS_MAX,
		    TORCHZIP_DIRECTORY_MAX));
	if (r->count > r->dir_size / TZ_CENTRAL_SIZE)
		return (tz_fail(r, TZ_ENTRY, "%llu members in a directory of "
		    "%llu bytes", (unsigned long long)r->count,
		    (unsigned long long)r->dir_size));
	b = xmalloc((size_t)r->dir_size + 1);
	z->members = xcalloc((size_t)r->count + 1, sizeof *z->members);
	if ((e = tz_bytes(r, b, (size_t)r->dir_size, r->dir)) != TZ_OK)
		goto out;
	for (; z->n < r->count; at += used) {
		if ((e = tz_entry(r, b + at, (size_t)r->dir_size - at, &t,
		    &used)) != TZ_OK || (e = tz_name(r, &t)) != TZ_OK ||
		    (e = tz_local(r, &t, &data)) != TZ_OK)
			goto out;
		m = &z->members[z->n++];
		m->name = xstrndup(t.name, t.name_len);
		m->at = data;
		m->size = t.size;
		m->crc = t.crc;
	}
	if (at != r->dir_size)
		e = tz_fail(r, TZ_ENTRY, "bytes after the last entry");
	else
		e = tz_gap(r, r->dir);
out:
	free(b);
	return (e);
}

/* Read one entry, of which n bytes are left at b; *used is its length. */
static enum tz_error
tz_entry(const struct tz_reader *r, const uint8_t *b, size_t n,
    struct tz_entry *t, size_t *used)
{
	uint64_t	*const wide[] = { &t->size, &t->packed, &t->local };
	size_t		 extra, comment;
	enum tz_error	 e;

	if (n < TZ_CENTRAL_SIZE || le_u32(b) != TZ_CENTRAL_SIG)
		return (tz_fail(r, TZ_ENTRY, "ends before its last entry"));
	t->flags = le_u16(b + 8);
	t->crc = le_u32(b + 16);
	t->packed = le_u32(b + 20);
	t->size = le_u32(b + 24);
	t->name_len = le_u16(b + 28);
	extra = le_u16(b + 30);
	comment = le_u16(b + 32);
	t->local = le_u32(b + 42);
	t->name = (const char *)b + TZ_CENTRAL_SIZE;
	*used = TZ_CENTRAL_SIZE + t->name_len + extra + comment;
	if (*used > n)
		return (tz_fail(r, TZ_ENTRY, "an entry past the directory"));
	if (t->flags & TZ_FLAG_ENCRYPTED)
		return (tz_fail(r, TZ_ENCRYPTED, "an encrypted member"));
	if (t->flags & ~(TZ_FLAG_DESCRIPTOR | TZ_FLAG_UTF8))
		return (tz_fail(r, TZ_FLAGS, "a member with flags 0x%x",
		    t->flags));
	if (le_u16(b + 10) != 0)
		return (tz_fail(r, TZ_COMPRESSED, "a compressed member "
		    "(method %u): PyTorch stores them as they are",
		    le_u16(b + 10)));
	if (le_u16(b + 34) != 0)
		return (tz_fail(r, TZ_DISKS, "a zip file of several disks"));
	if ((e = tz_zip64(r, b + TZ_CENTRAL_SIZE + t->name_len, extra, wide,
	    nitems(wide))) != TZ_OK)
		return (e);
	if (t->packed != t->size)
		return (tz_fail(r, TZ_SIZES, "a stored member with two sizes, "
		    "%llu and %llu", (unsigned long long)t->packed,
		    (unsigned long long)t->size));
	return (TZ_OK);
}

/* Check that a name is a plain path inside the archive. */
static enum tz_error
tz_name(const struct tz_reader *r, const struct tz_entry *t)
{
	const char	*s = t->name;
	size_t		 i, part = 0;
	int		 bad;

	if (t->name_len > TORCHZIP_NAME_MAX)
		return (tz_fail(r, TZ_TOO_BIG, "a name of %zu bytes: expected "
		    "at most %d", t->name_len, TORCHZIP_NAME_MAX));
	bad = t->name_len == 0 || !utf8_valid(s, t->name_len);
	for (i = 0; i < t->name_len && !bad; i++)
		bad = (uint8_t)s[i] < ' ' || s[i] == 127 || s[i] == '\\' ||
		    s[i] == ':';
	for (i = 0; i <= t->name_len && !bad; i++) {
		if (i < t->name_len && s[i] != '/')
			continue;
		bad = i == part || (i - part == 1 && s[part] == '.') ||
		    (i - part == 2 && memcmp(s + part, "..", 2) == 0);
		part = i + 1;
	}
	if (bad)
		return (tz_fail(r, TZ_NAME, "a name that is not a plain path"));
	return (TZ_OK);
}

/* Compare names. */
static int
tz_compare(const void *a, const void *b)
{
	const struct tz_member	*x = a, *y = b;

	return (strcmp(x->name, y->name));
}

/* Sort members by name; two members must not have the same name. */
static enum tz_error
tz_sort(const struct tz_reader *r, struct torchzip *z)
{
	size_t	 i;

	qsort(z->members, z->n, sizeof *z->members, tz_compare);
	for (i = 1; i < z->n; i++)
		if (tz_compare(&z->members[i - 1], &z->members[i]) == 0)
			return (tz_fail(r, TZ_DUPLICATE,
			    "%.200s: is in the file twice",
			    z->members[i].name));
	return (TZ_OK);
}

/* Find a member by name. */
const struct tz_member *
torchzip_find(const struct torchzip *z, const char *name)
{
	struct tz_member	 key = { .name = (char *)(uintptr_t)name };

	return (bsearch(&key, z->members, z->n, sizeof key, tz_compare));
}
