/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sampling. Sums run in a fixed order in double precision, and the exponential
 * function is our own, so that the same logits give the same token on every
 * machine. (This file is compiled without contraction to FMA.)
 */
#include "sampler.h"

#include <math.h>
#include <stdlib.h>

#include "xmalloc.h"

/* Make room for V items. */
struct sampler *
sampler_new(int vocab)
{
	struct sampler	*s;

	s = xcalloc(1, sizeof *s);
	s->item = xcalloc((size_t)vocab, sizeof *s->item);
	s->vocab = vocab;
	return (s);
}

/* Release a sampler. */
void
sampler_free(struct sampler *s)
{
	if (s == NULL)
		return;
	free(s->item);
	free(s);
}

/* e^x = 2^k * e^r with |r| <= ln 2 / 2. The Taylor series of e^r ends where the
 * fourteenth power is below half a unit in the last place. */
double
sampler_exp(double x)
{
	static const double	 c[] = { 1, 1, 1. / 2, 1. / 6, 1. / 24,
				    1. / 120, 1. / 720, 1. / 5040,
				    1. / 40320, 1. / 362880, 1. / 3628800,
				    1. / 39916800, 1. / 479001600,
				    1. / 6227020800 };
	double			 k, r, sum = c[13];
	int			 i;

	if (x < -745)
		return (0);
	k = floor(x * 1.4426950408889634 + 0.5);
	r = x - k * 0x1.62e42fee00000p-1 - k * 0x1.a39ef35793c76p-33;
	for (i = 12; i >= 0; i--)
		sum = sum * r + c[i];
	return (ldexp(sum, (int)k));
}

/* Philox4x32-10. */
uint64_t
sampler_random(uint64_t seed, uint64_t step)
{
	uint32_t	 c0 = (uint32_t)step, c1 = (uint32_t)(step >> 32);
	uint32_t	 c2 = 0, c3 = 0;
	uint32_t	 k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
	uint64_t	 a, b;
	int		 i;

	for (i = 0; i < 10; i++) {
		a = (uint64_t)c0 * 0xd2511f53U;
		b = (uint64_t)c2 * 0xcd9e8d57U;
		c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
		c1 = (uint32_t)b;
		c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
		c3 = (uint32_t)a;
		k0 += 0x9e3779b9U;
		k1 += 0xbb67ae85U;
	}
	return ((uint64_t)c1 << 32 | c0);
}

/* Is a the larger item? */
static int
sampler_before(const struct sampler_item *a, const struct sampler_item *b)
{
	return (a->logit != b->logit ? a->logit > b->logit : a->id < b->id);
}

/* A logit of id with its penalty. */
static double
sampler_penalise(const struct sampler_params *p, float logit,
    const uint8_t *seen, int32_t id)
{
	const double	 x = (double)logit;

	if (seen == NULL || !seen[id])
		return (x);
	return (x > 0 ? x / p->penalty : x * p->penalty);
}

/* Fill the items with penalised logits. *max gets the largest item. */
static int
sampler_fill(struct sampler *s, const struct sampler_params *p,
    const float *logits, const uint8_t *seen, struct sampler_item *max)
{
	struct sampler_item	*x;
	int			 i;

	for (i = 0; i < s->vocab; i++) {
		x = &s->item[i];
		x->id = i;
		x->weight = 0;
		if (isnan(logits[i]))
			return (CHAT_EFORMAT);
		x->logit = sampler_penalise(p, logits[i], seen, i);
		if (i == 0 || sampler_before(x, max))
			*max = *x;
	}
	return (isfinite(max->logit) ? 0 : CHAT_EFORMAT);
}

/* Sift down the item at i in a heap of n items, largest first. */
static void
sampler_sink(struct sampler_item *heap, int n, int i)
{
	struct sampler_item	 x = heap[i];
	int			 k;

	while ((k = i * 2 + 1) < n) {
		if (k + 1 < n && sampler_before(&heap[k + 1], &heap[k]))
			k++;
		if (!sampler_before(&heap[k], &x))
			break;
		heap[i] = heap[k];
		i = k;
	}
	heap[i] = x;
}

/*
 * Move the largest items to the front, largest first, until there are k of them
 * or until their weights reach want. Returns their number. The heap shrinks
 * from its end, and the chosen items gather there; at last the array is
 * reversed.
 */
