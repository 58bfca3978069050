/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeds, random numbers and random models for tests of equal bits.
 */
#include "equal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "xmalloc.h"

static uint64_t	 equal_at;	/* seed of the current case, or 0 */

/* Return a number of the environment. */
static long
equal_number(const char *name, long dflt)
{
	const char	*s = getenv(name);

	return (s != NULL && *s != '\0' ? strtol(s, NULL, 10) : dflt);
}

/* Run the cases. */
void
equal_cases(int cases, void (*test)(uint64_t seed))
{
	const long	 seed = equal_number("EQUAL_SEED", 0);
	const long	 n = equal_number("EQUAL_CASES", seed != 0 ? 1 :
			    cases);
	const double	 end = clock_seconds() +
			    (double)equal_number("EQUAL_SECONDS", 1 << 30);
	long		 i;

	for (i = 0; i < n && clock_seconds() < end; i++) {
		equal_at = (uint64_t)((seed != 0 ? seed : 1) + i);
		test(equal_at);
	}
	equal_at = 0;
	print_message("    %ld cases\n", i);
}

/* Print the seed of a case that did not finish. */
int
equal_teardown(void **state)
{
	(void)state;
	if (equal_at != 0)
		print_error("this case alone: EQUAL_SEED=%llu\n",
		    (unsigned long long)equal_at);
	equal_at = 0;
	return (0);
}

/* A state, by the mixing of SplitMix64. */
uint64_t
equal_state(uint64_t seed)
{
	uint64_t	 z = (seed + 1) * 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return (z ^ z >> 31);
}

/* A number. */
int
equal_draw(uint64_t *state, int low, int high)
{
	return (low + (int)neox_random(state, (uint32_t)(high - low + 1)));
}

/* A chance. */
int
equal_chance(uint64_t *state, int n)
{
	return (neox_random(state, (uint32_t)n) == 0);
}

/* An order. */
void
equal_shuffle(uint64_t *state, int32_t *x, int n)
{
	int32_t	 t;
	int	 i, j;

	for (i = n - 1; i > 0; i--) {
		j = equal_draw(state, 0, i);
		t = x[i];
		x[i] = x[j];
		x[j] = t;
	}
}

/* An instruction set. */
const char *
equal_isa(uint64_t *state)
{
	const char	*isa[8], *name;
	int		 at = 0, n = 0;

	if (strcmp(neox_device(), "cpu") != 0)
		return ("auto");
	while (n < (int)nitems(isa) && (name = neox_isa(&at)) != NULL)
		isa[n++] = name;
	return (isa[equal_draw(state, 0, n - 1)]);
}

/* Return the multiplications for one token. */
static long
equal_work(const struct neox_spec *s)
{
	return ((long)s->L * s->C * (4 * s->C + 2 * s->F) +
	    (long)s->V * s->C);
}

/* Draw a narrow model whose MLP is wider than one pass of a kernel. */
static void
equal_deep(struct neox_spec *s, uint64_t *state, int *lanes)
{
	s->L = s->H = 1;
	s->F = 2 * equal_draw(state, 257, 700);
	*lanes = 2 * equal_draw(state, 4, 14);
}

/* Any model. */
static void
equal_any(struct neox_spec *s, uint64_t *state, int *lanes)
{
	s->L = equal_draw(state, 1, 3);
	s->H = equal_draw(state, 1, 4);
	s->F = 2 * equal_draw(state, equal_chance(state, 4) ? 1 : 32, 130);
	*lanes = 2 * equal_draw(state, equal_chance(state, 8) ? 1 : 8, 48);
}

/* Draw sizes within the allowed work. */
static void
equal_sizes(struct neox_spec *s, uint64_t *state, int vocab, long work)
{
	int	 lanes;

	if (equal_chance(state, 5))
		equal_deep(s, state, &lanes);
	else
		equal_any(s, state, &lanes);
	s->V = vocab != 0 ? vocab : equal_draw(state, 2, 150);
	s->C = s->H * lanes;
	while (equal_work(s) > work && (s->L > 1 || s->H > 1 || lanes > 8)) {
		if (s->L > 1)
			s->L--;
		else if (s->H > 1)
			s->H--;
		else
			lanes -= 2;
		s->C = s->H * lanes;
	}
	s->pct = (2 * equal_draw(state, 1, lanes / 2) + 0.5) / lanes;
	if (s->pct > 1)
		s->pct = 1;
}

/* A model. */
void
equal_model(struct equal_model *m, uint64_t *state, int vocab, int context,
    long work)
{
	static const char *const acts[] = { "gelu", "gelu_fast", "gelu_new",
				    "gelu_pytorch_tanh" };
	static const char *const precisions[] = { "fp32", "bf16", "int8",
				    "int4", "bf16+kv8", "int4+kv8" };
	static const char *const cuda[] = { "fp16", "bf16", "int8", "int4",
				    "bf16+kv8", "int4+kv8" };
	struct neox_spec	*s = &m->spec;

	memset(m, 0, sizeof *m);
	s->name = "equal";
	equal_sizes(s, state, vocab, work);
	s->context = context;
	s->act = acts[neox_random(state, nitems(acts))];
	s->parallel = equal_draw(state, 0, 1);
	s->tied = equal_chance(state, 3);
	s->attn_bias = !equal_chance(state, 4);
	/* some are so small that results are denormal, some so large that there
	 * are outliers */
	s->scale = equal_chance(state, 8) ? 1e-20 : equal_chance(state, 8) ?
	    1 : 0.1;
	m->precision = (strcmp(neox_device(), "cpu") == 0 ? precisions :
	    cuda)[neox_random(state, nitems(precisions))];
	m->folder = neox_folder();
	neox_write_gain(m->folder, s, neox_random(state, 1 << 30),
	    equal_chance(state, 3) ? 3 : 0.2);
}

/* Take it away. */
void
equal_model_clear(struct equal_model *m)
{
	neox_remove(m->folder);
	m->folder = NULL;
}
