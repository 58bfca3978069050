/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forward pass in plain double precision: written to be read, not to be
 * fast, and sharing nothing with engine/cpu.
 */
#include "neox.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dtype.h"
#include "tensors.h"
#include "xmalloc.h"

/* A tensor that is looked for in a stream. */
struct neox_wanted {
	struct model	*m;
	enum tensor	 part;
	int		 layer;
	float		*out;		/* owned by neox_read */
};

/* Keep the rows of the wanted tensor, in our order. */
static int
neox_take(void *arg, const struct model_slice *s, struct fault *f)
{
	struct neox_wanted	*w = arg;
	int64_t			 i;

	(void)f;
	if (s->part != w->part || s->layer != w->layer)
		return (0);
	for (i = 0; i < s->count; i++)
		dtype_to_f32(s->dtype, s->bytes + (size_t)i * s->row_bytes,
		    w->out + model_row(w->m, s, s->first + i) * s->cols,
		    (size_t)s->cols);
	return (0);
}

/* One tensor. */
double *
neox_read(struct model *m, enum tensor part, int layer)
{
	struct neox_wanted	 w = { m, part, layer, NULL };
	struct fault		 f;
	int64_t			 rows, cols, i, n;
	double			*out;

	tensor_shape(part, model_config(m), &rows, &cols);
	n = rows * (cols == 0 ? 1 : cols);
	w.out = xcalloc((size_t)n, sizeof *w.out);
	out = xcalloc((size_t)n, sizeof *out);
	if (model_stream(m, neox_take, &w, &f) != 0)
		fail_msg("%s", f.message);
	for (i = 0; i < n; i++)
		out[i] = (double)w.out[i];
	free(w.out);
	return (out);
}

/* out[N] += w[N][K] in + b. */
static void
neox_linear(double *out, const double *in, const double *w, const double *b,
    int N, int K)
{
	double	 sum;
	int	 n, k;

	for (n = 0; n < N; n++) {
		for (sum = b == NULL ? 0 : b[n], k = 0; k < K; k++)
			sum += w[(size_t)n * (size_t)K + (size_t)k] * in[k];
		out[n] += sum;
	}
}

/* Layer norm. */
static void
neox_norm(double *out, const double *x, const double *gain,
    const double *bias, int C, double eps)
{
	double	 mean = 0, var = 0;
	int	 i;

	for (i = 0; i < C; i++)
		mean += x[i] / C;
	for (i = 0; i < C; i++)
		var += (x[i] - mean) * (x[i] - mean) / C;
	for (i = 0; i < C; i++)
		out[i] = (x[i] - mean) / sqrt(var + eps) * gain[i] + bias[i];
}

/* Rotate the first rot lanes of x at position pos. */
static void
neox_rotate(double *x, int pos, int rot, double base)
{
	double	 a, b, w;
	int	 i;

	for (i = 0; i < rot / 2; i++) {
		w = pos * pow(base, -2.0 * i / rot);
		a = x[i];
		b = x[i + rot / 2];
		x[i] = a * cos(w) - b * sin(w);
		x[i + rot / 2] = b * cos(w) + a * sin(w);
	}
}

/* Attention of position t over positions 0 to t: qkv [n][H][3][D]. */
static void
neox_attend(double *out, const double *qkv, int t, int H, int D)
{
	double		*p = xcalloc((size_t)t + 1, sizeof *p), max, sum;
	const double	*q, *k, *v;
	int		 h, j, i;

	for (h = 0; h < H; h++) {
		q = qkv + ((size_t)t * H + h) * 3 * D;
		max = -INFINITY;
		for (j = 0; j <= t; j++) {
			k = qkv + ((size_t)j * H + h) * 3 * D + D;
			for (p[j] = 0, i = 0; i < D; i++)
				p[j] += q[i] * k[i] / sqrt(D);
			max = fmax(max, p[j]);
		}
		for (sum = 0, j = 0; j <= t; j++)
			sum += p[j] = exp(p[j] - max);
		for (j = 0; j <= t; j++) {
			v = qkv + ((size_t)j * H + h) * 3 * D + 2 * D;
			for (i = 0; i < D; i++)
				out[h * D + i] += p[j] / sum * v[i];
		}
	}
	free(p);
}

