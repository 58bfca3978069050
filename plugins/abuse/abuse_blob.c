/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of abuse_seen.c as bytes, with the lowest byte of a number first:
 *
 *   8 bytes      "chabuse" and the version, 1
 *   u16, u16     number of groups, number of rates
 *   each group   u64 signature, u8 link, u8 events (newest group first);
 *                each event u32 account, u32 seconds (oldest first)
 *   each rate    u32 account, u32 start, u16 count, u16 before
 *   u64          checksum of all that comes before
 */
#include "abuse_seen.h"

#include <string.h>

#define BLOB_MAGIC	"chabuse\1"
#define BLOB_HEAD	12u
#define BLOB_GROUP	10u
#define BLOB_EVENT	8u
#define BLOB_RATE	12u
#define BLOB_SUM	8u
#define BLOB_RATES	512u	/* at most that many rates are written */

/* Write a number of n bytes. */
static unsigned char *
blob_put(unsigned char *p, uint64_t v, unsigned n)
{
	for (; n > 0; n--, v >>= 8)
		*p++ = (unsigned char)v;
	return (p);
}

/* Read one. */
static uint64_t
blob_get(const unsigned char *p, unsigned n)
{
	uint64_t	 v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return (v);
}

/* The checksum (FNV-1a). */
static uint64_t
blob_sum(const unsigned char *p, size_t n)
{
	uint64_t	 h = UINT64_C(0xcbf29ce484222325);

	while (n-- > 0)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return (h);
}

/* Write the tables. */
size_t
abuse_seen_save(const struct abuse_seen *s, void *blob, size_t room)
{
	const struct seen_group	*gr;
	unsigned char		*p = blob, *end;
	unsigned		 groups = 0, rates = 0, i, k;
	uint16_t		 g;

	if (room < BLOB_HEAD + BLOB_RATES * BLOB_RATE + BLOB_SUM)
		return (0);
	end = p + room - BLOB_RATES * BLOB_RATE - BLOB_SUM;
	p += BLOB_HEAD;
	for (g = s->newest; g != SEEN_NONE; g = gr->older, groups++) {
		gr = &s->group[g];
		if ((size_t)(end - p) < BLOB_GROUP + gr->n * BLOB_EVENT)
			break;
		p = blob_put(p, s->sign[g], 8);
		p = blob_put(p, gr->link, 1);
		p = blob_put(p, gr->n, 1);
		for (k = 0; k < gr->n; k++) {
			p = blob_put(p, gr->event[k].account, 4);
			p = blob_put(p, gr->event[k].time, 4);
		}
	}
	/* Those that send most. */
	for (k = 65536; k > 0 && rates < BLOB_RATES; k /= 4) {
		for (i = 0; i < ABUSE_ACCOUNTS && rates < BLOB_RATES; i++) {
			const struct seen_rate *r = &s->rate[i];
			unsigned n = r->count + r->before;

			if (r->account == 0 || n < k / 4 ||
			    (k < 65536 && n >= k))
				continue;
			p = blob_put(p, r->account, 4);
			p = blob_put(p, r->start, 4);
			p = blob_put(p, r->count, 2);
			p = blob_put(p, r->before, 2);
			rates++;
		}
	}
	memcpy(blob, BLOB_MAGIC, 8);
	blob_put((unsigned char *)blob + 8, groups, 2);
	blob_put((unsigned char *)blob + 10, rates, 2);
	p = blob_put(p, blob_sum(blob, (size_t)(p - (unsigned char *)blob)), 8);
	return ((size_t)(p - (unsigned char *)blob));
}

/* Check a group of at most len bytes. Returns its length, or 0. */
static size_t
blob_group(const unsigned char *p, size_t len)
{
	unsigned	 n, k;

	if (len < BLOB_GROUP)
		return (0);
	n = p[9];
	if (p[8] > 1 || n < 1 || n > ABUSE_EVENTS ||
	    len < BLOB_GROUP + n * BLOB_EVENT)
		return (0);
	for (k = 0; k < n; k++) {
		const unsigned char *e = p + BLOB_GROUP + k * BLOB_EVENT;

		if (blob_get(e, 4) == 0 || (k > 0 &&
		    blob_get(e + 4, 4) < blob_get(e - 4, 4)))
			return (0);
	}
	return (BLOB_GROUP + n * BLOB_EVENT);
}

/* Take over a group that was checked. */
static void
blob_take_group(struct abuse_seen *s, const unsigned char *p)
{
	struct seen_group	*gr = seen_take(s, blob_get(p, 8), p[8]);
	unsigned		 n = p[9];

	for (p += BLOB_GROUP; gr->n < n; gr->n++, p += BLOB_EVENT) {
		gr->event[gr->n].account = (uint32_t)blob_get(p, 4);
		gr->event[gr->n].time = (uint32_t)blob_get(p + 4, 4);
	}
}

/* Take over a rate. */
static void
blob_take_rate(struct abuse_seen *s, const unsigned char *p)
{
	uint32_t		 account = (uint32_t)blob_get(p, 4);
	struct seen_rate	*r = seen_rate_place(s, account);

	r->account = account;
	r->start = (uint32_t)blob_get(p + 4, 4);
	r->count = (uint16_t)blob_get(p + 8, 2);
	r->before = (uint16_t)blob_get(p + 10, 2);
}

/* Read the tables. */
int
abuse_seen_restore(struct abuse_seen *s, const void *blob, size_t len,
    const char **why)
{
	const unsigned char	*b = blob;
	uint32_t		 at[ABUSE_GROUPS];
	size_t			 pos = BLOB_HEAD, groups, rates, i, n;

	*why = "it is too short";
	if (len < BLOB_HEAD + BLOB_SUM)
		return (-1);
	*why = "it is of another version";
	if (memcmp(b, BLOB_MAGIC, 8) != 0)
		return (-1);
	*why = "its checksum is wrong";
	len -= BLOB_SUM;
	if (blob_get(b + len, 8) != blob_sum(b, len))
		return (-1);
	groups = blob_get(b + 8, 2);
	rates = blob_get(b + 10, 2);
	*why = "its numbers are not sound";
	if (groups > ABUSE_GROUPS || rates > ABUSE_ACCOUNTS)
		return (-1);
	for (i = 0; i < groups; i++, pos += n) {
		if ((n = blob_group(b + pos, len - pos)) == 0)
			return (-1);
		at[i] = (uint32_t)pos;
	}
	if (len - pos != rates * BLOB_RATE)
		return (-1);
	for (i = 0; i < rates; i++) {
		if (blob_get(b + pos + i * BLOB_RATE, 4) == 0)
			return (-1);
	}
	for (i = groups; i-- > 0; )
		blob_take_group(s, b + at[i]);
	for (i = 0; i < rates; i++)
		blob_take_rate(s, b + pos + i * BLOB_RATE);
	return (0);
}
