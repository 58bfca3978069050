/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of the trainer: products of matrices, and loops over rows.
 * There is a variant for each kind of processor (struct mat_kind).  All have
 * the same meaning, but not the same bits: "amx" and "avx512bf16" multiply bf16
 * and add in fp32, "avx512fp16" multiplies scaled fp16 (mat_avx512fp16.c), the
 * others use fp32 throughout.  One variant gives the same
 * bits in each run, with any number of threads.
 *
 * A product first packs its operands into panels of MAT_PANEL rows.  A packed
 * operand is a sequence of panels; each panel has its columns in blocks of
 * MAT_PANEL.  Callers that use an operand often pack it once.
 */
#ifndef TUNE_MAT_H
#define TUNE_MAT_H

#include <stddef.h>
#include <stdint.h>

#define MAT_PANEL	32	/* rows of a panel, columns of its blocks */
#define MAT_UP(n)	(((n) + MAT_PANEL - 1) / MAT_PANEL * MAT_PANEL)
#define MAT_K		1024	/* columns that are multiplied at a time */

struct pool;
struct mat_device;

/*
 * One variant.  In pack functions, element (i, k) of the operand is
 * x[i * rs + k * cs]; rs or cs is 1.  The operand has `rows` rows and k
 * columns, and is filled up with zeros to whole panels and blocks.  Panel i
 * begins where mat_panel finds it.
 */
struct mat_kind {
	const char	*name;		/* "amx", "avx512fp16", "avx512bf16",
					 * "avx512", "avx2", "scalar" */
	size_t		 elem;		/* bytes of a packed element */
	size_t		 head;		/* bytes before a panel's elements */
	/* Prepare the calling thread for block. */
	void		(*enter)(void);
	void		(*pack_a)(void *out, const float *x, ptrdiff_t rs,
			    ptrdiff_t cs, int rows, int k);
	void		(*pack_b)(void *out, const float *x, ptrdiff_t rs,
			    ptrdiff_t cs, int rows, int k);
	/* c[32][32], with rows ldc apart, = a panel of A times a panel of B,
	 * over the first `blocks` blocks of their columns; plus c if add. */
	void		(*block)(const void *a, const void *b, int blocks,
			    float *c, ptrdiff_t ldc, int add);

	/* Loops.  C, F and n are multiples of 16. */

	/* y = (x - mean) * rstd * g + b for a row of C; *mean and *rstd are
	 * results. */
	void		(*norm)(float *y, const float *x, const float *g,
			    const float *b, int C, float eps, float *mean,
			    float *rstd);
	/* The gradient of norm for a row: dx += ..., dg += ..., db += ... */
	void		(*norm_back)(float *dx, float *dg, float *db,
			    const float *dy, const float *x, const float *g,
			    int C, float mean, float rstd);
	/* y = gelu(x + b) for a row of n; and in the other direction
	 * y = gelu(x + b), dx = dy * gelu'(x + b).  dx may be dy. */
	void		(*gelu)(float *y, const float *x, const float *b,
			    int n, int tanh);
	void		(*gelu_back)(float *y, float *dx, const float *dy,
			    const float *x, const float *b, int n, int tanh);
	/* x = exp(x * scale - shift); returns the sum. */
	float		(*exp_row)(float *x, int n, float scale, float shift);
	float		(*max_row)(const float *x, int n);
	/* x = x * f */
	void		(*scale_row)(float *x, int n, float f);
	/* y = y + f * x */
	void		(*add_row)(float *y, const float *x, int n, float f);
	/* y = p * (y - delta) * scale */
	void		(*dscore_row)(float *y, const float *p, int n,
			    float delta, float scale);
	float		(*dot_row)(const float *x, const float *y, int n);
	/* AdamW for n elements: m and v are the moments; c1, c2 are the
	 * corrections of their bias, 1 / (1 - beta^step). */
	void		(*adam_row)(float *p, float *m, float *v,
			    const float *g, int n, const float *hyper);
};

/* Indices of adam_row's hyper: the values that it takes. */
enum { ADAM_RATE, ADAM_BETA1, ADAM_BETA2, ADAM_EPS, ADAM_DECAY, ADAM_C1,
	ADAM_C2, ADAM_SCALE, ADAM_HYPER };

extern const struct mat_kind mat_scalar, mat_avx2, mat_avx512, mat_avx512bf16,
    mat_avx512fp16, mat_amx;

/* The best variant that this processor can run, or the one named isa. NULL:
 * it can't be run, or there is no such variant. */
const struct mat_kind *mat_find(const char *isa);

/* n floats, set to 0 and aligned for all variants: owned. Ends the process if
 * there is no memory. */
float	*mat_floats(size_t n);

/* Bytes of a packed operand. */
size_t	 mat_bytes(const struct mat_kind *kind, int rows, int k);

/* Room for one: owned, not set. */
void	*mat_packed(const struct mat_kind *kind, int rows, int k);

/* The panel i of a packed operand with k columns. */
void	*mat_panel(const struct mat_kind *kind, const void *packed, int k,
	    int i);

/* c[rows][cols] of a block, of which only a part is wanted: see block. */
void	 mat_part(const struct mat_kind *kind, const void *a, const void *b,
	    int blocks, float *c, ptrdiff_t ldc, int rows, int cols, int add);

/* What products need: threads and buffers. */
struct mat {
	const struct mat_kind	*kind;
	struct pool		*pool;	/* borrowed */
	int			 threads;
	void			*b;	/* owned: the packed second operand */
	size_t			 b_size;
	void			**a;	/* owned: one per thread */
	size_t			 a_size;
	double			 flops;	/* multiplications and additions */
	struct mat_device	*device; /* borrowed; NULL: the CPU. To be set
					  * before the first product: it
					  * replaces kind in the functions
					  * below (mat_device.h). */
};

void	 mat_init(struct mat *m, const struct mat_kind *kind,
	    struct pool *pool);
void	 mat_clear(struct mat *m);

/* One operand of mat_mul: element (i, k) is x[i * rs + k * cs]. */
struct mat_in {
	const float	*x;
	ptrdiff_t	 rs, cs;	/* one of them is 1 */
};

/*
 * c[M][N] = A B^T, plus c if add. A is [M][K] and B is [N][K]; rows of c are
 * ldc apart. Uses all threads; must not be called from a pool's function.
 */
void	 mat_mul(struct mat *m, int M, int N, int K, struct mat_in a,
	    struct mat_in b, float *c, ptrdiff_t ldc, int add);

/* The same in two steps, for a B that is used again: pack it into an operand
 * of N rows and K columns, and multiply. */
void	 mat_prepare(struct mat *m, int N, int K, struct mat_in b,
	    void *packed);
void	 mat_mul_packed(struct mat *m, int M, int N, int K, struct mat_in a,
	    const void *packed, float *c, ptrdiff_t ldc, int add);

/* An operand for mat_prepare, without content: owned. It is released before
 * m. */
void	*mat_operand(struct mat *m, int rows, int k);
void	 mat_operand_free(struct mat *m, void *packed);

#endif
