/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Equal bits as a property.  Models have random shapes.  Sequences begin alike
 * or not; they are cut, mixed, moved in the cache and computed again at random,
 * on each instruction set and with a few threads.  Every row must give the bits
 * of the plain run, which takes one token of one sequence at a time, with one
 * thread, in plain C.  Some sequences have an adapter; those without one must
 * give the bits of an engine without adapters.
 */
#include "equal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels.h"
#include "xmalloc.h"

#define SEQS		6	/* sequences of a case, at most */
#define BLOCKS		((EQUAL_TOKENS + KV_BLOCK - 1) / KV_BLOCK)
#define ROWS_MAX	(SEQS * EQUAL_TOKENS)
#define PIECES		3	/* of one sequence in a step, at most */
#define LOSSES		2	/* times that a sequence loses its blocks */
#define ADAPTERS	2	/* beside the model */
#define WORK		12000000L	/* multiplications of a plain run */

/* A sequence: its tokens, its expected logits, and the state of a run. */
struct seq {
	int	 n;		/* tokens */
	int	 adapter;	/* as in struct backend_row */
	int	 from, shared;	/* its first `shared` tokens are those of
				 * sequence `from` (-1: none) */
	int32_t	 id[EQUAL_TOKENS];
	float	*want;		/* owned: [n][V] */
	int	 begun, over, lost;
	int	 pos;		/* tokens in the cache */
	int	 planned;	/* tokens in the step that is planned */
	int32_t	 blocks[BLOCKS];
	int	 nblocks;
};

/* A case, and the state of its run. */
struct run {
	uint64_t		 state, seed;
	struct equal_model	 m;
	struct seq		 seq[SEQS];
	int			 n;
	struct adapter		*adapter[ADAPTERS];	/* owned */
	int			 nadapters;
	/* the run */
	struct backend		*b;
	const char		*isa;
	int			 threads;
	int			 users[SEQS * BLOCKS];	/* of each block */
	int32_t			 unused[SEQS * BLOCKS];	/* a stack */
	int			 nunused;
	struct backend_row	 row[ROWS_MAX];
	int			 of[ROWS_MAX];	/* sequence of a row */
	int			 rows;
	float			*out;		/* owned: [ROWS_MAX][V] */
};

/* Draw the sequences, of total tokens at most. */
static void
draw_sequences(struct run *r, int total)
{
	struct seq	*s;
	int		 t;

	for (r->n = 0; r->n < SEQS && total > 0; r->n++, total -= s->n) {
		s = &r->seq[r->n];
		s->n = equal_draw(&r->state, 1, equal_chance(&r->state, 3) ?
		    EQUAL_TOKENS : 40);
		s->n = s->n < total ? s->n : total;
		s->adapter = equal_draw(&r->state, 0, r->nadapters);
		for (t = 0; t < s->n; t++)
			s->id[t] = equal_draw(&r->state, 0,
			    r->m.spec.V - 1);
		s->from = r->n > 0 && !equal_chance(&r->state, 3) ?
		    equal_draw(&r->state, 0, r->n - 1) : -1;
		if (s->from == -1)
			continue;
		s->shared = equal_draw(&r->state, 1, r->seq[s->from].n);
		s->shared = s->shared < s->n ? s->shared : s->n;
		memcpy(s->id, r->seq[s->from].id, (size_t)s->shared *
		    sizeof *s->id);
	}
}

/* Compute the logits of each sequence by a plain run. */
static void
plain_runs(struct run *r)
{
	struct backend	*b, *without;
	struct seq	*s;

	without = neox_open(r->m.folder, r->m.precision, "scalar", 1);
	b = neox_open_adapters(r->m.folder, r->m.precision, "scalar", 1, 0,
	    (const struct adapter *const *)r->adapter, r->nadapters);
	for (s = r->seq; s < r->seq + r->n; s++)
		s->want = neox_run_adapter(s->adapter == 0 ? without : b,
		    s->id, s->n, 1, 0, s->adapter);
	b->ops->free(b);
	without->ops->free(without);
}

/* Give a sequence's blocks back. */
static void
give_blocks(struct run *r, struct seq *s)
{
	int	 i;

	for (i = s->nblocks - 1; i >= 0; i--)
		if (--r->users[s->blocks[i]] == 0)
			r->unused[r->nunused++] = s->blocks[i];
	s->nblocks = 0;
	s->pos = 0;
}

/* Begin a sequence. If the sequence `from` has full blocks that both share, it
 * may, at random, begin after these blocks. */
static void
begin(struct run *r, struct seq *s)
{
	const struct seq	*from = s->from >= 0 ? &r->seq[s->from] : s;
	int			 full, i;

	s->begun = 1;
	if (from == s || from->adapter != s->adapter ||
	    equal_chance(&r->state, 4))
		return;
	full = s->shared < from->pos ? s->shared : from->pos;
	if (full > s->n - 1)
		full = s->n - 1;
	for (i = 0; i < full / KV_BLOCK; i++) {
		s->blocks[s->nblocks++] = from->blocks[i];
		r->users[from->blocks[i]]++;
	}
	s->pos = s->nblocks * KV_BLOCK;
}

/* Put the next n tokens of a sequence into the step. */
static void
plan_piece(struct run *r, int i, int n)
{
	struct seq	*s = &r->seq[i];
	int		 row, pos;

	for (; n > 0 && s->pos + s->planned < s->n; n--) {
		pos = s->pos + s->planned++;
		if (pos / KV_BLOCK == s->nblocks) {
			s->blocks[s->nblocks] = r->unused[--r->nunused];
			r->users[s->blocks[s->nblocks++]] = 1;
		}
		row = r->rows++;
		r->of[row] = i;
		r->row[row] = (struct backend_row){ .token = s->id[pos],
		    .pos = pos, .blocks = s->blocks,
		    .adapter = s->adapter };
		if (pos + 1 == s->n || equal_chance(&r->state, 2))
			r->row[row].logits = r->out + (size_t)row *
			    (size_t)r->m.spec.V;
	}
}

