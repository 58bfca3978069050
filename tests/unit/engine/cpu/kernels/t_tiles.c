/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels, mainly those with tiles: they give the same bits as the
 * reference loops, for products of any shape and with any enum mm_end, and for
 * attention.
 */
#include "kernels.h"
#include "layout_index.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dtype.h"
#include "fpmode.h"
#include "neox.h"
#include "xmalloc.h"

/* One random product. */
struct product {
	struct matmul	 m;
	struct qrows	 q;
	float		*a, *floats, *also, *first;
	uint16_t	*a16, *halves, *out16;
	uint8_t		*w;
	float		*out;
	float		**outs;
	size_t		 nout, n16;
};

static uint64_t	 seed;

/* n random bits. */
static uint32_t
draw(int n)
{
	return (neox_random(&seed, 1u << n));
}

/* Draw a bf16 around 1; some are denormal or very small. */
static uint16_t
draw_bf16(void)
{
	uint32_t	 exponent = 118 + neox_random(&seed, 11);

	if (draw(6) == 0)
		exponent = neox_random(&seed, 60);
	return ((uint16_t)(draw(1) << 15 | exponent << 7 | draw(7)));
}

/* Draw n floats, each of which is a bf16. */
static float *
draw_floats(size_t n)
{
	float		*x = xcalloc(n, sizeof *x);
	uint16_t	 b;
	size_t		 i;

	for (i = 0; i < n; i++) {
		b = draw_bf16();
		dtype_to_f32(DTYPE_BF16, &b, &x[i], 1);
	}
	return (x);
}

/* Draw rows in bf16 and in int8, with no memory after the last one. */
static void
draw_rows(struct product *p, int rows, int K)
{
	const size_t	 up = ROUND_UP((size_t)K, 64), n = (size_t)rows;
	int		 r, k;

	p->a = draw_floats(n * (size_t)K);
	p->m.lda16 = ROUND_UP((size_t)K, 32);
	p->a16 = xcalloc(n * p->m.lda16, sizeof *p->a16);
	for (r = 0; r < rows; r++)
		for (k = 0; k < (int)p->m.lda16; k++)
			p->a16[(size_t)r * p->m.lda16 + (size_t)k] = k < K ?
			    dtype_bf16(p->a[r * K + k]) : 0x8000;
	p->q.ld = up;
	p->q.q = xcalloc(n, up);
	p->q.sums = xcalloc(n * up / GROUP, sizeof *p->q.sums);
	p->q.total = xcalloc(n, sizeof *p->q.total);
	p->q.scale = xcalloc(n, sizeof *p->q.scale);
	p->q.outlier = xcalloc(n * up, sizeof *p->q.outlier);
	p->q.noutliers = xcalloc(n, sizeof *p->q.noutliers);
	for (r = 0; r < rows; r++)
		kernels_reference.quantize(p->a + r * K, K, &p->q, r);
}

/* Draw panels of a type of elements, in memory of exactly their size. */
static void
draw_panels(struct product *p, enum elem elem, int N, int K)
{
	const size_t	 up = ROUND_UP((size_t)K, 64);
	const size_t	 n = ROUND_UP((size_t)N, PANEL);
	const size_t	 size = elem == ELEM_BF16 ? 2 * n * (size_t)K :
			    elem == ELEM_I8 ? n * up : n * up / 2;
	uint16_t	 b;
	size_t		 i;

	p->w = xcalloc(size, 1);
	for (i = 0; i < size; i += 2) {
		b = elem == ELEM_BF16 ? draw_bf16() : (uint16_t)draw(16);
		memcpy(p->w + i, &b, 2);
	}
	p->halves = xcalloc(n * up / GROUP, sizeof *p->halves);
	for (i = 0; i < n * up / GROUP; i++)
		p->halves[i] = (uint16_t)(0x2000 | draw(12));
	p->floats = draw_floats(n);
	p->m.scales = elem == ELEM_I4 ? (const void *)p->halves : p->floats;
}

