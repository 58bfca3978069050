/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The weights of a model in the form that the CPU kernels read (layout.h), in
 * one piece of memory.  It is either allocated and filled from the model's
 * files, or a packed file that is mapped.
 */
#ifndef CPU_WEIGHTS_H
#define CPU_WEIGHTS_H

#include "kernels.h"
#include "layout.h"
#include "model.h"
#include "pool.h"

/* A matrix. All pointers point into weights.memory. */
struct matrix {
	enum elem	 elem;
	const void	*panels;
	const void	*scales;	/* NULL: elem has none */
	const float	*bias;		/* NULL: none */
	int		 N, K;
};

/* A layer norm. */
struct norm {
	const float	*gain, *bias;
};

struct layer {
	struct norm	 norm1, norm2;
	struct matrix	 qkv, attn, up, down;
};

struct weights {
	enum precision	 precision;
	struct layer	*layers;	/* owned: those of the layout */
	struct matrix	 head;		/* N = V */
	struct matrix	 embed;		/* N = V; tied: the same as head */
	struct norm	 norm;		/* after the last layer */
	int64_t		 parameters;
	void		*memory;	/* owned: mapped */
	size_t		 size;
};

/*
 * Load all weights of m in layout l, and call opt->progress meanwhile. A packed
 * file must have this layout. Returns 0 and *out (owned), or an error with *f
 * filled.
 */
int	 weights_load(struct model *m, const struct layout *l,
	    struct pool *pool, const struct backend_options *opt,
	    struct weights **out, struct fault *f);
/* Check that the packed file has every piece of the layout, with its type and
 * shape. Returns 0, or an error with *f filled. */
int	 weights_check(const struct layout *l, const struct packed *p,
	    struct fault *f);

void	 weights_free(struct weights *w);

/* Write the K floats of token's embedding to out. */
void	 weights_embed(const struct weights *w, int32_t token, float *out);

#endif
