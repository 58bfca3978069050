/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Did you mean": the nearest word to a mistyped one.
 */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H

/* The number of letters to insert, delete, change or swap to get from a to
 * b, up to 9. */
int		 suggest_distance(const char *a, const char *b);

/* The word that was probably meant, or NULL. words ends in NULL. */
const char	*suggest_word(const char *word, const char *const *words);

#endif
