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
#include "model.h"
#include "pool.h"
#include "weights.h"

/* For backend.c. */
extern const struct backend_driver cpu_driver;

/*
 * The precision that a model is computed in; asked is "auto" or a name. 0 and
 * *out, or an error with *f filled: no such name, or a packed file in another
 * precision.
 */
int	 cpu_precision(const struct model *m, const char *asked,
	    enum precision *out, struct fault *f);

/* Arrays for T rows, grown when a step has more. C', F', Q are C, F and 3C
 * filled up to 16. */
struct cpu_rows {
	int	 size;			/* rows there is room for */
	float	*x;			/* [T][C'] the residual stream */
	float	*a, *b;			/* [T][C'] after the norms */
	float	*qkv;			/* [T][Q] */
	float	*mix;			/* [T][C'] what attention gives */
	float	*sum;			/* [T][C'] its output matrix's part */
	float	*up;			/* [T][F'] inside the MLP */
	float	**logits;		/* [T] rows that are asked for */
	int	*run;			/* [T + 1] see forward.c */
	/* int8 and int4: a or mix, and b or up, in int8 */
	struct qrows qa, qb;
	/* in bf16, if the kernels read bf16: see struct matmul */
	uint16_t *a16, *b16, *mix16, *up16;
};

struct cpu {
	struct backend		 backend;	/* first: what callers hold */
	struct model_config	 config;
	const struct kernels	*kernels;
	struct layout		 layout;
	struct weights		*weights;	/* owned */
	int			 small;		/* int8 or int4 */
	struct pool		*pool;		/* owned */
	float			*rotary;	/* owned: rotary.h */
	struct kv_shape		 kv;
	char			 precision[16];	/* of weights and cache */
	uint8_t			*cache;		/* owned: [L][blocks] */
	size_t			 cache_size;
	float			**scratch;	/* owned: one per thread */
	struct cpu_rows		 rows;
};

/* roofline.c: see backend.h. The limits are those of all threads together. */
void	 roofline_limits(struct backend *b, struct backend_limits *out);
double	 roofline_read_rate(struct backend *b);

/* One step; see backend.h. */
int	 forward_step(struct backend *b, const struct backend_row *rows,
	    int T);

/* rows.c: room for T rows, 0 or CHAT_ENOMEM; its end. */
int	 rows_grow(struct cpu *c, int T);
void	 rows_clear(struct cpu_rows *r);

/* The distance of two rows of n numbers, in floats and in bf16 numbers; and the
 * bf16 array that belongs to a, b, mix or up. */
size_t	 rows_stride(int n);
size_t	 rows_stride16(int n);
uint16_t *rows_narrow(const struct cpu_rows *r, const float *x);

#endif
