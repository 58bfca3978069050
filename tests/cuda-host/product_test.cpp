/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cuda/product.cu on the CPU.
 *
 *	product_test values|bits|counts
 *
 * runs one group of checks, prints what is wrong, and has the status 0 if
 * nothing is.  The values are compared with sums in double over the weights as
 * the layout rounds them:
 *
 *   fp32 results   |y - ref| <= 1e-6 * S + 1e-6 * |ref|, S = the sum of the
 *		    absolute values of all terms of ref
 *   activations    the same, and 2^-10 * |ref| for fp16 or 2^-7 for bf16:
 *		    twice their rounding
 *
 * The number of multiprocessors chooses between the shapes of a block, so all
 * checks run with 1, which gives large blocks, and with many.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "cuda_kernels.h"
#include "device.h"

static int failures;

#define FAIL(...) do { \
	if (failures++ < 20) \
		printf(__VA_ARGS__); \
} while (0)

static const char *const elem_name[] = { "fp16", "bf16", "int8", "int4" };
static const char *const end_name[] = { "store", "add", "erf", "tanh" };

/* A number from 0 to n - 1. */
static int
draw(int n)
{
	static uint32_t x = 1;

	x = x * 1664525 + 1013904223;
	return ((int)((uint64_t)(x >> 4) * (uint64_t)n >> 28));
}

/* A number from -1 to 1. */
static float
unit()
{
	return ((float)(draw(2001) - 1000) / 1000);
}

static uint16_t
bits16(enum cuda_elem e, float v)
{
	return ((uint16_t)(e == CUDA_BF16 ? pack_bf16x2(v, 0) :
	    pack_f16x2(v, 0)));
}

static float
float16(enum cuda_elem e, uint16_t v)
{
	return (e == CUDA_BF16 ? unpack_bf16x2(v).x : unpack_f16x2(v).x);
}

/* A call of the runtime must work. */
static void
must(cudaError_t e)
{
	if (e == cudaSuccess)
		return;
	printf("%s\n", cudaGetErrorString(e));
	exit(2);
}

/* A copy of v on the device. */
template <typename T>
static T *
up(const std::vector<T> &v)
{
	T *p;

	must(cudaMalloc(&p, v.size() * sizeof(T)));
	must(cudaMemcpy(p, v.data(), v.size() * sizeof(T),
	    cudaMemcpyHostToDevice));
	return (p);
}

template <typename T>
static std::vector<T>
down(const T *p, size_t n)
{
	std::vector<T> v(n);

	must(cudaMemcpy(v.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost));
	return (v);
}

/* ---- a matrix */

struct matrix {
	enum cuda_elem	 elem, act;
	int		 N, K, Kp;
	std::vector<float> w;		/* [N][K] as the layout rounds them */
	std::vector<float> scale, bias;	/* [N] */
	unsigned char	*packed;	/* on the device, as the next two */
	float		*dev_scale, *dev_bias;
};

/* Random weights; the padding of the panels is a weight of zero. */
static struct matrix
matrix_new(enum cuda_elem e, int N, int K, bool bias)
{
	struct matrix		 m;
	const int		 Np = layout_pad(N, 16);
	std::vector<uint8_t>	 bytes;
	std::vector<float>	 scale(Np, 0), add(Np, 0);
	float			 s = 1, w;
	uint16_t		 h;
	int			 u;

	m.elem = e;
	m.act = e == CUDA_BF16 ? CUDA_BF16 : CUDA_F16;
	m.N = N;
	m.K = K;
	m.Kp = layout_pad(K, LAYOUT_K);
	m.w.resize((size_t)N * K);
	bytes.resize(layout_matrix(e, N, K), 0);
	for (int n = 0; n < N; n++) {
		scale[n] = 0.005f + (float)draw(100) / 10000;
		add[n] = bias ? unit() : 0;
	}
	for (int n = 0; n < Np; n++)
		for (int k = 0; k < m.Kp; k++) {
			bool in = n < N && k < K;
			uint8_t *at = &bytes[layout_weight(e, n, k, m.Kp)];

			if (e == CUDA_I8) {
				u = in ? draw(256) : 128;
				*at = (uint8_t)u;
				w = (float)(u - 128);
			} else if (e == CUDA_I4) {
				if (k % LAYOUT_GROUP == 0) {
					s = 0.1f + (float)draw(100) / 1000;
					h = bits16(CUDA_F16, s);
					memcpy(&bytes[layout_scale(n, k,
					    m.Kp)], &h, 2);
					s = float16(CUDA_F16, h);
				}
				u = in ? draw(16) : 8;
				*at = (uint8_t)(*at | u << layout_nibble(n, k));
				w = float16(CUDA_F16, bits16(CUDA_F16,
				    (float)(u - 8) * s));
			} else {
				h = bits16(e, in ? unit() : 0);
				memcpy(at, &h, 2);
				w = float16(e, h);
			}
			if (in)
				m.w[(size_t)n * K + k] = w;
		}
	if (e != CUDA_I8)
		scale.assign(Np, 1);
	m.scale = scale;
	m.bias = add;
	m.packed = up(bytes);
	m.dev_scale = e == CUDA_I8 ? up(scale) : NULL;
	m.dev_bias = bias ? up(add) : NULL;
	return (m);
}

