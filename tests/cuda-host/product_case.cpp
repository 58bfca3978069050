/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrices, activations and launches for product_test.cpp.  Results are
 * compared with sums in double over the weights as the layout rounds them:
 *
 *   fp32 results   |y - ref| <= 1e-6 * S + 1e-6 * |ref|, S = the sum of the
 *		    absolute values of all terms of ref
 *   activations    the same, and 2^-10 * |ref| for fp16 or 2^-7 for bf16:
 *		    twice their rounding
 */
#include "product_case.h"

int failures;

const char *const elem_name[] = { "fp16", "bf16", "int8", "int4" };
const char *const end_name[] = { "store", "add", "erf", "tanh" };

/* A number from 0 to n - 1. */
int
draw(int n)
{
	static uint32_t x = 1;

	x = x * 1664525 + 1013904223;
	return ((int)((uint64_t)(x >> 4) * (uint64_t)n >> 28));
}

/* A number from -1 to 1. */
float
unit()
{
	return ((float)(draw(2001) - 1000) / 1000);
}

uint16_t
bits16(enum cuda_elem e, float v)
{
	return ((uint16_t)(e == CUDA_BF16 ? pack_bf16x2(v, 0) :
	    pack_f16x2(v, 0)));
}

float
float16(enum cuda_elem e, uint16_t v)
{
	return (e == CUDA_BF16 ? unpack_bf16x2(v).x : unpack_f16x2(v).x);
}

/* ---- a matrix */

/* Random weights; the padding of the panels is a weight of zero. */
struct matrix
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

void
matrix_free(struct matrix *m)
{
	must(cudaFree(m->packed));
	if (m->dev_scale != NULL)
		must(cudaFree(m->dev_scale));
	if (m->dev_bias != NULL)
		must(cudaFree(m->dev_bias));
}

/* ---- activations */

rows
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

struct reference
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

#define UNTOUCHED	0x1234

struct output
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

void
output_free(struct output *o)
{
	if (o->out != NULL)
		must(cudaFree(o->out));
	if (o->acts != NULL)
		must(cudaFree(o->acts));
}

/* Compare with y + y2 (or y alone), row t of which is first + t of r. */
void
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
struct product_part
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

struct product
product_new(const struct matrix &m, int T)
{
	struct product p = {};

	p.elem = m.elem;
	p.act = m.act;
	p.T = T;
	return (p);
}

/* Launch p, wait, and free what part_new made. */
void
launch(struct product *p)
{
	must(product_launch(p, NULL));
	must(cudaDeviceSynchronize());
	for (int i = 0; i < p->n; i++)
		must(cudaFree(const_cast<void *>(p->part[i].in)));
}
