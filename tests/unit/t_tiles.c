/*
 * Kernels with tiles: the same bits as the scalar ones, products of any shape
 * and any end; what the tiles in plain C refuse; and the trial that keeps a
 * variant with other bits from being used.
 */
#include "isa.h"

#include <sys/wait.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dtype.h"
#include "fpmode.h"
#include "neox.h"
#include "tile_soft.h"
#include "trial.h"
#include "xmalloc.h"

/* One product, as random as can be. */
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

/* A number of bf16 around 1, some zero or far too small. */
static uint16_t
draw_bf16(void)
{
	uint32_t	 exponent = 118 + neox_random(&seed, 11);

	if (draw(6) == 0)
		exponent = neox_random(&seed, 60);
	return ((uint16_t)(draw(1) << 15 | exponent << 7 | draw(7)));
}

/* The float that these bits are. */
static float
widen(uint16_t b)
{
	uint32_t	 bits = (uint32_t)b << 16;
	float		 x;

	memcpy(&x, &bits, sizeof x);
	return (x);
}

/* n floats of bf16. */
static float *
draw_floats(size_t n)
{
	float	*x = xcalloc(n, sizeof *x);
	size_t	 i;

	for (i = 0; i < n; i++)
		x[i] = widen(draw_bf16());
	return (x);
}

/* Rows in bf16 and in int8, with nothing behind the last one. */
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
	p->q.apart = xcalloc(n * up, sizeof *p->q.apart);
	p->q.napart = xcalloc(n, sizeof *p->q.napart);
	for (r = 0; r < rows; r++)
		kernels_scalar.quantize(p->a + r * K, K, &p->q, r);
}

/* Panels of an element, each of the size it really has. */
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

/* And its end. */
static void
product_free(struct product *p)
{
	free(p->a);
	free(p->a16);
	free(p->q.q);
	free(p->q.sums);
	free(p->q.total);
	free(p->q.scale);
	free(p->q.apart);
	free(p->q.napart);
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

/* Run it, in pieces of so many panels. */
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

/* One product by each variant against scalar. */
static void
compare(enum elem elem, int rows, int K, int N, enum mm_end end)
{
	struct product	*p = product_new(elem, rows, K, N);
	const int	 narrow = draw(1) && end != MM_ROWS &&
			    end != MM_ADD && end != MM_ADD2;
	const int	 piece = 1 + (int)neox_random(&seed, 5);
	float		*out = xcalloc(p->nout, sizeof *out);
	uint16_t	*out16 = xcalloc(p->n16, sizeof *out16);
	const char	*isa;
	int		 at;

	product_run(p, &kernels_scalar, end, narrow, piece);
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

/* Each number of rows, each end; K and N odd in every way. */
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
					    (enum mm_end)end);
}

/* So large that rows, k or both are cut for the cache. */
static void
products_cut_for_the_cache_have_the_same_bits(void **state)
{
	static const struct {
		int	 rows, K, N;
	} sizes[] = { { 1030, 40, 20 }, { 300, 2090, 50 }, { 17, 17000, 40 },
		{ 20, 8226, 600 } };
	size_t	 i, j;

	(void)state;
	for (i = 0; i < nitems(elems); i++)
		for (j = 0; j < nitems(sizes); j++)
			compare(elems[i], sizes[j].rows, sizes[j].K,
			    sizes[j].N, MM_ADD);
}

/* A sum that becomes -0 stays so where the last block of k is filled up: a
 * difference of two blocks that is flushed, then products that are. */
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
		((uint16_t *)(void *)p->w)[k / 2 * 32 + k % 2] =
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

/* The end of a child that does something with tiles: 0, or its signal. */
static int
ends_with(void (*what)(struct tile_config *))
{
	struct tile_config	 c = { .palette = 1, .bytes = { 64, 64, 64 },
				    .rows = { 16, 16, 16 } };
	int			 status;
	pid_t			 pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(1);
		signal(SIGABRT, SIG_DFL);
		what(&c);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return (WIFSIGNALED(status) ? WTERMSIG(status) :
	    WEXITSTATUS(status));
}

static uint8_t	 block[16][64];

#define TILE_USE(name, change)						\
static void								\
name(struct tile_config *c)						\
{									\
	change;								\
	tile_configure(c);						\
	tile_load(1, block, 64);					\
	tile_load(2, block, 64);					\
	tile_zero(0);							\
	tile_dot_bf16(0, 1, 2);						\
	tile_dot_ss8(0, 1, 2);						\
	tile_dot_su8(0, 1, 2);						\
	tile_store(0, block, 64);					\
	tile_release();							\
}

TILE_USE(use_right, c->rows[0] = c->rows[1] = 3)
TILE_USE(use_half, (c->bytes[1] = 32, c->rows[2] = 8))
TILE_USE(use_palette, c->palette = 2)
TILE_USE(use_reserved, c->reserved[13] = 1)
TILE_USE(use_many_rows, c->rows[0] = c->rows[1] = 17)
TILE_USE(use_wide_rows, c->bytes[0] = c->bytes[2] = 68)
TILE_USE(use_no_rows, c->rows[3] = 4)
TILE_USE(use_ninth, c->rows[8] = c->bytes[8] = 4)
TILE_USE(use_none, c->rows[0] = c->bytes[0] = 0)
TILE_USE(use_short_b, c->rows[2] = 15)
TILE_USE(use_few_rows, c->rows[1] = 15)
TILE_USE(use_narrow, c->bytes[0] = 60)