static void
matrix_free(struct matrix *m)
{
	must(cudaFree(m->packed));
	if (m->dev_scale != NULL)
		must(cudaFree(m->dev_scale));
	if (m->dev_bias != NULL)
		must(cudaFree(m->dev_bias));
}

/* ---- activations */

typedef std::vector<float> rows;	/* [T][K], values of the act's type */

static rows
rows_new(const struct matrix &m, int T)
{
	rows v((size_t)T * m.K);

	for (float &x : v)
		x = float16(m.act, bits16(m.act, unit()));
	return (v);
}

/* Rows first .. first + T - 1 in their layout on the device. What a row after
 * the last one holds must have no effect. */
static uint16_t *
rows_up(const struct matrix &m, const rows &v, int first, int T)
{
	std::vector<uint16_t> a(layout_acts(T, m.K), 0);

	for (int t = 0; t < layout_pad(T, LAYOUT_ROWS); t++)
		for (int k = 0; k < m.K; k++)
			a[layout_act(t, k, m.Kp)] = bits16(m.act, t < T ?
			    v[(size_t)(first + t) * m.K + k] : 999.0f);
	return (up(a));
}

/* Results in double, and the sum of the absolute values of their terms. */
struct reference {
	std::vector<double> y, size;	/* [T][N] */
};

static struct reference
reference_of(const struct matrix &m, const rows &v, int T)
{
	struct reference r;

	r.y.resize((size_t)T * m.N);
	r.size.resize((size_t)T * m.N);
	for (int t = 0; t < T; t++)
		for (int n = 0; n < m.N; n++) {
			const float *x = &v[(size_t)t * m.K];
			const float *w = &m.w[(size_t)n * m.K];
			double sum = 0, size = 0, d;

			for (int k = 0; k < m.K; k++) {
				d = (double)x[k] * (double)w[k];
				sum += d;
				size += fabs(d);
			}
			r.y[(size_t)t * m.N + n] = sum * m.scale[n] +
			    m.bias[n];
			r.size[(size_t)t * m.N + n] = size *
			    fabs(m.scale[n]) + fabs(m.bias[n]);
		}
	return (r);
}

static double
gelu(double x, bool erf_form)
{
	double u = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);

	return (erf_form ? 0.5 * x * erfc(-x / sqrt(2)) :
	    x / (1 + exp(-2 * u)));
}

/* ---- one launch */

/* A part's results, before and after the launch. */
struct output {
	enum product_end end;
	int		 N, T, ldo;
	std::vector<float> old;		/* fp32: [T + 1][ldo] */
	float		*out;
	uint16_t	*acts;
};

#define UNTOUCHED	0x1234

static struct output
output_new(enum product_end end, int N, int T)
{
	struct output	 o;

	o.end = end;
	o.N = N;
	o.T = T;
	o.ldo = N + 3;
	o.out = NULL;
	o.acts = NULL;
	if (end == PRODUCT_STORE || end == PRODUCT_ADD) {
		o.old.resize((size_t)(T + 1) * o.ldo);
		for (float &x : o.old)
			x = unit();
		o.out = up(o.old);
	} else
		o.acts = up(std::vector<uint16_t>(layout_acts(T, N),
		    UNTOUCHED));
	return (o);
}

static void
output_free(struct output *o)
{
	if (o->out != NULL)
		must(cudaFree(o->out));
	if (o->acts != NULL)
		must(cudaFree(o->acts));
}