/* Either GELU. */
static double
neox_gelu(double x, enum gelu kind)
{
	if (kind == GELU_ERF)
		return (x / 2 * (1 + erf(x / sqrt(2))));
	return (x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x *
	    x))));
}

/* One layer over x[n][C], in place. */
static void
neox_layer(struct model *m, int l, double *x, int n)
{
	const struct model_config *c = model_config(m);
	const int	 C = c->channels, F = c->inner;
	double		*w[TENSOR_LAYER_COUNT], *qkv, *a, *mix, *up;
	int		 i, t, h, k;

	for (i = 0; i < TENSOR_LAYER_COUNT; i++)
		w[i] = neox_read(m, (enum tensor)i, l);
	qkv = xcalloc((size_t)n * 3 * C, sizeof *qkv);
	a = xcalloc((size_t)C, sizeof *a);
	for (t = 0; t < n; t++) {
		neox_norm(a, x + t * C, w[0], w[1], C, (double)c->norm_eps);
		neox_linear(qkv + (size_t)t * 3 * C, a, w[4], w[5], 3 * C, C);
		for (h = 0; h < 2 * c->heads; h++)
			neox_rotate(qkv + (size_t)t * 3 * C + (h / 2 * 3 +
			    h % 2) * c->lanes, t, c->rotary,
			    (double)c->rotary_base);
	}
	for (t = 0; t < n; t++) {
		mix = xcalloc((size_t)C, sizeof *mix);
		up = xcalloc((size_t)F, sizeof *up);
		neox_attend(mix, qkv, t, c->heads, c->lanes);
		if (c->parallel)
			neox_norm(a, x + t * C, w[2], w[3], C,
			    (double)c->norm_eps);
		neox_linear(x + t * C, mix, w[6], w[7], C, C);
		if (!c->parallel)
			neox_norm(a, x + t * C, w[2], w[3], C,
			    (double)c->norm_eps);
		neox_linear(up, a, w[8], w[9], F, C);
		for (k = 0; k < F; k++)
			up[k] = neox_gelu(up[k], c->gelu);
		neox_linear(x + t * C, up, w[10], w[11], C, F);
		free(mix);
		free(up);
	}
	for (i = 0; i < TENSOR_LAYER_COUNT; i++)
		free(w[i]);
	free(qkv);
	free(a);
}

/* The whole model. */
double *
neox_oracle(const char *folder, const int32_t *ids, int n)
{
	const struct model_config *c;
	struct model	*m;
	struct fault	 f;
	double		*x, *embed, *head, *gain, *bias, *out, *a;
	int		 t, l, C;

	if (model_open(folder, &m, &f) != 0)
		fail_msg("%s: %s", folder, f.message);
	c = model_config(m);
	C = c->channels;
	embed = neox_read(m, TENSOR_EMBED, 0);
	head = neox_read(m, c->tied ? TENSOR_EMBED : TENSOR_HEAD, 0);
	gain = neox_read(m, TENSOR_NORM, 0);
	bias = neox_read(m, TENSOR_NORM_BIAS, 0);
	x = xcalloc((size_t)n * C, sizeof *x);
	a = xcalloc((size_t)C, sizeof *a);
	out = xcalloc((size_t)n * c->vocab, sizeof *out);
	for (t = 0; t < n; t++)
		memcpy(x + t * C, embed + (size_t)ids[t] * C,
		    (size_t)C * sizeof *x);
	for (l = 0; l < c->layers; l++)
		neox_layer(m, l, x, n);
	for (t = 0; t < n; t++) {
		neox_norm(a, x + t * C, gain, bias, C, (double)c->norm_eps);
		neox_linear(out + (size_t)t * c->vocab, a, head, NULL,
		    c->vocab, C);
	}
	free(embed);
	free(head);
	free(gain);
	free(bias);
	free(x);
	free(a);
	model_free(m);
	return (out);
}