/* Used without configuration. */
static void
use_nothing(struct tile_config *c)
{
	(void)c;
	tile_load(1, block, 64);
}

/* Used after the end. */
static void
use_released(struct tile_config *c)
{
	use_right(c);
	tile_zero(0);
}

/* The same register twice. */
static void
use_twice(struct tile_config *c)
{
	tile_configure(c);
	tile_dot_bf16(0, 1, 1);
}

/* What the processor would refuse ends the program. */
static void
tiles_in_plain_c_refuse_what_the_processor_does(void **state)
{
	static void (*const wrong[])(struct tile_config *) = { use_palette,
		use_reserved, use_many_rows, use_wide_rows, use_no_rows,
		use_ninth, use_none, use_short_b, use_few_rows, use_narrow,
		use_nothing, use_released, use_twice };
	size_t	 i;

	(void)state;
	assert_int_equal(ends_with(use_right), 0);
	assert_int_equal(ends_with(use_half), 0);
	for (i = 0; i < nitems(wrong); i++)
		if (ends_with(wrong[i]) != SIGABRT)
			fail_msg("number %zu is taken", i);
}

/* What the manual says of one product of bf16, by hand. */
static void
tiles_in_plain_c_compute_what_the_manual_says(void **state)
{
	struct tile_config	 c = { .palette = 1, .bytes = { 4, 8, 4 },
				    .rows = { 1, 1, 2 } };
	const float	a[4] = { 1.5f, -2, 0x1p-70f, 4 };
	const float	b[4] = { 3, 0.5f, 0x1p-70f, 0.25f };
	uint16_t	a16[4], b16[2][2];
	int8_t		qa[8] = { -128, 127, -1, 2, 3, -4, 5, -6 };
	uint8_t		qb[2][4] = { { 255, 200, 128, 1 }, { 127, 9, 8, 0 } };
	float		sum = 10;
	int32_t		total = 7, want;
	int		i;

	(void)state;
	for (i = 0; i < 4; i++) {
		a16[i] = dtype_bf16(a[i]);
		b16[i / 2][i % 2] = dtype_bf16(b[i]);
	}
	tile_configure(&c);
	tile_load(0, &sum, 64);
	tile_load(1, a16, 64);
	tile_load(2, b16, 4);
	tile_dot_bf16(0, 1, 2);
	tile_store(0, &sum, 64);
	assert_true(sum == 10 + ((4.5f + 0) + (-1 + 1)));
	tile_load(0, &total, 64);
	tile_load(1, qa, 64);
	tile_load(2, qb, 4);
	tile_dot_su8(0, 1, 2);
	tile_store(0, &total, 64);
	for (want = 7, i = 0; i < 8; i++)
		want += qa[i] * qb[i / 4][i % 4];
	assert_int_equal(total, want);
	tile_dot_ss8(0, 1, 2);
	tile_store(0, &total, 64);
	for (i = 0; i < 8; i++)
		want += qa[i] * (int8_t)qb[i / 4][i % 4];
	assert_int_equal(total, want);
	tile_release();
}

static const struct matmul *spoilt;	/* what spoil spoils: its elem */

/* Products of one element that are wrong in one bit. */
static void
spoil(const struct matmul *m, int first, int last)
{
	uint32_t	 bits;

	kernels_scalar.matmul(m, first, last);
	if (m->elem != spoilt->elem || m->rows < 17)
		return;
	memcpy(&bits, &m->out[16 * m->ldo + 3], sizeof bits);
	bits ^= 1;
	memcpy(&m->out[16 * m->ldo + 3], &bits, sizeof bits);
}

/* A variant that is there. */
static int
there(void)
{
	return (1);
}

/* Only what gives the same bits is chosen. */
static void
a_variant_with_other_bits_is_not_used(void **state)
{
	struct kernels		 wrong = kernels_scalar;
	struct matmul		 m = { .rows = 1 };
	struct isa_variant	 v[] = { { &wrong, there, &kernels_scalar },
				    { &kernels_scalar, there, NULL } };
	size_t			 i;

	(void)state;
	wrong.name = "wrong";
	assert_true(trial_agree(&kernels_amx_soft, &kernels_scalar));
	assert_ptr_equal(isa_pick(v, 2, "auto"), &wrong);
	assert_ptr_equal(isa_pick(v, 2, "wrong"), &wrong);
	spoilt = &m;
	wrong.matmul = spoil;
	assert_ptr_equal(isa_pick(v, 2, "scalar"), &kernels_scalar);
	for (i = 0; i < nitems(elems); i++) {
		m.elem = elems[i];
		assert_ptr_equal(isa_pick(v, 2, "auto"), &kernels_scalar);
		assert_null(isa_pick(v, 2, "wrong"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(products_of_any_shape_have_the_same_bits),
		cmocka_unit_test(products_cut_for_the_cache_have_the_same_bits),
		cmocka_unit_test(padding_keeps_the_sign_of_zero),
		cmocka_unit_test(
		    tiles_in_plain_c_refuse_what_the_processor_does),
		cmocka_unit_test(tiles_in_plain_c_compute_what_the_manual_says),
		cmocka_unit_test(a_variant_with_other_bits_is_not_used)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
