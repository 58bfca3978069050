/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The self-test: a variant that uses more of the processor's instructions must
 * compute the same bits as the variant without them.
 */
#include "selftest.h"

#include <stdlib.h>
#include <string.h>

#include "fpmode.h"
#include "kernels.h"
#include "xmalloc.h"

#define SELFTEST_ROWS	33	/* three tiles that overlap */
#define SELFTEST_K	8226	/* not a multiple of any block size */
#define SELFTEST_UP	ROUND_UP(SELFTEST_K, 64)
#define SELFTEST_N	(3 * PANEL)
#define SELFTEST_LANES	80	/* of a head: two blocks and a half */
#define SELFTEST_POS	70	/* of the first row of attention */
#define SELFTEST_SEEN	16	/* rows of attention */
#define SELFTEST_BLOCKS	3	/* that they see */

/* Input and output of the self-test. The same random bytes of w serve as
 * weights in each precision. */
struct selftest {
	uint64_t	 state;
	float		 a[SELFTEST_ROWS][SELFTEST_K];
	uint16_t	 a16[SELFTEST_ROWS][SELFTEST_UP];
	uint16_t	 w[SELFTEST_N][SELFTEST_UP];
	/* halves are the scales in int4, floats the bias and those in int8 */
	uint16_t	 halves[SELFTEST_N][SELFTEST_UP / GROUP];
	float		 floats[SELFTEST_N];
	float		 out[2][SELFTEST_ROWS][SELFTEST_N];
	float		 qkv[SELFTEST_SEEN][3 * SELFTEST_LANES];
	uint16_t	 cache[SELFTEST_BLOCKS][2 * KV_BLOCK * SELFTEST_LANES];
	float		 scratch[SELFTEST_SEEN * (SELFTEST_BLOCKS * KV_BLOCK +
			    SELFTEST_LANES)];
	struct qrows	 q;		/* a in int8, in these arrays: */
	int8_t		 q8[SELFTEST_ROWS * SELFTEST_UP];
	int32_t		 sums[SELFTEST_ROWS * (SELFTEST_UP / GROUP)];
	int32_t		 total[SELFTEST_ROWS], noutliers[SELFTEST_ROWS];
	int32_t		 outlier[SELFTEST_ROWS * SELFTEST_UP];
	float		 scale[SELFTEST_ROWS];
};

/* 32 random bits. */
static uint32_t
selftest_bits(struct selftest *t)
{
	t->state = t->state * 6364136223846793005u + 1442695040888963407u;
	return ((uint32_t)(t->state >> 32));
}

/* A bf16 with |x| below 8; one in 32 is a denormal or zero. */
static uint16_t
selftest_number(struct selftest *t)
{
	uint32_t	 r = selftest_bits(t), exponent = 115 + (r >> 8) % 15;

	if (r % 32 == 0)
		exponent = 0;
	return ((uint16_t)((r >> 16 & 0x807f) | exponent << 7));
}

/* Convert a bf16 to a float. */
static float
selftest_widen(uint16_t number)
{
	uint32_t	 bits = (uint32_t)number << 16;
	float		 x;

	memcpy(&x, &bits, sizeof x);
	return (x);
}

/* Draw queries, keys and values. */
static void
selftest_draw_attention(struct selftest *t)
{
	int	 r, i;

	for (r = 0; r < SELFTEST_SEEN; r++)
		for (i = 0; i < 3 * SELFTEST_LANES; i++)
			t->qkv[r][i] = selftest_widen(selftest_number(t));
	for (r = 0; r < SELFTEST_BLOCKS; r++)
		for (i = 0; i < 2 * KV_BLOCK * SELFTEST_LANES; i++)
			t->cache[r][i] = selftest_number(t);
}