/* Draw a product. */
static struct product *
product_new(enum elem elem, int rows, int K, int N)
{
	struct product	*p = xcalloc(1, sizeof *p);
	int		 r;

	draw_rows(p, rows, K);
	draw_panels(p, elem, N, K);
	p->m.a = p->a;
	p->m.a16 = p->a16;
	p->m.q = &p->q;
	p->m.lda = (size_t)K;
	p->m.rows = rows;
	p->m.K = K;
	p->m.N = N;
	p->m.elem = elem;
	p->m.w = p->w;
	p->m.bias = draw(2) > 0 ? p->floats : NULL;
	p->m.ldo = ROUND_UP((size_t)N, PANEL);
	p->m.ldo16 = ROUND_UP((size_t)N, 32);
	p->nout = (size_t)rows * p->m.ldo;
	p->n16 = (size_t)rows * p->m.ldo16;
	p->first = draw_floats(p->nout);
	p->also = draw_floats(p->nout);
	p->out = xcalloc(p->nout, sizeof *p->out);
	p->out16 = xcalloc(p->n16, sizeof *p->out16);
	p->outs = xcalloc((size_t)rows, sizeof *p->outs);
	for (r = 0; r < rows; r++)
		p->outs[r] = p->out + (size_t)r * p->m.ldo;
	return (p);
}

/* Release a product. */
static void
product_free(struct product *p)
{
	free(p->a);
	free(p->a16);
	free(p->q.q);
	free(p->q.sums);
	free(p->q.total);
	free(p->q.scale);
	free(p->q.outlier);
	free(p->q.noutliers);
	free(p->w);
	free(p->halves);
	free(p->floats);
	free(p->first);
	free(p->also);
	free(p->out);
	free(p->out16);
	free(p->outs);
	free(p);
}

/* Run a product, `piece` panels at a time. */
static void
product_run(struct product *p, const struct kernels *k, enum mm_end end,
    int narrow, int piece)
{
	const int	 panels = (p->m.N + PANEL - 1) / PANEL;
	uint64_t	 mode = fpmode_enter();
	size_t		 i;
	int		 at;

	memcpy(p->out, p->first, p->nout * sizeof *p->out);
	for (i = 0; i < p->n16; i++)
		p->out16[i] = 0x8000;
	p->m.end = end;
	p->m.out = end == MM_ROWS || narrow ? NULL : p->out;
	p->m.outs = end == MM_ROWS ? p->outs : NULL;
	p->m.out16 = narrow ? p->out16 : NULL;
	p->m.round = narrow;
	p->m.also = end == MM_ADD2 ? p->also : NULL;
	for (at = 0; at < panels; at += piece)
		k->matmul(&p->m, at, at + piece < panels ? at + piece :
		    panels);
	fpmode_leave(mode);
}

/* Compare one product of each variant with the reference, in pieces of that
 * many panels. */
static void
compare(enum elem elem, int rows, int K, int N, enum mm_end end, int piece)
{
	struct product	*p = product_new(elem, rows, K, N);
	const int	 narrow = draw(1) && end != MM_ROWS &&
			    end != MM_ADD && end != MM_ADD2;
	float		*out = xcalloc(p->nout, sizeof *out);
	uint16_t	*out16 = xcalloc(p->n16, sizeof *out16);
	const char	*isa;
	int		 at;

	product_run(p, &kernels_reference, end, narrow, piece);
	memcpy(out, p->out, p->nout * sizeof *out);
	memcpy(out16, p->out16, p->n16 * sizeof *out16);
	for (at = 0; (isa = neox_isa(&at)) != NULL; ) {
		product_run(p, neox_kernels(isa), end, narrow, piece);
		if (memcmp(out, p->out, p->nout * sizeof *out) != 0 ||
		    memcmp(out16, p->out16, p->n16 * sizeof *out16) != 0)
			fail_msg("%s: elem %d, %d rows, K %d, N %d, end %d, "
			    "narrow %d, piece %d", isa, elem, rows, K, N, end,
			    narrow, piece);
	}
	free(out);
	free(out16);
	product_free(p);
}

static const enum elem	 elems[] = { ELEM_BF16, ELEM_I8, ELEM_I4 };

