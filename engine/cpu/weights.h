/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The weights of a model in the form the CPU kernels read (layout.h), in one
 * piece of memory: our own, filled from the model's files, or a packed file,
 * mapped.
 */
#ifndef CPU_WEIGHTS_H
#define CPU_WEIGHTS_H

#include "kernels.h"
#include "layout.h"
#include "model.h"
#include "pool.h"

/* All pointers go into the one piece of memory. */
struct matrix {
	enum elem	 elem;
	const void	*panels;
	const void	*scales;	/* NULL: elem has none */
	const float	*bias;		/* NULL: none */
	int		 N, K;
};

struct norm {
	const float	*gain, *bias;
};

struct layer {
	struct norm	 norm1, norm2;
	struct matrix	 qkv, attn, up, down;
};

struct weights {
	enum precision	 precision;
	struct layer	*layers;	/* owned: L of them */
	struct matrix	 head;		/* N = V */
	struct matrix	 embed;		/* N = V; tied: the same as head */
	struct norm	 norm;		/* at the end */
	int64_t		 parameters;
	void		*memory;	/* owned: mapped */
	size_t		 size;
};

/*
 * Load all weights of m, telling opt->progress on the way: l->size bytes of
 * memory of our own, or the packed file, which must be of that layout. 0 and
 * *out (owned), or an error with *f filled.
 */
int	 weights_load(struct model *m, const struct layout *l,
	    struct pool *pool, const struct backend_options *opt,
	    struct weights **out, struct fault *f);
/* Is every piece of the layout in the packed file, in its type and shape? 0,
 * or an error with *f filled. */
int	 weights_check(const struct layout *l, const struct packed *p,
	    struct fault *f);

void	 weights_free(struct weights *w);

/* The K floats of token's embedding. */
void	 weights_embed(const struct weights *w, int32_t token, float *out);

#endif
