/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Characters that stand for another: look-alikes of Latin letters, and signs
 * used for letters inside words.
 */
#ifndef CONFUSABLE_H
#define CONFUSABLE_H

#include <stdint.h>

/* The Latin small letter that the small letter c looks like, or 0. */
uint32_t	confusable_latin(uint32_t c);

/* The letter that a digit or sign stands for between letters, or 0. */
uint32_t	confusable_leet(uint32_t c);

#endif
