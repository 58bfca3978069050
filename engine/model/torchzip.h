/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zip files that torch.save writes: their members, and the places of the
 * members' bytes. Only the forms in such files are supported: stored members,
 * one after the other, with sizes from the central directory, with or without
 * ZIP64. torchbin.c interprets the members. The prefix tz_ stands for torchzip.
 *
 * A file is: for each member a local header, its bytes and an optional data
 * descriptor; the central directory; the ZIP64 end record and its locator
 * (always present in files of torch); the end record, which is the last 22
 * bytes.
 */
#ifndef MODEL_TORCHZIP_H
#define MODEL_TORCHZIP_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define TORCHZIP_DIRECTORY_MAX	(32 * 1024 * 1024)	/* bytes of the
							 * directory */
#define TORCHZIP_MEMBERS_MAX	131072
#define TORCHZIP_NAME_MAX	512			/* bytes */

/* Each way a file can be wrong. */
enum tz_error {
	TZ_OK,
	TZ_READ,		/* a read failed, or the file has shrunk */
	TZ_LEGACY,		/* written by torch before 1.6 */
	TZ_NOT_ZIP,		/* does not begin with a local header */
	TZ_END,			/* the last 22 bytes are not an end record */
	TZ_COMMENT,		/* an end record with a comment */
	TZ_DISKS,		/* of several disks */
	TZ_LOCATOR,		/* ZIP64 numbers, but no ZIP64 end record */
	TZ_END64,		/* a malformed ZIP64 end record */
	TZ_DISAGREE,		/* the two end records have different numbers */
	TZ_DIRECTORY,		/* directory is not right before the end
				 * record */
	TZ_TOO_BIG,		/* directory, members or a name over a limit */
	TZ_ENTRY,		/* a malformed entry of the directory */
	TZ_ENCRYPTED,
	TZ_FLAGS,		/* flags other than descriptor and UTF-8 */
	TZ_COMPRESSED,
	TZ_SIZES,		/* a stored member with two sizes */
	TZ_EXTRA,		/* malformed extra fields, or no ZIP64 field */
	TZ_NAME,		/* empty, absolute, "..", control characters */
	TZ_DUPLICATE,		/* two members have the same name */
	TZ_LOCAL,		/* no local header at its place */
	TZ_NAMES,		/* local and central name differ */
	TZ_LOCAL_LIES,		/* local method, flags, sizes, CRC differ */
	TZ_OVERLAP,		/* members share bytes or are out of order */
	TZ_PAST_END,		/* a member reaches into the directory */
	TZ_HOLE,		/* bytes that belong to no member */
	TZ_DESCRIPTOR		/* a descriptor differs from the directory */
};

struct tz_member {
	char		*name;		/* owned */
	uint64_t	 at;		/* first byte of its data */
	uint64_t	 size;		/* bytes */
	uint32_t	 crc;		/* CRC-32 of the data, according to the
					 * file */
};

struct torchzip {
	struct tz_member *members;	/* owned; in order of names */
	size_t		  n;
};

/*
 * Read the directory of the file open at fd, size bytes long, and check every
 * local header against it; path is only used for messages. Returns TZ_OK and
 * *out (clear it), or another code with *f filled: one line.
 */
enum tz_error	torchzip_read(const char *path, int fd, uint64_t size,
		    struct torchzip *out, struct fault *f);
void		torchzip_clear(struct torchzip *z);

/* The member of that name, or NULL. */
const struct tz_member *torchzip_find(const struct torchzip *z,
		    const char *name);

#endif