/* Compare with y + y2 (or y alone), row t of which is first + t of r. */
static void
output_check(const struct output &o, enum cuda_elem elem, enum cuda_elem act,
    int K, int first, const struct reference &r, const struct reference *r2)
{
	const int		 Np = layout_pad(o.N, LAYOUT_K);
	std::vector<float>	 out;
	std::vector<uint16_t>	 acts;
	const char		*what = elem_name[elem];

	if (o.out != NULL)
		out = down(o.out, o.old.size());
	else
		acts = down(o.acts, layout_acts(o.T, o.N));
	for (int t = 0; t < layout_pad(o.T, LAYOUT_ROWS); t++)
		for (int n = 0; n < (o.out != NULL ? o.ldo : Np); n++) {
			size_t at = (size_t)(first + t) * o.N + n;
			size_t to = (size_t)t * o.ldo + n;
			double ref, size, found, bound;

			if (o.out != NULL && (t > o.T || (n >= o.N ||
			    t == o.T))) {
				if (t <= o.T && out[to] != o.old[to])
					FAIL("%s: row %d of %d, column %d of "
					    "%d was written\n", what, t, o.T,
					    n, o.N);
				continue;
			}
			if (o.out == NULL && (t >= o.T || n >= o.N)) {
				uint16_t v = acts[layout_act(t, n, Np)];

				if (v != (t >= o.T ? UNTOUCHED : 0))
					FAIL("%s %s: row %d of %d, column %d "
					    "of %d has %#x\n", what,
					    end_name[o.end], t, o.T, n, o.N,
					    (unsigned)v);
				continue;
			}
			ref = r.y[at] + (r2 != NULL ? r2->y[at] : 0);
			size = r.size[at] + (r2 != NULL ? r2->size[at] : 0);
			bound = 1e-6;
			if (o.end == PRODUCT_ADD) {
				ref += o.old[to];
				size += fabs(o.old[to]);
			}
			if (o.out == NULL) {
				ref = gelu(ref, o.end == PRODUCT_GELU_ERF);
				ref = act == CUDA_F16 && ref > 65504 ? 65504 :
				    ref;
				bound = act == CUDA_BF16 ? 1.0 / 128 :
				    1.0 / 1024;
				found = float16(act, acts[layout_act(t, n,
				    Np)]);
			} else
				found = out[to];
			bound = 1e-6 * size + bound * fabs(ref);
			if (!(fabs(found - ref) <= bound))
				FAIL("%s %s N %d K %d T %d: row %d, column %d: "
				    "found %.9g, expected %.9g +- %.2g\n",
				    what, end_name[o.end], o.N, K, o.T, t, n,
				    found, ref, bound);
		}
}

/* A part of a product that reads rows first .. first + T - 1 of v. */
static struct product_part
part_new(const struct matrix &m, const rows &v, int first, int T,
    const struct output &o)
{
	struct product_part q;

	q.w = m.packed;
	q.scale = m.dev_scale;
	q.bias = m.dev_bias;
	q.in = rows_up(m, v, first, T);
	q.N = m.N;
	q.K = m.K;
	q.end = o.end;
	q.out = o.out;
	q.ldo = o.ldo;
	q.acts = o.acts;
	return (q);
}

static struct product
product_new(const struct matrix &m, int T)
{
	struct product p = {};

	p.elem = m.elem;
	p.act = m.act;
	p.T = T;
	return (p);
}

/* Launch p, wait, and free what part_new made. */
static void
launch(struct product *p)
{
	must(product_launch(p, NULL));
	must(cudaDeviceSynchronize());
	for (int i = 0; i < p->n; i++)
		must(cudaFree(const_cast<void *>(p->part[i].in)));
}

/* Let a launch take the largest blocks there are, or the smallest. */
static void
blocks_large(bool large)
{
	simt_device(0)->multiProcessorCount = large ? 1 : 100000;
}

/* ---- values */

