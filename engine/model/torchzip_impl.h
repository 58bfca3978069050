/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the reader of torch.save's zip files: torchzip.c reads the records at
 * the end and the directory, and torchzip_local.c reads the records beside the
 * members.
 */
#ifndef MODEL_TORCHZIP_IMPL_H
#define MODEL_TORCHZIP_IMPL_H

#include "torchzip.h"

#define TZ_LOCAL_SIG		0x04034b50
#define TZ_FLAG_DESCRIPTOR	0x0008
#define TZ_NONE			0xffffffff	/* the number is in the ZIP64
						 * field */

/* The state of torchzip_read. */
struct tz_reader {
	const char	*path;
	int		 fd;
	uint64_t	 size;		/* of the file */
	uint64_t	 dir, dir_size;	/* the central directory */
	uint64_t	 count;		/* its entries */
	uint64_t	 at;		/* end of the member before this one */
	uint64_t	 last_size;	/* of that member */
	uint32_t	 last_crc;
	int		 later;		/* a descriptor may follow it */
	struct fault	*f;
};

/* One entry of the directory. */
struct tz_entry {
	const char	*name;		/* borrowed; without a NUL */
	size_t		 name_len;
	uint16_t	 flags;
	uint32_t	 crc;
	uint64_t	 size, packed, local;
};

/* Report an error: the file, and what is wrong. */
enum tz_error	tz_fail(const struct tz_reader *r, enum tz_error why,
		    const char *fmt, ...)
		    __attribute__((format(printf, 3, 4)));

/* Read n bytes at off; the caller has checked that they are inside the file. */
enum tz_error	tz_bytes(const struct tz_reader *r, void *out, size_t n,
		    uint64_t off);

/* Replace each of the n numbers that is TZ_NONE, in this order, by its value in
 * the ZIP64 field of the extra fields, size bytes at b. */
enum tz_error	tz_zip64(const struct tz_reader *r, const uint8_t *b,
		    size_t size, uint64_t *const *wide, size_t n);

/* Check that the bytes between the last member and next are empty, or are its
 * data descriptor. */
enum tz_error	tz_gap(const struct tz_reader *r, uint64_t next);

/* Check the local header of an entry and the bytes before it. *data is the
 * first byte after the header. The member becomes the last one of r. */
enum tz_error	tz_local(struct tz_reader *r, const struct tz_entry *t,
		    uint64_t *data);

#endif
