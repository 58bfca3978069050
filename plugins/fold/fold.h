/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text as rules see it: one spelling for what looks or reads the same, with
 * a map back to the bytes it came from.
 *
 *  - NFKC with full case folding: full-width, circled and styled letters,
 *    ligatures and capitals become plain lower case
 *  - zero-width and other invisible characters (soft hyphen, bidi controls,
 *    variation selectors) are gone, accents drawn over letters as well
 *  - Cyrillic, Greek and Armenian letters that look Latin become Latin, in a
 *    word of at most 64 letters that has a Latin letter, or that consists of
 *    such letters and stands among Latin ones (most of the letters in the 128
 *    bytes before it and the 32 bytes after it are Latin)
 *  - digits and signs that stand for letters become letters between letters:
 *    "p4ssw0rd" -> "password"; "route 66" stays
 *  - every kind of white space is a space; line ends stay line ends
 *
 * Sources: Unicode 15 UAX 15 and 29, by utf8proc; the look-alikes are those
 * of UTS 39 that are one letter in common fonts.
 */
#ifndef FOLD_H
#define FOLD_H

#include <stddef.h>
#include <stdint.h>

struct fold {
	char		*text;	/* owned: UTF-8, NUL behind len bytes */
	size_t		 len;
	uint32_t	*from;	/* owned: [len] first byte in the original of
				 * what made folded byte i */
	uint32_t	*to;	/* owned: [len] the byte behind it */

	/* Of a piece: text[head..tail) stays as it is, whatever stands before
	 * and after the piece; so do "from" and "to" of [head..spans). */
	size_t		 head, tail, spans;
	size_t		 known;	/* head..known was so before the new text */
};

/*
 * Fold len bytes (at most 1 GiB; invalid UTF-8 counts as U+FFFD) into *f,
 * which the caller clears. from and to never decrease; a folded character
 * covers whole characters of the original.
 */
void	 fold_init(struct fold *f, const char *text, size_t len);

/*
 * Fold a piece of a text, whose bytes before "fresh" were seen before.
 * FOLD_BEGINS: nothing stands before it; FOLD_ENDS: nothing follows.
 */
#define FOLD_BEGINS	0x1u
#define FOLD_ENDS	0x2u
void	 fold_piece(struct fold *f, const char *text, size_t len,
	    size_t fresh, unsigned whole);
void	 fold_clear(struct fold *f);

/* The original bytes of the folded span start..end. An empty span is placed
 * before the byte it stands at. */
void	 fold_span(const struct fold *f, size_t len, size_t start, size_t end,
	    uint64_t *from, uint64_t *to);

#endif