/* One part with all ends and several T. */
static void
values_single(enum cuda_elem e, int N, int K, const std::vector<int> &Ts)
{
	struct matrix	 m = matrix_new(e, N, K, N != 16);
	rows		 v = rows_new(m, 200);
	struct reference r = reference_of(m, v, 200);
	static int	 turn;

	for (int T : Ts) {
		struct output	 o = output_new((enum product_end)(turn % 4),
				    N, T);
		struct product	 p = product_new(m, T);
		int		 first = draw(201 - T);

		blocks_large(turn++ / 4 % 2);
		p.n = 1;
		p.part[0] = part_new(m, v, first, T, o);
		launch(&p);
		output_check(o, e, m.act, K, first, r, NULL);
		output_free(&o);
	}
	matrix_free(&m);
}

/* Two parts with different shapes and inputs, side by side; or a chain. */
static void
values_double(enum cuda_elem e, bool chain, int N0, int K0, int N1, int K1,
    int T, enum product_end end)
{
	struct matrix	 m[2] = { matrix_new(e, N0, K0, true),
			    matrix_new(e, N1, K1, true) };
	rows		 v[2] = { rows_new(m[0], T), rows_new(m[1], T) };
	struct reference r[2] = { reference_of(m[0], v[0], T),
			    reference_of(m[1], v[1], T) };
	struct output	 o[2] = { output_new(end, N0, T),
			    output_new(PRODUCT_STORE, N1, T) };
	struct product	 p = product_new(m[0], T);

	p.n = 2;
	p.chain = chain;
	for (int i = 0; i < 2; i++)
		p.part[i] = part_new(m[i], v[i], 0, T, o[i]);
	launch(&p);
	output_check(o[0], e, m[0].act, K0, 0, r[0], chain ? &r[1] : NULL);
	if (!chain)
		output_check(o[1], e, m[1].act, K1, 0, r[1], NULL);
	else if (down(o[1].out, o[1].old.size()) != o[1].old)
		FAIL("a chain has written to the end of its second part\n");
	for (int i = 0; i < 2; i++) {
		output_free(&o[i]);
		matrix_free(&m[i]);
	}
}

/* Weights of 60000 in a column, so that results leave the range of fp16. */
static void
values_saturate(int T)
{
	struct matrix		 m = matrix_new(CUDA_F16, 20, 64, false);
	std::vector<uint16_t>	 w(layout_matrix(CUDA_F16, 20, 64) / 2, 0);
	rows			 v((size_t)T * 64, 2.0f);
	struct output		 o = output_new(PRODUCT_GELU_ERF, 20, T);
	struct product		 p = product_new(m, T);
	std::vector<uint16_t>	 acts;

	for (int k = 0; k < 64; k++)
		w[layout_weight(CUDA_F16, 18, k, 64) / 2] =
		    bits16(CUDA_F16, 60000);
	must(cudaMemcpy(m.packed, w.data(), w.size() * 2,
	    cudaMemcpyHostToDevice));
	p.n = 1;
	p.part[0] = part_new(m, v, 0, T, o);
	launch(&p);
	acts = down(o.acts, layout_acts(T, 20));
	for (int t = 0; t < T; t++)
		if (acts[layout_act(t, 18, 64)] != bits16(CUDA_F16, 65504))
			FAIL("T %d: 7680000 was stored as %#x\n", T,
			    (unsigned)acts[layout_act(t, 18, 64)]);
	output_free(&o);
	matrix_free(&m);
}

static void
values()
{
	const std::vector<int> all = { 1, 2, 3, 7, 8, 9, 16, 17, 31, 33, 64,
	    65, 100, 129, 200 };
	const struct {
		int N, K;
		std::vector<int> T;
	} table[] = {
		{ 1, 8, all }, { 15, 64, all }, { 16, 72, all },
		{ 17, 200, all }, { 100, 72, { 1, 9, 17, 33, 100, 129 } },
		{ 15, 640, { 1, 8, 16, 31, 64, 65 } },
		{ 17, 1000, { 2, 9, 17, 33, 129 } },
		{ 100, 640, { 3, 7, 16, 65 } }, { 100, 1000, { 1, 31 } },
		{ 1, 1000, { 7, 64, 200 } }, { 16, 8, { 5, 66 } },
	};
	int turn = 0;

	for (int e = CUDA_F16; e <= CUDA_I4; e++) {
		for (const auto &c : table)
			values_single((enum cuda_elem)e, c.N, c.K, c.T);
		for (int T : { 1, 9, 31, 64, 65, 130 })
			for (int chain = 0; chain < 2; chain++) {
				blocks_large(turn / 2 % 2);
				values_double((enum cuda_elem)e, chain, 33,
				    200, chain ? 33 : 70, 72, T,
				    (enum product_end)(turn++ % 4));
			}
	}
	values_saturate(5);
	values_saturate(70);
}