/* Allocate a self-test and draw its input. k rounds the rows to int8. */
static struct selftest *
selftest_new(const struct kernels *k)
{
	struct selftest	*t = xcalloc(1, sizeof *t);
	int		 r, i;

	t->q = (struct qrows){ SELFTEST_UP, t->q8, t->sums, t->total, t->scale,
		t->outlier, t->noutliers };
	for (r = 0; r < SELFTEST_ROWS; r++) {
		for (i = 0; i < SELFTEST_UP; i++)
			t->a16[r][i] = i < SELFTEST_K ?
			    selftest_number(t) : 0x8000;
		for (i = 0; i < SELFTEST_K; i++)
			t->a[r][i] = selftest_widen(t->a16[r][i]);
		k->quantize(t->a[r], SELFTEST_K, &t->q, r);
	}
	for (r = 0; r < SELFTEST_N; r++) {
		for (i = 0; i < SELFTEST_UP; i++)
			t->w[r][i] = selftest_number(t);
		for (i = 0; i < SELFTEST_UP / GROUP; i++)
			t->halves[r][i] = (uint16_t)(0x2000 |
			    (selftest_bits(t) & 0xfff));
		t->floats[r] = (float)(selftest_bits(t) >> 8) * 0x1p-30f;
	}
	selftest_draw_attention(t);
	return (t);
}

/* Compute one product by both variants. Same bits? */
static int
selftest_product(struct selftest *t, enum elem elem, int rows,
    const struct kernels *const k[2])
{
	struct matmul	 m = { .a = t->a[0], .a16 = t->a16[0],
			    .lda16 = SELFTEST_UP, .q = &t->q, .lda = SELFTEST_K,
			    .rows = rows, .K = SELFTEST_K, .N = SELFTEST_N,
			    .elem = elem, .w = t->w, .bias = t->floats,
			    .end = MM_STORE, .ldo = SELFTEST_N };
	int		 i;

	m.scales = elem == ELEM_I4 ? (const void *)t->halves : t->floats;
	for (i = 0; i < 2; i++) {
		m.out = t->out[i][0];
		k[i]->matmul(&m, 0, SELFTEST_N / PANEL);
	}
	return (memcmp(t->out[0], t->out[1], (size_t)rows *
	    sizeof t->out[0][0]) == 0);
}

/* Compute one head's attention by both variants. Same bits? */
static int
selftest_attention(struct selftest *t, const struct kernels *const k[2])
{
	const int32_t		 blocks[SELFTEST_BLOCKS] = { 1, 0, 2 };
	struct backend_row	 rows[SELFTEST_SEEN] = { 0 };
	struct attend		 a = { .rows = rows,
				    .cache = (uint8_t *)t->cache,
				    .qkv = t->qkv[0],
				    .ldqkv = 3 * SELFTEST_LANES,
				    .ldo = SELFTEST_LANES, .scale = 0.125f };
	int			 i;

	a.kv.elem = ELEM_BF16;
	a.kv.H = 1;
	a.kv.D = SELFTEST_LANES;
	a.kv.blocks = SELFTEST_BLOCKS;
	kv_sizes(&a.kv);
	for (i = 0; i < SELFTEST_SEEN; i++) {
		rows[i].pos = SELFTEST_POS + i;
		rows[i].blocks = blocks;
	}
	for (i = 0; i < 2; i++) {
		a.out = t->out[i][0];
		k[i]->attend(&a, 0, 0, SELFTEST_SEEN, t->scratch);
	}
	return (memcmp(t->out[0], t->out[1], sizeof(float) * SELFTEST_SEEN *
	    SELFTEST_LANES) == 0);
}

/* Compare two variants. */
int
selftest_agree(const struct kernels *a, const struct kernels *b)
{
	static const enum elem	 elems[] = { ELEM_BF16, ELEM_I8, ELEM_I4 };
	static const int	 rows[] = { 9, 16, SELFTEST_ROWS };
	const struct kernels	*const both[2] = { a, b };
	const uint64_t		 mode = fpmode_enter();
	struct selftest		*t = selftest_new(b);
	size_t			 i, j;
	int			 same = 1;

	for (i = 0; i < nitems(elems); i++)
		for (j = 0; j < nitems(rows); j++)
			same = same && selftest_product(t, elems[i], rows[j],
			    both);
	same = same && selftest_attention(t, both);
	free(t);
	fpmode_leave(mode);
	return (same);
}
