/*
 * The weights of a model in the form the CPU kernels read: matrices as
 * panels (kernels.h), vectors as fp32 filled up to 16 with zeros.
 */
#ifndef CPU_WEIGHTS_H
#define CPU_WEIGHTS_H

#include "kernels.h"
#include "model.h"

struct matrix {
	void	*panels;	/* owned */
	float	*bias;		/* owned; NULL: none */
	int	 N, K;
};

struct norm {
	float	*gain, *bias;	/* owned */
};

struct layer {
	struct norm	 norm1, norm2;
	struct matrix	 qkv, attn, up, down;
};

struct weights {
	enum elem	 elem;
	struct layer	*layers;	/* owned: L of them */
	int		 L;
	struct matrix	 head;		/* N = V */
	void		*embed;		/* owned: [V][C]; NULL: tied to head */
	struct norm	 norm;		/* at the end */
	int64_t		 parameters;
};

/*
 * Read all weights of m, telling opt->progress after each layer. 0 and *out
 * (owned), or an error with *f filled: a number that is not finite, in the
 * file or as bf16, is one.
 */
int	 weights_load(struct model *m, enum elem elem,
	    const struct backend_options *opt, struct weights **out,
	    struct fault *f);
void	 weights_free(struct weights *w);

/* The C floats of token's embedding. */
void	 weights_embed(const struct weights *w, int32_t token, int C,
	    float *out);

#endif
