/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For fuzz targets: loads an opened model and computes with it. The results may
 * be anything, but every part that is used must be inside its memory.
 */
#ifndef TEST_FUZZ_BACKEND_H
#define TEST_FUZZ_BACKEND_H

#include "fuzz.h"

#include "backend.h"
#include "cpu.h"
#include "model.h"
#include "weights.h"

#define FUZZ_CONTEXT	256	/* positions of a step's model, at most */
#define FUZZ_TOKENS	3	/* tokens in a step */

/* Read all n bytes at p, and return their sum. */
static inline unsigned
fuzz_inside(const struct weights *w, const void *p, size_t n)
{
	const uint8_t	*b = p, *memory = w->memory;
	unsigned	 sum = 0;

	if (b < memory || n > w->size || (size_t)(b - memory) > w->size - n ||
	    (uintptr_t)b % 64 != 0)
		abort();
	while (n-- > 0)
		sum += *b++;
	return (sum);
}

/* Read a matrix, its scales and its bias. */
static inline void
fuzz_matrix(const struct weights *w, const struct matrix *m)
{
	const size_t	 N = ROUND_UP((size_t)m->N, PANEL);
	const size_t	 K = (size_t)layout_columns(m->elem, m->K);
	size_t		 bytes = N * K, scales = 0;

	if (m->elem == ELEM_I4) {
		bytes /= 2;
		scales = N * K / GROUP * 2;
	} else if (m->elem == ELEM_I8)
		scales = N * 4;
	else
		bytes *= ELEM_SIZE(m->elem);
	(void)fuzz_inside(w, m->panels, bytes);
	if ((scales != 0) != (m->scales != NULL))
		abort();
	if (scales != 0)
		(void)fuzz_inside(w, m->scales, scales);
	if (m->bias != NULL)
		(void)fuzz_inside(w, m->bias, N * 4);
}

/* Read a norm of C numbers. */
static inline void
fuzz_norm(const struct weights *w, const struct norm *n, int C)
{
	(void)fuzz_inside(w, n->gain, ROUND_UP((size_t)C, PANEL) * 4);
	(void)fuzz_inside(w, n->bias, ROUND_UP((size_t)C, PANEL) * 4);
}

/* Read everything that a step reads. */
static inline void
fuzz_weights(const struct weights *w, const struct model_config *c)
{
	const struct layer	*y;
	int			 i;

	for (i = 0; i < c->layers; i++) {
		y = &w->layers[i];
		fuzz_norm(w, &y->norm1, c->channels);
		fuzz_norm(w, &y->norm2, c->channels);
		fuzz_matrix(w, &y->qkv);
		fuzz_matrix(w, &y->attn);
		fuzz_matrix(w, &y->up);
		fuzz_matrix(w, &y->down);
	}
	fuzz_norm(w, &w->norm, c->channels);
	fuzz_matrix(w, &w->embed);
	fuzz_matrix(w, &w->head);
}

/* Run one step; the results may be anything, also NaN. */
static inline void
fuzz_step(struct backend *b, const struct model_config *c)
{
	struct backend_row	 rows[FUZZ_TOKENS];
	int32_t			 blocks[1] = { 0 };
	float			*logits = malloc((size_t)c->vocab * 4);
	int			 i, n = c->context < FUZZ_TOKENS ? c->context :
				    FUZZ_TOKENS;

	for (i = 0; i < n; i++)
		rows[i] = (struct backend_row){ .token = i * 7919 % c->vocab,
			.pos = i, .blocks = blocks, .logits = i == n - 1 ?
			logits : NULL };
	if (b->ops->step(b, rows, n) != 0)
		abort();
	free(logits);
}

/* Load the model, and run a step. */
static inline void
fuzz_backend(struct model *m, const char *precision)
{
	const struct model_config	*c = model_config(m);
	struct backend_options		 opt = { .precision = precision,
		.device = "cpu", .isa = "auto", .threads = 1,
		.kv_tokens = KV_BLOCK, .rows = 1 };
	struct backend			*b;
	struct fault			 f = { 0 };

	if (c->context > FUZZ_CONTEXT)
		return;		/* its tables take memory and time */
	if (backend_open(m, &opt, &b, &f) != 0) {
		fuzz_fault(&f);
		return;
	}
	fuzz_weights(((struct cpu *)b)->weights, c);
	fuzz_step(b, c);
	b->ops->free(b);
}

#endif