/* ---- bits */

/* Row t alone, among 33 rows and among 130 has the same bits, in each shape of
 * a block and in each order of the threads. */
static void
bits_single(enum cuda_elem e, int N, int K)
{
	struct matrix		 m = matrix_new(e, N, K, true);
	rows			 v = rows_new(m, 130);
	std::vector<float>	 want;		/* [130][N] */
	static const struct { int T, first; } cut[] = { { 130, 0 }, { 33, 0 },
	    { 33, 97 }, { 64, 3 }, { 16, 50 }, { 12, 118 }, { 1, 0 },
	    { 1, 50 }, { 1, 129 }, { 8, 7 } };

	for (int large = 0; large < 2; large++) {
		blocks_large(large);
		for (const auto &c : cut) {
			struct output	 o = output_new(PRODUCT_STORE, N, c.T);
			struct product	 p = product_new(m, c.T);
			std::vector<float> out;

			p.n = 1;
			p.part[0] = part_new(m, v, c.first, c.T, o);
			launch(&p);
			out = down(o.out, o.old.size());
			if (want.empty())
				want.resize((size_t)130 * N, NAN);
			for (int t = 0; t < c.T; t++) {
				float *w = &want[(size_t)(c.first + t) * N];
				float *f = &out[(size_t)t * o.ldo];

				if (c.T == 130 && !large)
					memcpy(w, f, N * sizeof *f);
				else if (memcmp(w, f, N * sizeof *f) != 0)
					FAIL("%s N %d K %d: row %d has other "
					    "bits among %d rows\n",
					    elem_name[e], N, K, c.first + t,
					    c.T);
			}
			output_free(&o);
		}
	}
	matrix_free(&m);
}

/* The same for the ends: parts side by side, and a chain. */
static void
bits_double(enum cuda_elem e, bool chain, enum product_end end)
{
	const int		 N[2] = { 33, chain ? 33 : 20 }, K[2] = { 200,
				    72 };
	struct matrix		 m[2] = { matrix_new(e, N[0], K[0], true),
				    matrix_new(e, N[1], K[1], true) };
	rows			 v[2] = { rows_new(m[0], 130),
				    rows_new(m[1], 130) };
	std::vector<float>	 old((size_t)130 * N[0]), want(old.size()), x;
	std::vector<uint16_t>	 y, acts(layout_acts(130, N[0]));
	const int		 Np = layout_pad(N[0], LAYOUT_K);

	for (float &f : old)
		f = unit();
	for (int i = 0; i < 4; i++) {
		const int T = i == 0 ? 130 : i == 1 ? 33 : i == 2 ? 64 : 1;
		const int first = i == 3 ? 77 : i * 20;
		struct output o = output_new(end, N[0], T);
		struct output other = output_new(PRODUCT_STORE, N[1], T);
		struct product p = product_new(m[0], T);

		p.n = 2;
		p.chain = chain;
		blocks_large(i % 2);
		for (int t = 0; o.out != NULL && t < T; t++)
			must(cudaMemcpy(o.out + t * o.ldo, &old[(size_t)
			    (first + t) * N[0]], N[0] * sizeof old[0],
			    cudaMemcpyHostToDevice));
		p.part[0] = part_new(m[0], v[0], first, T, o);
		p.part[1] = part_new(m[1], v[1], first, T, other);
		launch(&p);
		if (o.out != NULL)
			x = down(o.out, o.old.size());
		else
			y = down(o.acts, layout_acts(T, N[0]));
		for (int t = 0; t < T; t++)
			for (int n = 0; n < N[0]; n++) {
				size_t at = (size_t)(first + t) * N[0] + n;
				size_t a = layout_act(first + t, n, Np);
				bool same;

				if (o.out != NULL && i == 0)
					want[at] = x[(size_t)t * o.ldo + n];
				else if (i == 0)
					acts[a] = y[a];
				same = o.out != NULL ? memcmp(&want[at],
				    &x[(size_t)t * o.ldo + n], 4) == 0 :
				    acts[a] == y[layout_act(t, n, Np)];
				if (!same)
					FAIL("%s %s%s: row %d, column %d has "
					    "other bits among %d rows\n",
					    elem_name[e], end_name[end],
					    chain ? " of a chain" : "",
					    first + t, n, T);
			}
		output_free(&o);
		output_free(&other);
	}
	for (int i = 0; i < 2; i++)
		matrix_free(&m[i]);
}

