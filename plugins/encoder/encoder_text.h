/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which parts of a text the encoder judges, and when.
 *
 * A prompt: windows of as many tokens as the model takes (128 with [CLS] and
 * [SEP]), from its beginning, each with the last 32 of the one before.  A
 * window is judged when it is full, or at the end of the text.
 *
 * A reply, of which the reader sees the beginning while it grows: at the end of
 * a sentence, or after about 20 words without one, the last 128 tokens are
 * judged.  The text after the last such point is not settled.  The beginning of
 * a reply is judged more often, so that a slow reply appears soon.
 *
 * Both depend on the text alone, not on where it was cut into pieces.
 */
#ifndef ENCODER_TEXT_H
#define ENCODER_TEXT_H

#include "encoder.h"

#define TEXT_OVERLAP	32	/* tokens */
#define TEXT_WINDOW	2048	/* bytes of a window, at most */
#define TEXT_BEFORE	1024	/* bytes before the new ones of a reply */
#define TEXT_SENTENCE	80	/* bytes after which a sentence may end */
#define TEXT_WORDS	120	/* bytes after which any word may end */
#define TEXT_EARLY	256	/* in so many bytes from the beginning, */
#define TEXT_EARLY_SENTENCE 24	/* ... and these numbers count */
#define TEXT_EARLY_WORDS 40
#define TEXT_LETTERS	480	/* bytes after which any character may */
#define TEXT_FEW	4	/* words that can't tell the language */
#define TEXT_ENGLISH	35	/* percent of the words that a text has of the
				 * list of English words, at least */
#define TEXT_CONTEXT	4096	/* bytes before new text that are needed */

/* How far a text is judged; bytes of the whole text. */
struct encoder_text {
	int		 reply;
	uint64_t	 next;		/* where the next window begins; of a
					 * reply: where the last one ended */
	uint64_t	 covered;	/* judged up to here */
	uint32_t	 windows;	/* judged so far */
};

/* A piece of a text: see struct chat_filter_part. */
struct encoder_piece {
	const char	*text;
	size_t		 len;
	uint64_t	 offset;
	int		 final;
};

/* A window: its ids with [CLS] and [SEP], and the bytes of the piece to which
 * its result belongs. */
struct encoder_window {
	uint32_t	 ids[ENCODER_TOKENS];
	size_t		 n;
	size_t		 start, end;
};

/*
 * Find the next window of a text in a piece of it that is long enough, and go
 * on behind it. Returns 1 and *w, or 0 if more text is needed or all is judged.
 */
int	 encoder_text_next(const struct encoder *e, struct encoder_text *t,
	    const struct encoder_piece *p, struct encoder_window *w);

/* Is text[n] English, as far as its words tell? The model knows no other
 * language, so it guesses there. A text of few words counts as English. */
int	 encoder_text_english(const char *text, size_t n);

/* The first byte of the piece that is not settled. */
size_t	 encoder_text_settled(const struct encoder_text *t,
	    const struct encoder_piece *p);

#endif