/* Each number of rows with each end, and random K and N. */
static void
products_of_any_shape_have_the_same_bits(void **state)
{
	size_t	 i;
	int	 rows, end;

	(void)state;
	seed = 4711;
	for (i = 0; i < nitems(elems); i++)
		for (rows = 1; rows <= 70; rows++)
			for (end = MM_STORE; end <= MM_ROWS; end++)
				if ((rows + end) % 2 == 0 || rows < 20)
					compare(elems[i], rows, 2 + 2 *
					    (int)neox_random(&seed, 90), 1 +
					    (int)neox_random(&seed, 60),
					    (enum mm_end)end, 1 +
					    (int)neox_random(&seed, 5));
}

/* Products so large that rows, k or both are cut for the processor's cache, or
 * panels for the sums that wait. */
static void
products_cut_for_the_cache_have_the_same_bits(void **state)
{
	static const struct {
		int	 rows, K, N, piece;
	} sizes[] = { { 1030, 40, 20, 1 }, { 300, 2090, 50, 4 },
		{ 17, 17000, 40, 2 }, { 20, 8226, 100, 5 },
		{ 4, 8226, 540, 34 } };
	size_t	 i, j;

	(void)state;
	for (i = 0; i < nitems(elems); i++)
		for (j = 0; j < nitems(sizes); j++)
			compare(elems[i], sizes[j].rows, sizes[j].K,
			    sizes[j].N, MM_ADD, sizes[j].piece);
}

/* A sum of -0 stays -0 if the last block of k is padded. First the difference
 * of two blocks is flushed to -0, then the products of the last block are. */
static void
padding_keeps_the_sign_of_zero(void **state)
{
	struct product	*p = product_new(ELEM_BF16, 8, 66, 1);
	float		 a[66] = { 1.25f * 0x1p-63f };
	const char	*isa;
	int		 r, k, at;

	(void)state;
	a[32] = -1.5f * 0x1p-63f;
	a[64] = a[65] = -0x1p-64f;
	p->m.bias = NULL;
	for (k = 0; k < 66; k++) {
		((uint16_t *)(void *)p->w)[layout_index(ELEM_BF16, 66, 0,
		    (size_t)k)] =
		    dtype_bf16(0x1p-63f);
		for (r = 0; r < 8; r++) {
			p->a[66 * r + k] = a[k];
			p->a16[96 * r + k] = dtype_bf16(a[k]);
		}
	}
	for (at = 0; (isa = neox_isa(&at)) != NULL; ) {
		product_run(p, neox_kernels(isa), MM_STORE, 0, 1);
		for (r = 0; r < 8; r++)
			if (!(p->out[r * 16] == 0) || !signbit(p->out[r * 16]))
				fail_msg("%s: %a", isa,
				    (double)p->out[r * 16]);
	}
	product_free(p);
}

/* One head's attention. */
struct attention {
	struct attend		 a;
	struct backend_row	 rows[ATTEND_ROWS];
	int			 n;
	int32_t			*blocks;
	float			*qkv, *scratch, *out;
	uint16_t		*cache, *out16;
};

/* Fill the cache after position last with NaN. The other value of its pair is
 * left: writing the first one clears it. */
static void
attention_fill_rest(struct attention *t, int last)
{
	const size_t	 D = (size_t)t->a.kv.D;
	const size_t	 from = (size_t)(last % KV_BLOCK) + 1;
	const int32_t	 block = t->blocks[last / KV_BLOCK];
	uint16_t	*k = t->cache + kv_keys(&t->a.kv, 0, block) / 2;
	uint16_t	*v = t->cache + kv_values(&t->a.kv, 0, block) / 2;
	size_t		 at, i;

	for (at = from; at < KV_BLOCK; at++)
		for (i = 0; i < D; i++) {
			k[layout_index(ELEM_BF16, D, at, i)] = 0x7fc0;
			if (at > from || at % 2 == 0)
				v[layout_index(ELEM_BF16, KV_BLOCK, i, at)] =
				    0x7fc0;
		}
}

