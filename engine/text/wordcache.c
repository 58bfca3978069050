/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A direct-mapped cache: each word has exactly one slot, and a slot is one line
 * of the processor's cache.
 */
#include "wordcache.h"

#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define WORDCACHE_BITS	14	/* 16384 slots, 1 MiB */

/* The bytes of the word in little-endian order, padded with zeros; the last
 * byte is the length. All zeros if the slot is empty. */
struct wordcache_key {
	uint64_t	 w[3];
};

struct wordcache_entry {
	struct wordcache_key	 key;
	int32_t			 id[WORDCACHE_IDS];
	uint32_t		 n;		/* ids; the bits above them hold
						 * the generation, see below */
};

#define WORDCACHE_N_BITS 4
_Static_assert(WORDCACHE_IDS < 1 << WORDCACHE_N_BITS, "room for n");
#define WORDCACHE_TIMES	((uint32_t)1 << (32 - WORDCACHE_N_BITS))

/* Words are forgotten by counting up `time`: a slot of another time is
 * empty. */
struct wordcache {
	struct wordcache_entry	 entry[1 << WORDCACHE_BITS];
	uint32_t		 time;		/* below WORDCACHE_TIMES */
};

/* Make an empty cache. */
struct wordcache *
wordcache_new(void)
{
	return (xcalloc(1, sizeof(struct wordcache)));
}

/* Release a cache. */
void
wordcache_free(struct wordcache *c)
{
	free(c);
}

/* Make the key of a word of at most WORDCACHE_BYTES. */
static struct wordcache_key
wordcache_key(const char *s, size_t n, size_t room)
{
	struct wordcache_key	 k = { { 0, 0, 0 } };
	unsigned		 i;

	if (room < sizeof k)
		memcpy(&k, s, n);
	else
		memcpy(&k, s, sizeof k);
	for (i = 0; i < 3; i++) {
		k.w[i] = le64toh(k.w[i]);
		if (n < i * 8 + 8)
			k.w[i] &= n <= i * 8 ? 0 :
			    ~(uint64_t)0 >> (64 - (n - i * 8) * 8);
	}
	k.w[2] |= (uint64_t)n << 56;
	return (k);
}

/* Return the slot of a word. */
static size_t
wordcache_place(const struct wordcache_key *k)
{
	uint64_t	 h;

	h = (k->w[0] ^ (k->w[1] << 29 | k->w[1] >> 35)) * 0x9e3779b97f4a7c15U;
	h = (h ^ h >> 32 ^ k->w[2]) * 0xd6e8feb86659fd93U;
	return ((size_t)(h >> (64 - WORDCACHE_BITS)));
}

/* Forget all words. */
void
wordcache_forget(struct wordcache *c)
{
	if (++c->time < WORDCACHE_TIMES)
		return;
	memset(c->entry, 0, sizeof c->entry);
	c->time = 0;
}

/* Look a word up. */
int
wordcache_get(const struct wordcache *c, const char *s, size_t n, size_t room,
    struct idbuf *out)
{
	const struct wordcache_entry	*e;
	struct wordcache_key		 k;

	if (n > WORDCACHE_BYTES)
		return (0);
	k = wordcache_key(s, n, room);
	e = &c->entry[wordcache_place(&k)];
	if (e->key.w[0] != k.w[0] || e->key.w[1] != k.w[1] ||
	    e->key.w[2] != k.w[2] || e->n >> WORDCACHE_N_BITS != c->time)
		return (0);
	idbuf_append(out, e->id, e->n & ((1 << WORDCACHE_N_BITS) - 1));
	return (1);
}

/* Keep a word. */
void
wordcache_put(struct wordcache *c, const char *s, size_t n, const int32_t *id,
    size_t ids)
{
	struct wordcache_entry	*e;
	struct wordcache_key	 k;

	if (n > WORDCACHE_BYTES || ids > WORDCACHE_IDS)
		return;
	k = wordcache_key(s, n, n);
	e = &c->entry[wordcache_place(&k)];
	e->key = k;
	e->n = (uint32_t)ids | c->time << WORDCACHE_N_BITS;
	memcpy(e->id, id, ids * sizeof *id);
}
