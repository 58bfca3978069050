/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU backend: weights, cache, threads and the step.  It is linked into
 * the engine, so it includes model.h, pool.h and log.h and calls them itself:
 * the compiler then checks each call, and backend_host would only add a level.
 */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include "backend.h"
#include "kernels.h"
#include "layout.h"
#include "adapt.h"
#include "model.h"
#include "pool.h"
#include "weights.h"

/* For backend.c. */
extern const struct backend_driver cpu_driver;

/*
 * The precision for the weights of a model; asked is "auto" or a name. Returns
 * 0 and *out, or an error with *f filled: no such name, or m is packed in
 * another precision.
 */
int	 cpu_precision(const struct model *m, const char *asked,
	    enum precision *out, struct fault *f);

/* One array of activations of a step, in each form that products read. */
struct acts {
	int		 n;		/* numbers of a row */
	size_t		 ld, ld16;	/* from row to row: floats; bf16 */
	float		*f;		/* owned: [T][ld] */
	uint16_t	*b16;		/* owned: [T][ld16] f in bf16, or NULL:
					 * no product reads bf16 */
	struct qrows	*q;		/* borrowed: f in int8, or NULL */
};

/* Arrays for T rows, grown when a step has more. */
struct cpu_rows {
	int		 size;		/* rows there is room for */
	struct acts	 x;		/* C: the residual stream */
	struct acts	 a, b;		/* C: after the norms */
	struct acts	 qkv;		/* 3C */
	struct acts	 mix;		/* C: the result of attention */
	struct acts	 sum;		/* C: its product with the output
					 * matrix */
	struct acts	 up;		/* F: inside the MLP */
	float		**logits;	/* [T] of rows with logits */
	int		*run;		/* [T + 1] see forward.c */
	/* With weights in int8 and int4: qa is a or mix in int8, qb is b or
	 * up. The two are never needed at the same time. */
	struct qrows	 qa, qb;
};

struct cpu {
	struct backend		 backend;	/* first: callers point to it */
	struct model_config	 config;
	const struct kernels	*kernels;
	struct layout		 layout;
	struct weights		*weights;	/* owned */
	int			 quantized;	/* weights in int8 or int4 */
	struct pool		*pool;		/* owned */
	float			*rotary;	/* owned: rotary.h */
	struct kv_shape		 kv;
	char			 precision[16];	/* of weights and cache */
	uint8_t			*cache;		/* owned: [layers of layout]
						 * [blocks] */
	size_t			 cache_size;
	float			**scratch;	/* owned: one per thread */
	struct cpu_rows		 rows;
	struct adapt		*adapt;		/* owned; NULL: no adapters */
};

/* roofline.c: see backend.h. The limits are for all threads together. */
void	 roofline_limits(struct backend *b, struct backend_limits *out);
double	 roofline_read_rate(struct backend *b);

/* One step, or that of a stage; see backend.h. */
int	 forward_step(struct backend *b, const struct backend_row *rows,
	    int T);
int	 forward_stage(struct backend *b, const struct backend_row *rows,
	    int T, const float *in, float *out);

/* rows.c: allocate arrays for T rows, 0 or CHAT_ENOMEM; release them. */
int	 rows_grow(struct cpu *c, int T);
void	 rows_clear(struct cpu_rows *r);

#endif