/* Draw attention of n rows from pos on. */
static struct attention *
attention_new(int D, int pos, int n)
{
	struct attention *t = xcalloc(1, sizeof *t);
	const int	 blocks = (pos + n - 1) / KV_BLOCK + 1;
	const size_t	 up = ROUND_UP((size_t)D, PANEL);
	size_t		 i, size;
	int		 j;

	t->n = n;
	t->qkv = draw_floats((size_t)(n * 3 * D));
	t->a = (struct attend){ .rows = t->rows, .scale = 0.2f, .qkv = t->qkv,
		.ldqkv = (size_t)(3 * D), .ldo = (size_t)D,
		.ldo16 = (size_t)D, .kv = { .elem = ELEM_BF16, .H = 1, .D = D,
		.blocks = blocks } };
	kv_sizes(&t->a.kv);
	size = t->a.kv.block * (size_t)blocks / 2;
	t->cache = xcalloc(size, sizeof *t->cache);
	for (i = 0; i < size; i++)
		t->cache[i] = draw_bf16();
	t->a.cache = (uint8_t *)t->cache;
	t->blocks = xcalloc((size_t)blocks, sizeof *t->blocks);
	for (j = 0; j < blocks; j++)
		t->blocks[j] = blocks - 1 - j;
	for (j = 0; j < n; j++)
		t->rows[j] = (struct backend_row){ .pos = pos + j,
			.blocks = t->blocks };
	attention_fill_rest(t, pos + n - 1);
	t->scratch = xcalloc((size_t)n * ((size_t)blocks * KV_BLOCK + up),
	    sizeof *t->scratch);
	t->out = xcalloc((size_t)(n * D), sizeof *t->out);
	t->out16 = xcalloc((size_t)(n * D), sizeof *t->out16);
	return (t);
}

/* Release it. */
static void
attention_free(struct attention *t)
{
	free(t->blocks);
	free(t->qkv);
	free(t->scratch);
	free(t->out);
	free(t->out16);
	free(t->cache);
	free(t);
}

/* Compare the attention of each variant with the reference. */
static void
compare_attention(int D, int pos, int rows, int narrow)
{
	struct attention *t = attention_new(D, pos, rows);
	const size_t	 n = (size_t)(rows * D);
	float		*out = xcalloc(n, sizeof *out);
	uint16_t	*out16 = xcalloc(n, sizeof *out16);
	const char	*isa;
	int		 at;

	t->a.out = narrow ? NULL : out;
	t->a.out16 = narrow ? out16 : NULL;
	kernels_reference.attend(&t->a, 0, 0, rows, t->scratch);
	t->a.out = narrow ? NULL : t->out;
	t->a.out16 = narrow ? t->out16 : NULL;
	for (at = 0; (isa = neox_isa(&at)) != NULL; ) {
		neox_kernels(isa)->attend(&t->a, 0, 0, rows, t->scratch);
		if (memcmp(out, t->out, n * sizeof *out) != 0 ||
		    memcmp(out16, t->out16, n * sizeof *out16) != 0)
			fail_msg("%s: D %d, pos %d, %d rows", isa, D, pos,
			    rows);
	}
	for (at = 0; at < (int)n; at++)
		assert_true(!isnan(out[at]) && (out16[at] & 0x7fff) <= 0x7f80);
	free(out);
	free(out16);
	attention_free(t);
}

/* Several sizes of heads, positions and numbers of rows. */
static void
attention_has_the_same_bits(void **state)
{
	static const int lanes[] = { 2, 10, 16, 32, 48, 64, 80, 96, 128, 200,
		256, 272 };
	size_t	 i;
	int	 rows;

	(void)state;
	seed = 31;
	for (i = 0; i < nitems(lanes); i++)
		for (rows = 1; rows <= ATTEND_ROWS; rows++)
			compare_attention(lanes[i], (int)neox_random(&seed,
			    rows % 3 == 0 ? 30 : 400), rows, rows % 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(products_of_any_shape_have_the_same_bits),
		cmocka_unit_test(products_cut_for_the_cache_have_the_same_bits),
		cmocka_unit_test(padding_keeps_the_sign_of_zero),
		cmocka_unit_test(attention_has_the_same_bits)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
