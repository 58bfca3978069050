/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin "injection" looks for prompts that try to make the model leave its
 * instructions: orders to forget them, questions for what it was told in
 * secret, forged turns of other speakers, characters that may do everything.
 *
 *  injection_words.c   classes of words ("ignore", "instructions")
 *  injection_table.c   tables of them, and of weights
 *  injection_read.c    the words of a text that comes in pieces
 *  injection_sign.c    signs: which classes stand together, and in what kind
 *                      of sentence
 *  injection_score.c   weights of signs, words and pairs of words, and a score
 *                      for each stretch of a text
 *  injection_plugin.c  options and findings
 *  injection_features.c  a program that prints the features of texts, for
 *                      tools/injection/fit.py, which makes weights.inc
 *
 * A trigger word alone says little: "ignore" stands in questions on git. What
 * it refers to, who is meant, and whether it is an order says more.
 */
#ifndef INJECTION_H
#define INJECTION_H

#include <stddef.h>
#include <stdint.h>

#define INJECTION_TOKEN		24u	/* bytes of a word that count */
#define INJECTION_HALF		768u	/* bytes: a stretch is two halves */
#define INJECTION_BACK		256u	/* bytes that a feature can reach back
					 * from the end of its last word */
#define INJECTION_WINDOW	2176u	/* bytes before new text: a stretch,
					 * a feature, and what is not read */
#define INJECTION_CLASSES	40u	/* room for classes of words */
#define INJECTION_WEIGHTS	4096u	/* room for weights */
#define INJECTION_WHY		8u	/* features that explain a score */

/* A word or a sign. Offsets are bytes of the whole text. */
struct injection_token {
	uint64_t	 from, to;
	uint32_t	 hash;		/* of all its bytes */
	uint8_t		 len;
	uint8_t		 word;		/* 0: a sign */
	char		 text[INJECTION_TOKEN];
};

/* A feature of a text: a sign, a word, or a pair of words. */
struct injection_feature {
	const char			*sign;	/* static, or NULL */
	const struct injection_token	*before; /* NULL: not a pair */
	const struct injection_token	*token;
	uint64_t			 from, to;
	uint32_t			 hash;
};

/* Where the words of a class, and the sentence, stand. Numbers of tokens count
 * from 1000, so that 0 is far away. */
struct injection_state {
	uint32_t	 n;			/* tokens so far */
	uint32_t	 at[INJECTION_CLASSES];	/* the last word of it */
	uint64_t	 from[INJECTION_CLASSES];
	uint8_t		 mood[INJECTION_CLASSES];
	uint32_t	 sentence, clause, line; /* their first tokens */
	int		 asks;			/* the sentence is a question
						 * about how, why or what */
	int		 quoted;
	uint64_t	 last;			/* classes of the word before */
	struct injection_token	before;
};

/* Half a stretch. */
struct injection_half {
	int32_t		 sum;		/* of the weights that are set */
	uint64_t	 set[INJECTION_WEIGHTS / 64];
};

/* A feature that spoke for an injection, with its place; to = 0: none. */
struct injection_why {
	uint64_t	 from, to;	/* bytes of the whole text */
	uint32_t	 index;		/* of the weight */
	int32_t		 weight;	/* thousandths of log odds */
};

/* A text that comes in pieces. All zero at its beginning. */
struct injection_text {
	uint64_t		 done;	/* bytes that were read */
	unsigned		 inside; /* folded bytes of the next character
					  * that were read */
	struct injection_token	 token;	/* a word that may go on; len 0: none */
	int			 open;	/* a word is being read */
	struct injection_state	 state;
	struct injection_half	 half[2];
	struct injection_why	 why[2][INJECTION_WHY];
	uint64_t		 block;	/* the number of the second half */
	int			 fresh;	/* tokens after the last score */
};

/* A score of a stretch. */
struct injection_score {
	double				 score;	/* 0 to 1 */
	uint64_t			 from, to; /* of what is in why */
	const struct injection_why	*why[2 * INJECTION_WHY]; /* heaviest
							  * first */
	size_t				 n;
};

/* Classes, weights: fixed after injection_new. */
struct injection;

/* Make the tables (owned by the caller), or release them. */
struct injection *injection_new(void);
void	 injection_free(struct injection *);

/* The number of weights; the name and the weight (thousandths of log odds) of
 * one, and whether it is that of a sign. The first is the bias. */
size_t	 injection_weights(const struct injection *);
int	 injection_is_sign(const struct injection *, size_t i);
const char *injection_name(const struct injection *, size_t i);
int	 injection_weight(const struct injection *, size_t i);

/* The index of the weight of a feature that has this hash, with *weight set;
 * 0: none. */
size_t	 injection_find(const struct injection *, uint32_t hash, int *weight);

/* The classes of the word that has this hash, as bits. */
uint64_t injection_classes(const struct injection *, uint32_t hash);

/* Continue a hash (FNV-1a) with n bytes; it begins with INJECTION_HASH. */
#define INJECTION_HASH	UINT32_C(2166136261)
#define INJECTION_PRIME	UINT32_C(16777619)
uint32_t injection_hash(uint32_t h, const char *s, size_t n);

/* The hash of a pair of words. */
uint32_t injection_pair(uint32_t first, uint32_t second);

/* What is called for each feature. */
typedef void (*injection_feature_fn)(void *arg,
	    const struct injection_feature *);

/* Find the features that end with a token, and call fn for each. */
void	 injection_sign(const struct injection *, struct injection_state *,
	    const struct injection_token *, injection_feature_fn, void *arg);

/* The end of a line was read. */
void	 injection_line(struct injection_state *);

/*
 * Read more of a text (UTF-8, borrowed, of len bytes), which begins at byte
 * "offset" of the whole text; final: nothing follows. It must begin at most
 * where reading stopped less INJECTION_WINDOW. Calls fn for each feature. The
 * calls are the same for any cut of the text.
 */
void	 injection_read(const struct injection *, struct injection_text *,
	    const char *text, size_t len, uint64_t offset, int final,
	    injection_feature_fn fn, void *arg);

/* The same, but fn is called for each stretch. */
typedef void (*injection_score_fn)(void *arg, const struct injection_score *);
void	 injection_judge(const struct injection *, struct injection_text *,
	    const char *text, size_t len, uint64_t offset, int final,
	    injection_score_fn fn, void *arg);

/* The first byte of the whole text that later scores can be about. */
uint64_t injection_first(const struct injection_text *);

#endif
