/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a step gives back: the logits of some rows, and of others the largest of
 * them, which a kernel finds.  A row's results do not depend on what other rows
 * want.
 */
#include "cuda.h"

#include <string.h>

static_assert(BEST_MAX == BACKEND_BEST_MAX, "two names of one number");

/* The rows' wishes among the pinned input. */
static struct best_row *
results_rows(const struct cuda *c)
{
	return ((struct best_row *)(void *)(c->host_input + c->input.best));
}

/* Set a bit for each id that was seen: eight bytes of 0 or 1 at a time. */
static void
results_seen(uint32_t *to, const uint8_t *seen, int V)
{
	uint64_t	 eight;
	int		 i;

	memset(to, 0, (size_t)best_words(V) * sizeof *to);
	for (i = 0; i + 8 <= V; i += 8) {
		memcpy(&eight, seen + i, sizeof eight);
		to[i / 32] |= (uint32_t)(eight * 0x0102040810204080U >> 56) <<
		    i % 32;
	}
	for (; i < V; i++)
		to[i / 32] |= (uint32_t)seen[i] << i % 32;
}

/* Note a row that wants something. */
void
cuda_results_add(const struct cuda *c, struct cuda_results *r,
    const struct backend_row *row)
{
	const struct backend_best	*best = row->best;
	struct best_row			*to = &results_rows(c)[r->rows++];

	memset(to, 0, sizeof *to);
	to->seen = -1;
	if (best == NULL)
		return;
	to->k = best->k;
	to->out = (int32_t)r->numbers;
	r->numbers += best->k == 1 ? 1 : 2 * (size_t)best->k;
	if (best->seen == NULL || best->penalty == 1)
		return;
	to->penalty = best->penalty;
	to->seen = r->seen;
	results_seen(c->host_seen + (size_t)r->seen++ *
	    (size_t)best_words(c->config.vocab), best->seen, c->config.vocab);
}

/* Rows of padding want nothing. */
void
cuda_results_pad(const struct cuda *c, struct cuda_results *r, int rows)
{
	struct best_row	*to = results_rows(c);

	for (; r->rows < rows; r->rows++) {
		memset(&to[r->rows], 0, sizeof *to);
		to[r->rows].seen = -1;
	}
	r->graph = 1;
}

/* Send the ids that have a penalty. */
cudaError_t
cuda_results_send(const struct cuda *c, const struct cuda_results *r)
{
	const size_t	 n = (size_t)r->seen *
			    (size_t)best_words(c->config.vocab);

	if (n == 0)
		return (cudaSuccess);
	return (cudaMemcpyAsync(c->work + c->sizes.seen, c->host_seen,
	    n * sizeof(uint32_t), cudaMemcpyHostToDevice, c->stream));
}

/* Find the largest logits. A graph serves rows of any wish. */
cudaError_t
cuda_results_launch(const struct cuda *c, const struct cuda_results *r)
{
	const int32_t	*input = (const int32_t *)(const void *)(c->work +
			    c->sizes.input);
	struct best	 b = {};

	if (r->numbers == 0 && !r->graph)
		return (cudaSuccess);
	b.logits = (const float *)(const void *)(c->work + c->sizes.logits);
	b.seen = (const uint32_t *)(const void *)(c->work + c->sizes.seen);
	b.rows = (const struct best_row *)(const void *)(input +
	    c->input.best);
	b.out = (int32_t *)(void *)(c->work + c->sizes.best);
	b.T = r->rows;
	b.V = c->config.vocab;
	return (best_launch(&b, c->stream));
}

/* Fetch n rows of logits from row i on. */
static cudaError_t
results_fetch_logits(const struct cuda *c, int i, int n)
{
	const size_t	 V = (size_t)c->config.vocab;

	return (cudaMemcpyAsync(c->host_logits + (size_t)i * V,
	    c->work + c->sizes.logits + (size_t)i * V * sizeof(float),
	    (size_t)n * V * sizeof(float), cudaMemcpyDeviceToHost,
	    c->stream));
}

/* Fetch the results: neighbours by one copy. */
cudaError_t
cuda_results_fetch(const struct cuda *c, const struct cuda_results *r)
{
	const struct best_row	*row = results_rows(c);
	cudaError_t		 e = cudaSuccess;
	int			 i, n;

	if (r->numbers > 0)
		e = cudaMemcpyAsync(c->host_best, c->work + c->sizes.best,
		    r->numbers * sizeof(int32_t), cudaMemcpyDeviceToHost,
		    c->stream);
	for (i = 0; i < r->wants && e == cudaSuccess; i += n) {
		for (n = 1; i + n < r->wants &&
		    (row[i + n].k == 0) == (row[i].k == 0); n++)
			;
		if (row[i].k == 0)
			e = results_fetch_logits(c, i, n);
	}
	return (e);
}

/* The largest logits of a row. */
static void
results_best(const int32_t *from, struct backend_best *best)
{
	const size_t	 n = (size_t)best->k * sizeof *from;

	best->bad = from[0] < 0;
	if (best->bad)
		return;
	memcpy(best->id, from, n);
	if (best->k > 1)
		memcpy(best->logit, from + best->k, n);
}

/* Hand the results out. */
void
cuda_results_take(const struct cuda *c, const struct backend_row *rows, int T)
{
	const struct best_row	*row = results_rows(c);
	const size_t		 V = (size_t)c->config.vocab;
	int			 t, i = 0;

	for (t = 0; t < T; t++) {
		if (rows[t].best != NULL)
			results_best(c->host_best + row[i++].out,
			    rows[t].best);
		else if (rows[t].logits != NULL)
			memcpy(rows[t].logits, c->host_logits +
			    (size_t)i++ * V, V * sizeof(float));
	}
}
