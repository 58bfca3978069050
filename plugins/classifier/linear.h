/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model file of the classifier, and how it scores a text.
 *
 * A model has two heads: requests (what users ask for) and content (what is
 * harmful by itself).  Each head has a gate, which says how certain it is that
 * the text is harmful at all, and an output for each category, which names it.
 * All are linear in the features of features.h.  The weights are 8-bit and
 * stand in two tables of buckets, one for the gates and one for the categories;
 * a 16-bit fingerprint tells the features of a bucket apart.
 *
 * The score of a gate in a window is
 *
 *	1 / (1 + exp(-(slope * (bias + scale * sum / sqrt(n)) + offset)))
 *
 * where sum is of the weights of the window's n features.  A window is two
 * halves of FEATURES_HALF words; a shorter text is one window.
 */
#ifndef CLASSIFIER_LINEAR_H
#define CLASSIFIER_LINEAR_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "features.h"
#include "vocabulary.h"

#define LINEAR_HEADS	2
#define LINEAR_CATEGORIES 11
#define LINEAR_SLOTS	16		/* features in a bucket of the gates */
#define LINEAR_NAMES	8		/* and in one of the categories */
#define LINEAR_MAX	(16u << 20)	/* bytes of a file */
#define LINEAR_TOP	4		/* features that are named */

enum { HEAD_REQUEST, HEAD_CONTENT };

/* Slugs in the order of the outputs. */
extern const char *const linear_categories[CATEGORIES];

struct linear_gate {			/* 64 bytes: a line of the cache */
	uint16_t	 print[LINEAR_SLOTS];	/* 0: free */
	int8_t		 weight[LINEAR_HEADS][LINEAR_SLOTS];
};

struct linear_name {			/* 192 bytes */
	uint16_t	 print[LINEAR_NAMES];	/* 0: free */
	int8_t		 weight[LINEAR_NAMES][LINEAR_HEADS * LINEAR_CATEGORIES];
};

/* The numbers of a head. */
struct linear_head {
	float	 bias, scale;		/* of the gate */
	float	 slope, offset;		/* calibration */
	float	 name_scale;
	float	 name_bias[LINEAR_CATEGORIES];
};

struct linear {
	struct linear_head	 head[LINEAR_HEADS];
	struct features_words	 words;
	uint64_t		*groups, *clusters;	/* owned */
	struct linear_gate	*gates;			/* owned */
	struct linear_name	*names;			/* owned */
	uint32_t		 gates_n, names_n;
	uint64_t		 digest;
};

/* A feature that spoke. */
struct linear_top {
	float		 weight;	/* of the token's features together */
	uint8_t		 len;
	uint64_t	 from, to;	/* bytes of the text */
	char		 text[2 * FEATURES_TOKEN + 1];
};

/* The sums of half a window. */
struct linear_half {
	int32_t		 gate[LINEAR_HEADS];
	int32_t		 name[LINEAR_HEADS * LINEAR_CATEGORIES];
	uint32_t	 n, names;	/* of the gate and the names */
	uint64_t	 from, to;	/* bytes of the text; from > to: none */
	struct linear_top top[LINEAR_HEADS][LINEAR_TOP];
};

/* The verdict on a window. */
struct linear_score {
	double		 gate[LINEAR_HEADS];	/* 0 to 1 */
	double		 category[LINEAR_HEADS][LINEAR_CATEGORIES]; /* of gate:
						 * they add up to 1 */
	uint64_t	 from, to;		/* bytes of the text */
	const struct linear_half	*half[2];	/* borrowed, or NULL */
};

typedef void	(*linear_fn)(void *arg, const struct linear_score *);

/* A text being scored. Zero it to begin; a copy goes on by itself. */
struct linear_text {
	struct features		 features;
	struct linear_half	 half[2];	/* the last one, this one */
	uint32_t		 halves;	/* complete ones */
	uint32_t		 fresh;		/* tokens since a verdict */
	uint64_t		 done;		/* bytes that were read */
	size_t			 inside;	/* folded bytes of the character
						 * at done that were read too */
};

/*
 * Load a model of len bytes. name is for errors. Returns 0 and *out (owned by
 * the caller), or CHAT_EFORMAT with *f filled.
 */
int	 linear_parse(const char *name, const void *data, size_t len,
	    struct linear **out, struct fault *f);

/* Load the file at path. Also returns CHAT_ESYSTEM and CHAT_ETOOBIG. */
int	 linear_load(const char *path, struct linear **out, struct fault *f);

/* Write a model to memory: a new string of *len bytes. */
void	*linear_write(const struct linear *, size_t *len);

/* Free a model. NULL does nothing. */
void	 linear_free(struct linear *);

/* The number of features of the gates. */
uint64_t linear_features(const struct linear *);

/* Place a feature in its bucket. The features must come from strong to weak.
 * Returns 0 if the bucket is full. */
int	 linear_put_gate(struct linear *, uint64_t hash,
	    const int8_t weight[LINEAR_HEADS]);
int	 linear_put_name(struct linear *, uint64_t hash,
	    const int8_t weight[LINEAR_HEADS * LINEAR_CATEGORIES]);

/*
 * Read more of a text. text is a piece of len bytes that begins at byte
 * "offset" of the whole text, offset <= t->done; the bytes before t->done are
 * context. fn is called for each complete window, and at the end of the text.
 * With stops set it is called at the end of each sentence too, after the
 * first LINEAR_FEW words.
 */
void	 linear_read(const struct linear *, struct linear_text *t,
	    const char *text, size_t len, uint64_t offset, int final, int stops,
	    linear_fn fn, void *arg);

#define LINEAR_FEW	8

/* The bytes before the new text that linear_read needs. */
#define LINEAR_WINDOW	2048

/* Store what spoke most in a head in list, the most first; borrowed from the
 * halves of the score. Returns how many: at most 2 * LINEAR_TOP. */
size_t	 linear_explain(const struct linear_score *, int head,
	    const struct linear_top *list[2 * LINEAR_TOP]);

/* What a token with this weight added to the log odds of a head. */
double	 linear_odds(const struct linear *, const struct linear_score *,
	    int head, float weight);

#endif
