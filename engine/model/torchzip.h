/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zip files that torch.save writes: which members are inside and where
 * their bytes are.  Only the forms in such files are read: stored members, one
 * after the other, with sizes from the central directory, ZIP64 or not.
 * torchbin.c interprets the members.  The prefix tz_ stands for torchzip.
 *
 * A file is: for each member a local header, its bytes and perhaps a data
 * descriptor; the central directory; the ZIP64 end record and its locator
 * (always in torch's files); the end record, which are the last 22 bytes.
 */
#ifndef MODEL_TORCHZIP_H
#define MODEL_TORCHZIP_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define TORCHZIP_DIRECTORY_MAX	(32 * 1024 * 1024)	/* bytes of it */
#define TORCHZIP_MEMBERS_MAX	131072
#define TORCHZIP_NAME_MAX	512			/* bytes */

/* Each way a file can be wrong. */
enum tz_error {
	TZ_OK,
	TZ_READ,		/* a read failed, or the file has shrunk */
	TZ_LEGACY,		/* written by torch before 1.6 */
	TZ_NOT_ZIP,		/* does not begin with a local header */
	TZ_END,			/* the last 22 bytes are no end record */
	TZ_COMMENT,		/* an end record with a comment */
	TZ_DISKS,		/* of several disks */
	TZ_LOCATOR,		/* ZIP64 numbers, but no end record of it */
	TZ_END64,		/* a ZIP64 end record that is none */
	TZ_DISAGREE,		/* both end records, different numbers */
	TZ_DIRECTORY,		/* directory not right before the end record */
	TZ_TOO_BIG,		/* directory, members or a name over a limit */
	TZ_ENTRY,		/* a broken entry of the directory */
	TZ_ENCRYPTED,
	TZ_FLAGS,		/* other flags than descriptor and UTF-8 */
	TZ_COMPRESSED,
	TZ_SIZES,		/* stored, yet two sizes */
	TZ_EXTRA,		/* extra fields broken, or no ZIP64 field */
	TZ_NAME,		/* empty, absolute, "..", control characters */
	TZ_DUPLICATE,		/* two members of one name */
	TZ_LOCAL,		/* no local header there */
	TZ_NAMES,		/* local and central name differ */
	TZ_LOCAL_LIES,		/* local method, flags, sizes, CRC differ */
	TZ_OVERLAP,		/* members share bytes, or out of order */
	TZ_PAST_END,		/* a member reaches into the directory */
	TZ_HOLE,		/* bytes that belong to no member */
	TZ_DESCRIPTOR		/* other than the directory */
};

struct tz_member {
	char		*name;		/* owned */
	uint64_t	 at;		/* first byte of its data */
	uint64_t	 size;		/* bytes */
	uint32_t	 crc;		/* CRC-32 of them, as the file says */
};

struct torchzip {
	struct tz_member *members;	/* owned; in order of names */
	size_t		  n;
};

/*
 * Read the directory of the file open at fd, size bytes long, and check every
 * local header against it; path is only named in errors. TZ_OK and *out
 * (clear it), or another code with *f filled: one line.
 */
enum tz_error	torchzip_read(const char *path, int fd, uint64_t size,
		    struct torchzip *out, struct fault *f);
void		torchzip_clear(struct torchzip *z);

/* The member of that name, or NULL. */
const struct tz_member *torchzip_find(const struct torchzip *z,
		    const char *name);

#endif
