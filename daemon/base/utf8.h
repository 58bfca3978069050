/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 of RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/*
 * Decode one character of the n bytes at s (n > 0). Returns its length 1..4 and
 * stores it in *cp; 0 if the bytes are a valid but unfinished start; a negative
 * number -k if no character can begin with the first k bytes (k is the length
 * of the maximal invalid prefix, Unicode 3.9).
 */
int	utf8_decode(const char *s, size_t n, uint32_t *cp);

/* Write cp to out (4 bytes of room). Returns the length. */
int	utf8_encode(uint32_t cp, char *out);

/* Are the n bytes valid UTF-8? NUL counts as valid. */
int	utf8_valid(const char *s, size_t n);

/*
 * How many of the n bytes can be shown now: all except an unfinished character
 * at the end. Invalid bytes inside count.
 */
size_t	utf8_whole(const char *s, size_t n);

#endif
