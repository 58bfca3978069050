/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log-probabilities and logits of given ids, printed row by row.
 */
#include "score.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sampler.h"
#include "xmalloc.h"

/* Begin. */
struct score *
score_new(struct idbuf *ids, size_t from, enum score_logits want, int vocab)
{
	struct score	*s;

	s = xcalloc(1, sizeof *s);
	s->ids = *ids;
	memset(ids, 0, sizeof *ids);
	s->from = from;
	s->want = want;
	s->vocab = vocab;
	if (from == 0)
		textbuf_puts(&s->logprobs, "null");
	return (s);
}

/* Release a score. */
void
score_free(struct score *s)
{
	if (s == NULL)
		return;
	idbuf_clear(&s->ids);
	textbuf_clear(&s->logprobs);
	textbuf_clear(&s->logits);
	free(s);
}

/* Find the first row that is needed: that before the first id to score. */
size_t
score_first(const struct score *s)
{
	return (s->want == SCORE_ALL || s->from == 0 ? 0 : s->from - 1);
}

/* Are the logits of row i needed? */
int
score_wants(const struct score *s, size_t i)
{
	return (i >= score_first(s) &&
	    (i + 1 < s->ids.n || s->want != SCORE_NONE));
}

/* Append a comma and a number; nine digits restore a float exactly. */
static void
score_print(struct textbuf *t, double v)
{
	char	 buf[40];
	int	 n;

	n = snprintf(buf, sizeof buf, "%.9g", v);
	if (t->n > 0 && t->s[t->n - 1] != '[')
		textbuf_puts(t, ",");
	textbuf_add(t, buf, (size_t)n);
}

/* Return the natural logarithm of the probability of id. */
static double
score_logprob(const float *logits, int vocab, int32_t id)
{
	double	 max = (double)logits[0], sum = 0;
	int	 i;

	for (i = 1; i < vocab; i++) {
		if ((double)logits[i] > max)
			max = (double)logits[i];
	}
	for (i = 0; i < vocab; i++)
		sum += sampler_exp((double)logits[i] - max);
	return ((double)logits[id] - max - log(sum));
}

/* Take one row. */
void
score_row(struct score *s, size_t i, const float *logits)
{
	int	 v, last = i + 1 == s->ids.n;

	for (v = 0; v < s->vocab && !s->bad; v++)
		s->bad = !isfinite(logits[v]);
	if (s->bad)
		return;
	if (!last && i + 1 >= s->from)
		score_print(&s->logprobs, score_logprob(logits, s->vocab,
		    s->ids.id[i + 1]));
	if (s->want == SCORE_NONE || (s->want == SCORE_LAST && !last))
		return;
	if (s->want == SCORE_ALL)
		textbuf_puts(&s->logits, i > 0 ? ",[" : "[");
	for (v = 0; v < s->vocab; v++)
		score_print(&s->logits, (double)logits[v]);
	if (s->want == SCORE_ALL)
		textbuf_puts(&s->logits, "]");
}
