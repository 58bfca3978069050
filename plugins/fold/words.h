/* SPDX-License-Identifier: Apache-2.0 */
/*
 * English words, to read a text whose words are misspelled, run together or
 * spread out.  All functions may be called from several threads.
 */
#ifndef FOLD_WORDS_H
#define FOLD_WORDS_H

#include <stddef.h>
#include <stdint.h>

#define WORDS_LONGEST	14	/* letters of a word in the list */
#define WORDS_MENDED	24	/* letters of a word that is mended */

/* The place of a word (n small letters) in the list, from 1: the commonest
 * comes first. 0 if it is not there. */
uint32_t	words_find(const char *w, size_t n);

/*
 * Find the word that w, n small letters (4 to WORDS_MENDED) which are not a
 * word, is a mistake for: two letters changed places (*swap is the first one),
 * or letters were repeated. keep[i] says whether letter i stays. Returns 1, or
 * 0 if there is none.
 */
int		words_mend(const char *w, size_t n, size_t *swap,
		    unsigned char *keep);

/*
 * Read n letters as words. A byte that is not a small letter is none of any
 * word. last[i] becomes 1 if a word ends with letter i. Returns the bits that
 * it takes to name the words: fewer for a likelier reading.
 */
double		words_split(const char *w, size_t n, unsigned char *last);

#endif
