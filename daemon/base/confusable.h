/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Characters that pass for another one: letters that look like a Latin letter,
 * and digits and signs that people write in place of a letter.  The engine
 * recognizes disguised role tags with it, the filter plugins disguised words.
 *
 * All functions expect text after compatibility decomposition and case folding
 * (NFKC, small letters), so full-width or styled letters are not listed.
 */
#ifndef CONFUSABLE_H
#define CONFUSABLE_H

#include <stdint.h>

/* The Latin small letter that c resembles most, or 0 if c is no look-alike. */
uint32_t	confusable_latin(uint32_t c);

/* The letter that the digit or sign c replaces between letters, or 0. */
uint32_t	confusable_leet(uint32_t c);

/* Can c be read as this Latin small letter? 1 for every letter that c
 * resembles or replaces, which may be more than one; 0 for the letter itself
 * and for anything else. */
int		confusable_passes(uint32_t c, char latin);

#endif
