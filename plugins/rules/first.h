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

/* Is c a letter, a digit or "_" of ASCII? */
static inline int
first_is_word(unsigned c)
{
	return ((c >= '0' && c <= '9') || c == '_' ||
	    ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'));
}

/* Can a match begin at text[i], i < len? Any byte may follow the text. */
static inline int
first_may_begin(const struct first *f, const char *text, size_t len,
    size_t i)
{
	unsigned	 c = (unsigned char)text[i], pair;

	if (!((f->bytes[c / 64] >> (c % 64)) & 1))
		return (0);
	if (i + 1 < len) {
		pair = c << 8 | (unsigned char)text[i + 1];
		if (!((f->pairs[pair / 64] >> (pair % 64)) & 1))
			return (0);
	}
	return (!f->bound || i == 0 || !first_is_word(c) ||
	    !first_is_word((unsigned char)text[i - 1]));
}

#endif
