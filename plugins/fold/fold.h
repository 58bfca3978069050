/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libfold: folds a text for a filter plugin, so that spellings that look or
 * read the same become the same bytes.  A map leads from each folded byte back
 * to the original, because the spans of findings are bytes of the original.
 *
 * Folding does this:
 *  - NFKC with full case folding: full-width, circled and styled letters,
 *    ligatures and capitals become plain small letters.
 *  - Zero-width and other invisible characters (soft hyphen, bidi controls,
 *    variation selectors) are removed, and so are accents over letters.
 *  - Letters that look Latin (confusable.h) become Latin.  This happens in a
 *    word of at most 64 letters that has a Latin letter.  It also happens in a
 *    word that has look-alikes only, if most of the letters in the 128 bytes
 *    before the word and in the 32 bytes after it are Latin.
 *  - Digits and signs that replace letters become letters if they stand
 *    between letters: "p4ssw0rd" becomes "password", "route 66" stays.
 *  - White space becomes a space.  Line ends become "\n".
 *
 * With FOLD_PLAIN it also mends spellings that hide a word, with the help of a
 * list of English words.  Words of the list and what is no mistake for one of
 * them stay as they are.
 *  - Letters that stand alone are joined: "b o m b", "h-o-w t-o".
 *  - Signs that replace spaces become spaces: "how_to_bake_it".
 *  - In words that are not in the list letters that changed places ("mkae") or
 *    were repeated ("maaake") are put right, and so are a star in place of a
 *    letter ("m*ke") and digits at the ends of words ("d0 1 m4ke").
 *  - Words without spaces between them get these ("howtobakeacake").
 *
 * A plugin that gets whole texts uses fold_init, searches f.text, maps each
 * match back with fold_span, and calls fold_clear:
 *
 *	fold_init(&f, text, len);
 *	if ((at = strstr(f.text, "password")) != NULL)
 *		fold_span(&f, len, at - f.text, at - f.text + 8,
 *		    &finding.start, &finding.end);
 *	fold_clear(&f);
 *
 * A plugin that gets pieces uses fold_piece, and reads the limits in struct
 * fold.  The functions keep no state of their own, so threads may fold at the
 * same time.  They end the process if memory is exhausted.
 *
 * Sources: Unicode 15, UAX 15 and 29, as in utf8proc; the look-alikes are
 * those of UTS 39 that are one letter in common fonts.
 */
#ifndef FOLD_H
#define FOLD_H

#include <stddef.h>
#include <stdint.h>

/* A folded text. All members are set by fold_init and fold_piece; offsets are
 * bytes of "text" unless the comment says otherwise. */
struct fold {
	char		*text;	/* owned: UTF-8, with a NUL after len bytes */
	size_t		 len;	/* bytes, without the NUL */
	uint32_t	*from;	/* owned: [len] the first byte in the original
				 * of the character that gave folded byte i */
	uint32_t	*to;	/* owned: [len] the byte after that character */

	/*
	 * A piece shows only a part of a text, so its edges are not certain.
	 * text[head..tail) is: it stays the same for any text before and after
	 * the piece. For from and to this holds in [head..spans). After
	 * fold_init head is 0, and tail and spans are len.
	 */
	size_t		 head, tail, spans;

	/* text[head..known) was the same when the original ended before the
	 * byte "fresh" (see fold_piece). */
	size_t		 known;
};

/*
 * Fold a whole text of len bytes, at most 1 GiB, into *f, whose old content is
 * overwritten and not freed. The text is borrowed for the call. Invalid UTF-8
 * counts as U+FFFD. from and to never decrease, and a folded character covers
 * whole characters of the original. The caller calls fold_clear.
 */
void	 fold_init(struct fold *f, const char *text, size_t len);

/* Flags for fold_piece. */
#define FOLD_BEGINS	0x1u	/* the piece is the beginning of its text */
#define FOLD_ENDS	0x2u	/* the piece is the end of its text */
#define FOLD_PLAIN	0x4u	/* mend what was spelled to hide it */

/*
 * Fold a piece of a text as fold_init does. The bytes before "fresh" (0 to
 * len) were folded by an earlier call, those from it on are new. flags holds
 * FOLD_BEGINS, FOLD_ENDS and FOLD_PLAIN, or none of them.
 */
void	 fold_piece(struct fold *f, const char *text, size_t len,
	    size_t fresh, unsigned flags);

/* Free the arrays and set *f to zero. It may be zero already. */
void	 fold_clear(struct fold *f);

/*
 * Store in *from and *to the bytes of the original that gave the folded bytes
 * start to end (end excluded). len is the length of the original. An empty
 * span becomes an empty span before the byte of the original that gave byte
 * "start", or at len if there is none.
 */
void	 fold_span(const struct fold *f, size_t len, size_t start, size_t end,
	    uint64_t *from, uint64_t *to);

#endif
