/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU backend: weights, cache, threads and the step.
 */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include "kernels.h"
#include "layout.h"
#include "model.h"
#include "pool.h"
#include "weights.h"

/* A backend on the CPU; the arguments of backend_open. */
int	 cpu_open(struct model *m, const struct backend_options *opt,
	    struct backend **out, struct fault *f);

/*
 * Which precision a model is computed in where asked is "auto" or a name. 0
 * and *out, or an error with *f filled: no such name, or a packed file of
 * another one.
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
	/* bf16, where the kernels want them so: see struct matmul */
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

/* What the machine allows, all threads together. */
struct cpu_limits {
	double	 read;		/* bytes a second from memory */
	double	 fma;		/* fp32 operations a second, in registers */
	double	 dot8;		/* the same of 8-bit products */
	double	 tile16, tile8;	/* of bf16 and 8 bits in tiles; 0: none */
};

/* roofline.c: measure them, with the kernels and the threads of c; about two
 * seconds. And the bytes of weights that one token needs. */
void	 cpu_limits(const struct cpu *c, struct cpu_limits *out);
int64_t	 cpu_touched(const struct cpu *c);
/* The first of these alone, as it is now: tens of milliseconds. */
double	 cpu_read_rate(const struct cpu *c);

/* One step; see backend.h. */
int	 forward_step(struct backend *b, const struct backend_row *rows,
	    int T);

/* rows.c: room for T rows, 0 or CHAT_ENOMEM; its end. */
int	 rows_grow(struct cpu *c, int T);
void	 rows_clear(struct cpu_rows *r);

/* Numbers from row to row where a row has n: of floats, and of bf16. And the
 * array in bf16 that goes with a, b, mix or up. */
size_t	 rows_stride(int n);
size_t	 rows_stride16(int n);
uint16_t *rows_narrow(const struct cpu_rows *r, const float *x);

#endif
