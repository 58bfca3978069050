/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes that a match can begin with.  Most places of a text fail this test,
 * and the matcher need not run there.
 */
#ifndef FIRST_H
#define FIRST_H

#include <stddef.h>
#include <stdint.h>

/* Sets of the first two bytes and of the first byte of matches. */
struct first {
	uint64_t	 pairs[65536 / 64];	/* bit (first << 8 | second) */
	uint64_t	 bytes[256 / 64];	/* any second byte, or none */
	int		 bound;			/* never inside a word */
};

/*
 * A superset of the beginnings of matches of a PCRE2 pattern of len bytes,
 * which compiles (UTF, caseless). The caller frees it. NULL if the beginnings
 * are not known, or if the pattern matches the empty string.
 */
struct first	*first_of(const char *pattern, size_t len);

extern const unsigned char first_word[256];

/* Is c a letter, a digit or "_" of ASCII? */
static inline int
first_is_word(unsigned c)
{
	return (first_word[c & 0xff]);
}

/* Can a match begin at text[i], i < len? Any byte may follow the text. */
static inline int
first_may_begin(const struct first *f, const char *text, size_t len,
    size_t i)
{
	unsigned	 c = (unsigned char)text[i], pair;

	if (f->bound && i > 0 && first_is_word(c) &&
	    first_is_word((unsigned char)text[i - 1]))
		return (0);
	if (!((f->bytes[c / 64] >> (c % 64)) & 1))
		return (0);
	if (i + 1 == len)
		return (1);
	pair = c << 8 | (unsigned char)text[i + 1];
	return ((int)((f->pairs[pair / 64] >> (pair % 64)) & 1));
}

#endif
