/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records beside the members of torch.save's zip files: the local header,
 * its ZIP64 field and the descriptor of each member are compared with the
 * directory.
 */
#include "torchzip_impl.h"

#include <stdlib.h>
#include <string.h>

#include "le.h"
#include "xmalloc.h"

#define TZ_LOCAL_SIZE		30
#define TZ_EXTRA_ZIP64		0x0001
#define TZ_DESCRIPTOR_SIG	0x08074b50
#define TZ_DESCRIPTOR_SIZE	16	/* bytes: signature, CRC, two sizes of
					 * 4 */
#define TZ_DESCRIPTOR64_SIZE	24	/* the same with two sizes of 8 */

/* Read the numbers that do not fit into 32 bits. */
enum tz_error
tz_zip64(const struct tz_reader *r, const uint8_t *b, size_t size,
    uint64_t *const *wide, size_t n)
{
	const uint8_t	*field = NULL;
	size_t		 left = 0, len, i;

	for (; size > 0; b += 4 + len, size -= 4 + len) {
		if (size < 4 || (len = le_u16(b + 2)) > size - 4)
			return (tz_fail(r, TZ_EXTRA, "broken extra fields"));
		if (le_u16(b) != TZ_EXTRA_ZIP64)
			continue;
		if (field != NULL)
			return (tz_fail(r, TZ_EXTRA, "two ZIP64 fields"));
		field = b + 4;
		left = len;
	}
	for (i = 0; i < n; i++) {
		if (*wide[i] != TZ_NONE)
			continue;
		if (left < 8)
			return (tz_fail(r, TZ_EXTRA, "no ZIP64 field"));
		*wide[i] = le_u64(field);
		field += 8;
		left -= 8;
	}
	return (TZ_OK);
}

/* Check the bytes between a member and next: there are none, or they are a data
 * descriptor that is equal to the directory. This also checks the length of the
 * local header, which is only recorded there. */
enum tz_error
tz_gap(const struct tz_reader *r, uint64_t next)
{
	uint8_t		 b[TZ_DESCRIPTOR64_SIZE];
	uint64_t	 n = next - r->at, packed, size;
	enum tz_error	 e;

	if (n == 0)
		return (TZ_OK);
	if (!r->later || (n != TZ_DESCRIPTOR_SIZE &&
	    n != TZ_DESCRIPTOR64_SIZE))
		return (tz_fail(r, TZ_HOLE, "%llu bytes at %llu belong to no "
		    "member", (unsigned long long)n,
		    (unsigned long long)r->at));
	if ((e = tz_bytes(r, b, (size_t)n, r->at)) != TZ_OK)
		return (e);
	packed = n == sizeof b ? le_u64(b + 8) : le_u32(b + 8);
	size = n == sizeof b ? le_u64(b + 16) : le_u32(b + 12);
	if (le_u32(b) != TZ_DESCRIPTOR_SIG ||
	    le_u32(b + 4) != r->last_crc || packed != r->last_size ||
	    size != r->last_size)
		return (tz_fail(r, TZ_DESCRIPTOR, "the descriptor at %llu "
		    "differs from the directory",
		    (unsigned long long)r->at));
	return (TZ_OK);
}

/* Read sizes from the extra fields, n bytes at off. */
static enum tz_error
tz_local64(const struct tz_reader *r, size_t n, uint64_t off, uint64_t *size,
    uint64_t *packed)
{
	uint64_t	*const wide[] = { size, packed };
	uint8_t		*b = xmalloc(n + 1);
	enum tz_error	 e;

	if ((e = tz_bytes(r, b, n, off)) == TZ_OK)
		e = tz_zip64(r, b, n, wide, nitems(wide));
	free(b);
	return (e);
}

/* Check that flags, method, checksum and sizes of the local header b are equal
 * to the directory, or 0 if a descriptor has them. `extra` is the length of its
 * extra fields. */
static enum tz_error
tz_local_agrees(const struct tz_reader *r, const struct tz_entry *t,
    const uint8_t *b, uint64_t extra)
{
	const int	 later = (t->flags & TZ_FLAG_DESCRIPTOR) != 0;
	const uint32_t	 crc = le_u32(b + 14);
	uint64_t	 packed = le_u32(b + 18);
	uint64_t	 size = le_u32(b + 22);
	enum tz_error	 e;

	if ((size == TZ_NONE || packed == TZ_NONE) &&
	    (e = tz_local64(r, le_u16(b + 28), extra, &size, &packed)) !=
	    TZ_OK)
		return (e);
	if (le_u16(b + 6) == t->flags && le_u16(b + 8) == 0 &&
	    (crc == t->crc || (later && crc == 0)) && packed == size &&
	    (size == t->size || (later && size == 0)))
		return (TZ_OK);
	return (tz_fail(r, TZ_LOCAL_LIES, "%.*s: its own header differs "
	    "from the directory in flags, method, checksum or size",
	    (int)t->name_len, t->name));
}

/* Check the local header of an entry; *data is the first byte after it. */
enum tz_error
tz_local(struct tz_reader *r, const struct tz_entry *t, uint64_t *data)
{
	uint8_t		 b[TZ_LOCAL_SIZE + TORCHZIP_NAME_MAX];
	size_t		 n = TZ_LOCAL_SIZE + t->name_len;
	enum tz_error	 e;

	if (t->local < r->at)
		return (tz_fail(r, TZ_OVERLAP, "%.*s: starts at %llu, inside "
		    "the member before it", (int)t->name_len, t->name,
		    (unsigned long long)t->local));
	if (t->local > r->dir || n > r->dir - t->local)
		return (tz_fail(r, TZ_PAST_END, "%.*s: starts at %llu, past "
		    "the members", (int)t->name_len, t->name,
		    (unsigned long long)t->local));
	if ((e = tz_gap(r, t->local)) != TZ_OK ||
	    (e = tz_bytes(r, b, n, t->local)) != TZ_OK)
		return (e);
	if (le_u32(b) != TZ_LOCAL_SIG)
		return (tz_fail(r, TZ_LOCAL, "%.*s: no header at %llu",
		    (int)t->name_len, t->name, (unsigned long long)t->local));
	if (le_u16(b + 26) != t->name_len ||
	    memcmp(b + TZ_LOCAL_SIZE, t->name, t->name_len) != 0)
		return (tz_fail(r, TZ_NAMES, "%.*s: has another name in its "
		    "own header", (int)t->name_len, t->name));
	*data = t->local + n + le_u16(b + 28);
	if (*data > r->dir || t->size > r->dir - *data)
		return (tz_fail(r, TZ_PAST_END, "%.*s: %llu bytes at %llu "
		    "reach past the members", (int)t->name_len, t->name,
		    (unsigned long long)t->size, (unsigned long long)*data));
	if ((e = tz_local_agrees(r, t, b, t->local + n)) != TZ_OK)
		return (e);
	r->at = *data + t->size;
	r->last_size = t->size;
	r->last_crc = t->crc;
	r->later = (t->flags & TZ_FLAG_DESCRIPTOR) != 0;
	return (TZ_OK);
}
