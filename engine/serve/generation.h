/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reply while it is generated: its tokens, and the text that may be
 * emitted.  If the end of the text may be the beginning of a stop string, it
 * is held back until more tokens exclude that or the reply ends.  A NUL is
 * emitted as U+FFFD.
 *
 * The state depends on the ids alone.  A reply that was interrupted can be
 * rebuilt from its ids and continues with the same tokens and text.
 */
#ifndef ENGINE_GENERATION_H
#define ENGINE_GENERATION_H

#include <stddef.h>
#include <stdint.h>

#include "detok.h"
#include "err.h"
#include "sampler.h"
#include "tokenizer.h"
#include "growbuf.h"
#include "vocabulary.h"

enum stop_reason { STOP_NONE, STOP_END, STOP_STRING, STOP_LENGTH,
	STOP_CONTEXT, STOP_CANCELLED, STOP_REPEAT };

/* A reply in a dialogue ends when its last tokens are at least
 * GENERATION_COPIES copies of at most GENERATION_PERIOD tokens, and at least
 * GENERATION_REPEATED tokens in all. */
#define GENERATION_COPIES	4
#define GENERATION_PERIOD	64
#define GENERATION_REPEATED	64

struct generation_options {
	struct sampler_params	 sampler;
	int			 max_tokens;
	int			 ignore_eos;
	char			 stop[PARAM_STOPS_MAX + 1]
				    [PARAM_STOP_MAX + 1];
	int			 stops;		/* those in use; each ends in
						 * NUL */
	/* For replies in a dialogue: */
	int			 strip;		/* leave out white space at the
						 * start */
	int			 trim;		/* and before a stop string */
	int			 repeats;	/* end when it repeats itself */
};

struct generation {
	const struct tokenizer	*tok;		/* borrowed */
	struct generation_options opt;
	int			 eos;		/* id that ends, or -1 */
	size_t			 context;	/* maximal number of generated
						 * tokens */
	struct idbuf		 tokens;	/* the prompt, then the
						 * generated tokens */
	size_t			 prompt;	/* tokens of the prompt */
	uint8_t			*seen;		/* owned: [V], 1 for each id in
						 * tokens; NULL without a
						 * penalty */
	struct detok		 detok;
	struct textbuf		 held;		/* decoded, but not released */
	struct textbuf		 text;		/* text that may be emitted */
	size_t			 taken_text;	/* bytes of text already
						 * taken */
	size_t			 taken_ids;	/* generated tokens already
						 * taken */
	enum stop_reason	 stop;
};

/* The tokens and text since the last generation_take. */
struct generation_news {
	const char	*text;		/* borrowed until the next call */
	size_t		 text_len;
	const int32_t	*ids;		/* borrowed until the next call */
	size_t		 n;
};

/*
 * Begin. prompt is taken (left empty). It has at least one id and fewer than
 * context, all in 0 .. vocab - 1.
 */
struct generation *generation_new(const struct tokenizer *tok,
	    const struct generation_options *opt, struct idbuf *prompt,
	    int vocab, int eos, size_t context);
void	 generation_free(struct generation *g);

/*
 * Continue after n ids that an earlier run generated. They and their released
 * text count as already taken, unless retell is 1. Returns CHAT_EFORMAT if an
 * id is out of range or follows an id that ended the reply.
 */
int	 generation_resume(struct generation *g, const int32_t *id, size_t n,
	    int vocab, int retell);

/* Draw the next token from V logits and add it. Returns 0, or CHAT_EFORMAT if a
 * logit is NaN or none is finite. */
int	 generation_sample(struct generation *g, struct sampler *s,
	    const float *logits);

/* Ask *best for what the next token needs, at most max logits. Returns 0 if
 * that is not enough: then all V are needed. */
int	 generation_best(const struct generation *g, const struct sampler *s,
	    int max, struct backend_best *best);

/* generation_sample with the logits that generation_best asked for. */
int	 generation_sample_best(struct generation *g, struct sampler *s,
	    const struct backend_best *best);

/* Add a token. g->stop says whether it was the last. */
void	 generation_add(struct generation *g, int32_t id);

/* End the reply now, and release the held text. */
void	 generation_cancel(struct generation *g);

/* Take the new tokens and text. Returns 0 if there is nothing new. */
int	 generation_take(struct generation *g, struct generation_news *news);

/* The number of tokens generated so far. */
size_t	 generation_made(const struct generation *g);

/* "end", "stop", "length", "context", "cancelled", "repeat". */
const char *generation_stop_name(enum stop_reason stop);

#endif
