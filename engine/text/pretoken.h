/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The split of normalised text into words by the GPT-2 pattern
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * where \s is Unicode White_Space, and the classes of characters that go with
 * it.  The data is utf8proc's.
 */
#ifndef ENGINE_PRETOKEN_H
#define ENGINE_PRETOKEN_H

#include <stddef.h>
#include <stdint.h>

/* Is cp white space (Unicode White_Space)? */
int	pretoken_space(uint32_t cp);

/* Is cp a word character, like \w of regular expressions (Unicode UTS #18,
 * annex C: letters, marks, decimal digits, connectors, joiners)? */
int	pretoken_wordchar(uint32_t cp);

/* The length in bytes of the first word of s, which has n > 0 bytes of valid
 * UTF-8. */
size_t	pretoken_word(const char *s, size_t n);

/* The bytes of white space at the start, and at the end, of n bytes of valid
 * UTF-8. */
size_t	pretoken_leading(const char *s, size_t n);
size_t	pretoken_trailing(const char *s, size_t n);

#endif
