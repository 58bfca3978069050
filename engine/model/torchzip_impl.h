/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the reader of torch.save's zip files: torchzip.c has the records at
 * the end and the directory, torchzip_local.c what stands beside the members.
 */
#ifndef MODEL_TORCHZIP_IMPL_H
#define MODEL_TORCHZIP_IMPL_H

#include "torchzip.h"

#define TZ_LOCAL_SIG		0x04034b50
#define TZ_FLAG_DESCRIPTOR	0x0008
#define TZ_NONE			0xffffffff	/* see the ZIP64 field */

/* A file while it is read. */
struct tz_reader {
	const char	*path;
	int		 fd;
	uint64_t	 size;		/* of the file */
	uint64_t	 dir, dir_size;	/* the central directory */
	uint64_t	 count;		/* its entries */
	uint64_t	 at;		/* end of the member before this one */
	uint64_t	 last_size;	/* of that member */
	uint32_t	 last_crc;
	int		 later;		/* a descriptor may stand there */
	struct fault	*f;
};

/* One entry of the directory. */
struct tz_entry {
	const char	*name;		/* borrowed; not ended by NUL */
	size_t		 name_len;
	uint16_t	 flags;
	uint32_t	 crc;
	uint64_t	 size, packed, local;
};

/* Fail: file and words. */
enum tz_error	tz_fail(const struct tz_reader *r, enum tz_error why,
		    const char *fmt, ...)
		    __attribute__((format(printf, 3, 4)));

/* Read n bytes at off, which the file's size promises. */
enum tz_error	tz_bytes(const struct tz_reader *r, void *out, size_t n,
		    uint64_t off);

/* Fetch those of the n numbers that are TZ_NONE, in this order, from the
 * ZIP64 field among the extra fields of size bytes at b. */
enum tz_error	tz_zip64(const struct tz_reader *r, const uint8_t *b,
		    size_t size, uint64_t *const *wide, size_t n);

/* Check that between the last member and what follows it at next there is
 * nothing, or its descriptor. */
enum tz_error	tz_gap(const struct tz_reader *r, uint64_t next);

/* Check the local header of an entry, and what is before it. *data: the
 * first byte behind it. The member is then r's last one. */
enum tz_error	tz_local(struct tz_reader *r, const struct tz_entry *t,
		    uint64_t *data);

#endif
