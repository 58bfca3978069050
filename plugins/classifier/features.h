/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The features of the classifier: words, word pairs, word-skip pairs, character
 * n-grams, negated and quoted words, the beginnings of sentences, questions,
 * signs and emoji of a folded text, each as a 64-bit hash.
 *
 * A text is fed as it grows.  The features depend only on the text, not on how
 * it was cut, because a token is read only when its end is known.  The plugin
 * and the trainer share this file, so they see the same features.
 */
#ifndef CLASSIFIER_FEATURES_H
#define CLASSIFIER_FEATURES_H

#include <stddef.h>
#include <stdint.h>

#define FEATURES_VERSION 1	/* of the hashes and models */
#define FEATURES_TOKEN	32	/* bytes of a token; longer ones are cut */
#define FEATURES_HALF	32	/* words in half a window */
#define FEATURES_MAX	256	/* features of one token */
#define FEATURES_PHRASE	3	/* tokens of an identity group's name */

/* The names of identity groups, and words with a class. Hashes in rising
 * order; all borrowed from the model. */
struct features_words {
	const uint64_t	*groups;	/* features_phrase of each name */
	size_t		 groups_n;
	const uint64_t	*clusters;	/* (features_word & ~0xffff) |
					 * class, from 1 */
	size_t		 clusters_n;
};

/* A token that was read. */
struct features_token {
	uint64_t	 hash;		/* the same for all groups */
	uint64_t	 from, to;	/* bytes of the whole original text */
	uint16_t	 class;		/* of words of like meaning; 0: none */
	uint8_t		 kind;		/* enum features_kind */
	uint8_t		 len;		/* bytes of text */
	char		 text[FEATURES_TOKEN];
};

enum features_kind {
	FEATURES_NONE,			/* before the first token */
	FEATURES_WORD,
	FEATURES_GROUP,			/* the name of an identity group */
	FEATURES_NUMBER,
	FEATURES_EMOJI,
	FEATURES_SIGN,			/* such as # and < */
	FEATURES_STOP,			/* ends a sentence: . ! ? line end */
	FEATURES_PAUSE,			/* ends a clause: , ; ( ) */
	FEATURES_QUOTE			/* begins or ends a quotation */
};

/* What features_feed keeps of a text. Zero it to begin a text; copying it
 * copies all. */
struct features {
	struct features_token	 queue[FEATURES_PHRASE];
	uint32_t		 queued;
	struct features_token	 last[3];	/* before the queue; last[0] is
						 * the latest */
	uint64_t		 first[3];	/* of the sentence: words 1, 2,
						 * 1 and 2 together */
	uint64_t		 opening;	/* first word of the text */
	uint32_t		 place;		/* words in the sentence */
	uint32_t		 words;		/* in the half window */
	uint32_t		 total;		/* words of the text */
	uint8_t			 negated;	/* words that still are */
	uint8_t			 quoted;	/* words that still are */
	uint8_t			 single;	/* the quotation began with ' */
	uint8_t			 tail_n;
	char			 tail[4];	/* letters before, no spaces */
	uint32_t		 seen[FEATURES_HALF * 2]; /* its words */
	uint32_t		 seen_n;
};

/* The features of one token, valid during the call. */
struct features_out {
	const struct features_token	*token;
	const struct features_token	*before;	/* kind NONE: none */
	const uint64_t			*hash;
	uint32_t			 n;
	uint32_t			 coarse;	/* hash[0..coarse) are
							 * of whole words */
	uint32_t			 pairs;		/* hash[coarse..pairs):
							 * with other words */
	int				 half;	/* half a window is complete,
						 * this token included */
	int				 stop;	/* a sentence ended here */
};

typedef void	(*features_fn)(void *arg, const struct features_out *);

/*
 * Read the tokens of text[at..end), which is folded, and call fn for each that
 * is complete. from and to map its bytes to the piece of the original, which
 * begins at byte "offset" of the whole text. What stands before "at" was read
 * earlier, or is before the text. With final set, the text ends at end, and
 * all tokens are read. Returns the index of the first byte that was not
 * consumed: the beginning of a token that may go on.
 */
size_t	 features_feed(struct features *, const struct features_words *,
	    const char *text, size_t at, size_t end, const uint32_t *from,
	    const uint32_t *to, uint64_t offset, int final, features_fn fn,
	    void *arg);

/* The hash of a name of 1 to FEATURES_PHRASE words with one space between
 * them, folded, as in features_words.groups; 0 if it is empty or longer. */
uint64_t features_phrase(const char *name);

/* The hash of one word. */
uint64_t features_word(const char *word, size_t len);

#endif