static void
bits()
{
	for (int e = CUDA_F16; e <= CUDA_I4; e++) {
		bits_single((enum cuda_elem)e, 70, 72);
		bits_single((enum cuda_elem)e, 17, 1000);
		for (int end = 0; end < 4; end++)
			bits_double((enum cuda_elem)e, end % 2,
			    (enum product_end)end);
		bits_double((enum cuda_elem)e, true, PRODUCT_STORE);
	}
}

/* ---- counts */

/* Lane instructions for a weight that the functions of device.h count, by type;
 * unpacking and mma are among them, loads are added. */
static const double limit[] = { 4, 4, 4, 2.5 };

/* Up to 64 rows each sector of the weights is fetched once, and each block
 * fetches the activations once. */
static void
counts_narrow(enum cuda_elem e, int N, int K, int T, bool large)
{
	struct matrix	 m = matrix_new(e, N, K, false);
	rows		 v = rows_new(m, T);
	struct output	 o = output_new(PRODUCT_STORE, N, T);
	struct product	 p = product_new(m, T);
	const size_t	 weights = layout_matrix(e, N, K);
	const size_t	 acts = layout_acts(T, K) * 2;
	size_t		 scales = 0, want, blocks;
	double		 ops = 0;

	if (e == CUDA_I8)	/* read once for 8 rows */
		scales = (size_t)layout_pad(N, 16) * 4 * (size_t)layout_pad(T,
		    LAYOUT_ROWS) / LAYOUT_ROWS;
	blocks_large(large);
	p.n = 1;
	p.part[0] = part_new(m, v, 0, T, o);
	simt_count_start();
	launch(&p);
	for (const struct simt_counts &c : simt_count_stop()) {
		const auto &g = c.global[SIMT_READ];

		blocks = c.grid.x * c.grid.y;
		want = (weights + scales + blocks * acts) / 32;
		if (g.sectors != want)
			FAIL("%s N %d K %d T %d: %zu sectors were read, "
			    "expected %zu\n", elem_name[e], N, K, T,
			    (size_t)g.sectors, want);
		want = (weights + acts) / 32 + (e == CUDA_I8 ?
		    (size_t)layout_pad(N, 16) / 8 : 0);
		if (g.unique != want)
			FAIL("%s N %d K %d T %d: %zu different sectors were "
			    "read, expected %zu\n", elem_name[e], N, K, T,
			    (size_t)g.unique, want);
		if (g.used != g.sectors * 32)
			FAIL("%s N %d K %d T %d: %zu bytes of %zu sectors\n",
			    elem_name[e], N, K, T, (size_t)g.used,
			    (size_t)g.sectors);
		ops = (double)(c.ops[SIMT_LOP3] + c.ops[SIMT_MMA_F16] +
		    c.ops[SIMT_MMA_BF16]) + (double)g.accesses * 32;
		ops /= (double)layout_pad(N, 16) * m.Kp;
		printf("%s T %d, %zu blocks: %.2f lane instructions for a "
		    "weight\n", elem_name[e], T, blocks, ops);
		if (T <= 32 && large && ops > limit[e])
			FAIL("%s T %d: %.2f lane instructions for a weight, "
			    "expected at most %.2f\n", elem_name[e], T, ops,
			    limit[e]);
	}
	output_free(&o);
	matrix_free(&m);
}

static void
counts()
{
	for (int e = CUDA_F16; e <= CUDA_I4; e++)
		for (int T : { 8, 16, 32, 64 })
			for (int large = 0; large < 2; large++)
				counts_narrow((enum cuda_elem)e, 128, 640, T,
				    large);
}

int
main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (strcmp(what, "values") == 0)
		values();
	else if (strcmp(what, "bits") == 0)
		bits();
	else if (strcmp(what, "counts") == 0)
		counts();
	else {
		fprintf(stderr, "usage: product_test values|bits|counts\n");
		return (2);
	}
	if (failures > 0)
		printf("%d failures\n", failures);
	return (failures > 0);
}