/* Plan a step: pieces of the sequences that have begun, in random order. */
static void
plan(struct run *r)
{
	static const int sizes[] = { 1, 1, 4, 8, 40, EQUAL_TOKENS };
	int32_t		 piece[SEQS * PIECES];
	int		 i, k, n = 0;

	for (i = 0; i < r->n; i++) {
		if (!r->seq[i].begun && equal_chance(&r->state, 3))
			begin(r, &r->seq[i]);
		if (!r->seq[i].begun || r->seq[i].over)
			continue;
		r->seq[i].planned = 0;
		for (k = equal_draw(&r->state, 0, PIECES); k > 0; k--)
			piece[n++] = i;
	}
	equal_shuffle(&r->state, piece, n);
	for (r->rows = 0, i = 0; i < n; i++)
		plan_piece(r, piece[i], equal_draw(&r->state, 1,
		    sizes[neox_random(&r->state, nitems(sizes))]));
}

/* Check that a row has the bits of the plain run. */
static void
check_row(const struct run *r, int row)
{
	const struct neox_spec	*m = &r->m.spec;
	const struct seq	*s = &r->seq[r->of[row]];
	const float		*got = r->row[row].logits;
	const float		*want = s->want + (size_t)r->row[row].pos *
				    (size_t)m->V;
	int			 v;

	if (got == NULL || memcmp(got, want, (size_t)m->V * sizeof *got) == 0)
		return;
	for (v = 0; memcmp(&got[v], &want[v], sizeof *got) == 0; v++)
		;
	fail_msg("seed %llu: L %d C %d H %d F %d V %d, rotary %g, %s, %s, "
	    "%s: %s, %d threads: sequence %d of %d, position %d of %d, step "
	    "of %d rows: logit %d is %.9g, plainly %.9g",
	    (unsigned long long)r->seed, m->L, m->C, m->H, m->F, m->V,
	    m->pct, m->act, m->parallel ? "parallel" : "sequential",
	    r->m.precision, r->isa, r->threads, r->of[row], r->n,
	    r->row[row].pos, s->n, r->rows, v, (double)got[v],
	    (double)want[v]);
}

/* Between two steps: some sequences end, some lose their blocks and begin
 * again. Returns the number of sequences that are not over. */
static int
settle(struct run *r)
{
	struct seq	*s;
	int		 i, left = 0;

	for (i = 0; i < r->n; i++) {
		s = &r->seq[i];
		s->pos += s->planned;
		s->planned = 0;
		if (s->begun && s->lost < LOSSES &&
		    equal_chance(&r->state, 15)) {
			give_blocks(r, s);
			s->lost++;
			s->begun = s->over = 0;
		}
		if (s->begun && s->pos == s->n) {
			s->over = 1;
			if (equal_chance(&r->state, 4))
				give_blocks(r, s);
		}
		left += !s->over;
	}
	return (left);
}

/* One run over a cache that may hold old content. */
static void
run(struct run *r)
{
	int	 i, steps = 0, left = r->n;

	memset(r->users, 0, sizeof r->users);
	r->nunused = SEQS * BLOCKS;
	for (i = 0; i < r->nunused; i++)
		r->unused[i] = i;
	equal_shuffle(&r->state, r->unused, r->nunused);
	for (i = 0; i < r->n; i++)
		r->seq[i].begun = r->seq[i].over = r->seq[i].lost =
		    r->seq[i].pos = r->seq[i].nblocks = 0;
	while (left > 0) {
		assert_true(++steps < 10000);
		plan(r);
		assert_int_equal(r->b->ops->step(r->b, r->row, r->rows), 0);
		for (i = 0; i < r->rows; i++)
			check_row(r, i);
		left = settle(r);
	}
}

/* One case: a plain run of a model, and two runs with each instruction set. */
static void
one_case(uint64_t seed)
{
	struct run	*r = xcalloc(1, sizeof *r);
	int		 at = 0, i, tokens;

	r->state = equal_state(seed);
	r->seed = seed;
	tokens = equal_draw(&r->state, 20, 300);
	equal_model(&r->m, &r->state, 0, equal_draw(&r->state, EQUAL_TOKENS,
	    200), WORK / tokens);
	r->nadapters = equal_draw(&r->state, 0, ADAPTERS);
	for (i = 0; i < r->nadapters; i++)
		r->adapter[i] = neox_adapter(&r->m.spec, seed * 7 +
		    (uint64_t)i);
	draw_sequences(r, tokens);
	plain_runs(r);
	r->out = xcalloc((size_t)ROWS_MAX * (size_t)r->m.spec.V,
	    sizeof *r->out);
	while ((r->isa = neox_isa(&at)) != NULL) {
		r->threads = equal_draw(&r->state, 1, 3);
		r->b = neox_open_adapters(r->m.folder, r->m.precision, r->isa,
		    r->threads, SEQS * BLOCKS * KV_BLOCK,
		    (const struct adapter *const *)r->adapter, r->nadapters);
		run(r);
		run(r);
		r->b->ops->free(r->b);
	}
	for (i = 0; i < r->n; i++)
		free(r->seq[i].want);
	for (i = 0; i < r->nadapters; i++)
		adapter_free(r->adapter[i]);
	equal_model_clear(&r->m);
	free(r->out);
	free(r);
}

/* The test. */
static void
every_row_has_the_bits_of_the_plain_run(void **state)
{
	(void)state;
	equal_cases(40, one_case);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
		    every_row_has_the_bits_of_the_plain_run,
		    equal_teardown)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