static int
sampler_select(struct sampler *s, int k, double want)
{
	struct sampler_item	 x;
	double			 sum = 0;
	int			 i, n = s->vocab;

	for (i = n / 2 - 1; i >= 0; i--)
		sampler_sink(s->item, n, i);
	for (i = 0; i < k && sum < want; i++) {
		x = s->item[0];
		sum += x.weight;
		s->item[0] = s->item[--n];
		s->item[n] = x;
		if (n > 0)
			sampler_sink(s->item, n, 0);
	}
	for (n = 0; n < s->vocab / 2; n++) {
		x = s->item[n];
		s->item[n] = s->item[s->vocab - 1 - n];
		s->item[s->vocab - 1 - n] = x;
	}
	return (i);
}

/* Weigh the first n items; the largest of all weighs 1. */
static void
sampler_weigh(struct sampler *s, int n, double max, double temperature)
{
	int	 i;

	for (i = 0; i < n; i++)
		s->item[i].weight = sampler_exp((s->item[i].logit - max) /
		    temperature);
}

/* Sum the weights of the first n items. */
static double
sampler_sum(const struct sampler *s, int n)
{
	double	 sum = 0;
	int	 i;

	for (i = 0; i < n; i++)
		sum += s->item[i].weight;
	return (sum);
}

/* Keep the first of the sorted items that together reach share p of their
 * sum. */
static int
sampler_nucleus(const struct sampler *s, int n, double p)
{
	double	 want = p * sampler_sum(s, n), sum = 0;
	int	 i;

	for (i = 0; i < n && (i == 0 || sum < want); i++)
		sum += s->item[i].weight;
	return (i);
}

/* Keep one item. */
static void
sampler_keep_one(struct sampler *s, const struct sampler_item *x)
{
	s->item[0] = *x;
	s->item[0].weight = 1;
	s->kept = 1;
	s->total = 1;
}

/* Keep what top-p leaves of the first n items, which top-k has selected: they
 * are sorted. */
static void
sampler_keep_sorted(struct sampler *s, const struct sampler_params *p, int n)
{
	sampler_weigh(s, n, s->item[0].logit, p->temperature);
	s->kept = p->top_p < 1 ? sampler_nucleus(s, n, p->top_p) : n;
	s->total = sampler_sum(s, s->kept);
}

/* Does top-k leave some items out? */
static int
sampler_selects(const struct sampler *s, const struct sampler_params *p)
{
	return (p->top_k > 0 && p->top_k < s->vocab);
}

/* Make the distribution. */
int
sampler_prepare(struct sampler *s, const struct sampler_params *p,
    const float *logits, const uint8_t *seen)
{
	struct sampler_item	 max = { 0 };
	int			 r;

	if ((r = sampler_fill(s, p, logits, seen, &max)) != 0)
		return (r);
	if (p->temperature == 0) {
		sampler_keep_one(s, &max);
		return (0);
	}
	if (sampler_selects(s, p)) {
		sampler_keep_sorted(s, p, sampler_select(s, p->top_k,
		    INFINITY));
		return (0);
	}
	s->kept = s->vocab;
	sampler_weigh(s, s->kept, max.logit, p->temperature);
	if (p->top_p < 1)
		s->kept = sampler_select(s, s->vocab,
		    fmax(p->top_p, 0x1p-60) * sampler_sum(s, s->vocab));
	s->total = sampler_sum(s, s->kept);
	return (0);
}

/* How many logits are enough? */
int
sampler_best(const struct sampler *s, const struct sampler_params *p, int max)
{
	const int	 k = p->temperature == 0 ? 1 : sampler_selects(s, p) ?
			    p->top_k : 0;

	return (k <= max ? k : 0);
}

/* Make the distribution from the largest logits. */
int
sampler_prepare_best(struct sampler *s, const struct sampler_params *p,
    const struct backend_best *best)
{
	struct sampler_item	 x = { 0 };
	int			 i;

	if (best->bad)
		return (CHAT_EFORMAT);
	x.id = best->id[0];
	if (best->k == 1) {
		sampler_keep_one(s, &x);
		return (0);
	}
	for (i = 0; i < best->k; i++) {
		x.id = best->id[i];
		x.logit = sampler_penalise(p, best->logit[i], best->seen,
		    x.id);
		s->item[i] = x;
	}
	sampler_keep_sorted(s, p, best->k);
	return (0);
}

/* Draw. */
int32_t
sampler_draw(const struct sampler *s, uint64_t seed, uint64_t step)
{
	double	 at, sum = 0;
	int	 i, last = 0;

	at = (double)(sampler_random(seed, step) >> 11) * 0x1p-53 * s->total;
	for (i = 0; i < s->kept; i++) {
		if (s->item[i].weight <= 0)
			continue;
		last = i;
		if ((sum += s->item[i].weight) > at)
			break;
	}
	return (s->item[last].id);
}
