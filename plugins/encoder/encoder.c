/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pass of the encoder.  Only the representation of [CLS] is used, so the
 * last layer computes the other tokens' keys and values only.
 */
#include "encoder.h"

#include <config.h>

#include <math.h>
#include <string.h>

#include "encoder_kernels.h"
#include "xmalloc.h"

const char *const encoder_isas[] = { "avx512", "avx2", "plain", NULL };

/* The kernels of an instruction set. */
const struct encoder_kernels *
encoder_kernels_find(const char *isa)
{
	int	 any = strcmp(isa, "auto") == 0;

#ifdef CPU_X86
	if ((any || strcmp(isa, "avx512") == 0) &&
	    __builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512vl") &&
	    __builtin_cpu_supports("avx512vnni"))
		return (&encoder_vnni);
	if ((any || strcmp(isa, "avx2") == 0) &&
	    __builtin_cpu_supports("avx2"))
		return (&encoder_avx2);
#endif
	return (any || strcmp(isa, "plain") == 0 ? &encoder_plain : NULL);
}

/* The sum of word and position of n tokens, normalized, in e->x. */
static void
encoder_embed(struct encoder *e, const uint32_t *ids, size_t n)
{
	const int8_t	*w;
	const float	*p;
	float		*x, scale;
	size_t		 t, j;

	for (t = 0; t < n; t++) {
		w = e->word + (size_t)ids[t] * e->hidden;
		p = e->position + t * e->hidden;
		x = e->x + t * e->hidden;
		scale = e->word_scale[ids[t]];
		for (j = 0; j < e->hidden; j++)
			x[j] = (float)w[j] * scale + p[j];
	}
	e->kernels->norm(e->x, NULL, n, e->hidden, e->norm_gamma,
	    e->norm_beta, e->eps);
}

/* Round rows of a buffer, and multiply them with columns from .. to of a
 * matrix. */
static void
encoder_multiply(struct encoder *e, float *in, size_t rows,
    const float *shift, const float *mul, const struct encoder_matrix *m,
    float *out)
{
	e->kernels->quantize(in, m->k, rows, m->k, shift, mul, e->q8,
	    e->q8_scale, e->q8_zero);
	e->kernels->gemm(m, 0, m->n, e->q8, e->q8_scale, e->q8_zero, rows,
	    out, m->n);
}

/* Queries of the first q rows, keys and values of all n rows, in e->qkv. The
 * rounding changes its input, so it works on a copy. */
static void
encoder_qkv(struct encoder *e, const struct encoder_layer *l, size_t n,
    size_t q)
{
	const struct encoder_kernels	*k = e->kernels;
	uint32_t			 h = e->hidden;

	memcpy(e->y, e->x, n * h * sizeof *e->y);
	k->quantize(e->y, h, n, h, l->in_shift, l->in_mul, e->q8, e->q8_scale,
	    e->q8_zero);
	k->gemm(&l->qkv, h, 3 * h, e->q8, e->q8_scale, e->q8_zero, n,
	    e->qkv + h, 3 * h);
	k->gemm(&l->qkv, 0, h, e->q8, e->q8_scale, e->q8_zero, q, e->qkv,
	    3 * h);
}

/* One layer for n tokens; afterwards only the first q of e->x count. */
static void
encoder_layer(struct encoder *e, const struct encoder_layer *l, uint32_t ffn,
    size_t n, size_t q)
{
	const struct encoder_kernels	*k = e->kernels;
	uint32_t			 h = e->hidden;

	encoder_qkv(e, l, n, q);
	k->attend(e->qkv, n, q, e->heads, h / e->heads, e->keys, e->scores,
	    e->y);
	encoder_multiply(e, e->y, q, NULL, NULL, &l->out, e->qkv);
	k->norm(e->x, e->qkv, q, h, l->norm1_gamma, l->norm1_beta, e->eps);
	memcpy(e->y, e->x, q * h * sizeof *e->y);
	encoder_multiply(e, e->y, q, l->mid_shift, l->mid_mul, &l->up, e->mid);
	k->gelu(e->mid, q * ffn);
	encoder_multiply(e, e->mid, q, NULL, NULL, &l->down, e->y);
	k->norm(e->x, e->y, q, h, l->norm2_gamma, l->norm2_beta, e->eps);
}

/* Compute the outputs. */
int
encoder_pass(struct encoder *e, const uint32_t *ids, size_t n, float *logit)
{
	const float	*w;
	uint32_t	 i, j;
	double		 sum;

	encoder_embed(e, ids, n);
	for (i = 0; i < e->layers; i++)
		encoder_layer(e, &e->layer[i], e->ffn[i], n,
		    i + 1 == e->layers ? 1 : n);
	for (i = 0; i < e->outputs; i++) {
		w = e->head + (size_t)i * e->hidden;
		sum = e->head_bias[i];
		for (j = 0; j < e->hidden; j++)
			sum += (double)w[j] * (double)e->x[j];
		logit[i] = (float)sum;
		if (!isfinite(logit[i]))
			return (CHAT_EFORMAT);
	}
	return (0);
}

/* The calibrated log odds. */
double
encoder_odds(const struct encoder *e, uint32_t i, float logit)
{
	return ((double)logit * (double)e->head_mul[i] +
	    (double)e->head_shift[i]);
}

/* The calibrated score. */
double
encoder_score(const struct encoder *e, uint32_t i, float logit)
{
	return (1 / (1 + exp(-encoder_odds(e, i, logit))));
}

/* The name of the instruction set. */
const char *
encoder_isa(const struct encoder *e)
{
	return (e->kernels->name);
}

/* Compare with plain C. */
int
encoder_agrees(struct encoder *e, const uint32_t *ids, size_t n)
{
	const struct encoder_kernels	*k = e->kernels;
	float				 a[ENCODER_OUTPUTS_MAX];
	float				 b[ENCODER_OUTPUTS_MAX];
	int				 r;

	if ((r = encoder_pass(e, ids, n, a)) != 0)
		return (r);
	e->kernels = &encoder_plain;
	r = encoder_pass(e, ids, n, b);
	e->kernels = k;
	return (r != 0 || memcmp(a, b, e->outputs * sizeof *a) != 0 ?
	    CHAT_EFORMAT : 0);
}
