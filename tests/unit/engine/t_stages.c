/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model that is divided into stages has the bits of the whole one, wherever
 * it is cut and however the rows come.  The weights are read once.
 *
 * CHATD_TEST_DEVICE names the devices, "cpu" by default; several, as
 * "cuda:0,cuda:1", have the stages in turn.
 */
#include "stages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "equal.h"
#include "model.h"
#include "model_files.h"
#include "path.h"
#include "xmalloc.h"

#define TOKENS	71	/* three cache blocks, the last one partly used */

static const struct neox_spec five = { "five", 5, 48, 2, 80, 33, 96, 0.25,
	"gelu", 1, 1, 1, 0.1 };

static char		*folder;	/* owned: a model of that shape */
static struct devices	 devices;
static int32_t		 ids[TOKENS];

/* Progress: the bytes rise to the total. */
struct seen {
	int64_t	 last, total;
	int	 calls;
};

static void
see_progress(void *arg, int64_t bytes, int64_t total)
{
	struct seen	*s = arg;

	assert_true(bytes >= s->last && bytes <= total);
	assert_true(s->calls == 0 || total == s->total);
	s->last = bytes;
	s->total = total;
	s->calls++;
}

/* Is the device a CPU? */
static int
on_cpu(void)
{
	return (strcmp(devices.list[0].name, "cpu") == 0);
}

/* Cut L layers at n - 1 places. */
static void
cut(struct stages_plan *p, int L, int n, const int *end)
{
	int	 i;

	memset(p, 0, sizeof *p);
	p->n = n;
	p->layers = L;
	p->kv_tokens = 160;
	for (i = 0; i < n; i++) {
		snprintf(p->part[i].device, sizeof p->part[i].device, "%s",
		    devices.list[i % devices.n].name);
		p->part[i].first = i > 0 ? end[i - 1] : 0;
		p->part[i].end = i + 1 < n ? end[i] : L;
		p->part[i].plan.weights = 1;
	}
}

/* Open a model whole (p is NULL) or in stages. */
static struct backend *
open_parts(const char *path, const char *precision, const char *isa,
    int threads, const struct stages_plan *p, struct seen *seen)
{
	const char		*kv = strchr(precision, '+');
	char			*weights = xstrdup(precision);
	struct backend_options	 opt = { .precision = weights,
		.kv_precision = kv != NULL ? "int8" : "auto",
		.device = devices.list[0].name, .isa = isa,
		.threads = threads, .kv_tokens = 160, .rows = TOKENS,
		.progress = seen != NULL ? see_progress : NULL,
		.progress_arg = seen };
	struct backend		*b = NULL;
	struct model		*m;
	struct fault		 f;

	weights[strcspn(weights, "+")] = '\0';
	if (model_open(path, &m, &f) != 0 || (p == NULL ?
	    backend_open(m, &opt, &b, &f) :
	    stages_open(m, &opt, p, &b, &f)) != 0)
		fail_msg("%s: %s", path, f.message);
	if (seen != NULL && model_packed(m) == NULL) {
		assert_int_equal(model_bytes_read(m), model_bytes(m));
		assert_int_equal(seen->last, model_bytes(m));
		assert_non_null(model_digest(m));
	}
	model_free(m);
	free(weights);
	return (b);
}

/* The logits of ids in steps of some rows must be want. */
static void
expect_bits(struct backend *b, const float *want, int V, int chunk,
    const char *what)
{
	float	*got = neox_run(b, ids, TOKENS, chunk, 0);

	if (memcmp(got, want, (size_t)TOKENS * (size_t)V * sizeof *got) != 0)
		fail_msg("%s: steps of %d rows give other bits", what, chunk);
	free(got);
}

/* Draw a small model of several layers. */
static void
draw_spec(struct neox_spec *s, uint64_t *state)
{
	static const char *const acts[] = { "gelu", "gelu_fast" };
	int	 lanes;

	*s = five;
	s->L = equal_draw(state, 2, 6);
	s->H = equal_draw(state, 1, 3);
	lanes = 2 * equal_draw(state, 4, 20);
	s->C = s->H * lanes;
	s->pct = (2 * equal_draw(state, 1, lanes / 2 - 1) + 0.5) / lanes;
	s->F = 2 * equal_draw(state, 16, 70);
	s->V = equal_draw(state, 2, 90);
	s->act = acts[neox_random(state, nitems(acts))];
	s->parallel = equal_draw(state, 0, 1);
	s->tied = equal_draw(state, 0, 1);
	s->attn_bias = equal_draw(state, 0, 3) > 0;
}

/* Draw the places of n - 1 cuts: n numbers in ascending order. */
static void
draw_cuts(int *end, int L, int n, uint64_t *state)
{
	int	 i, left;

	for (i = 0; i + 1 < n; i++) {
		left = n - 1 - i;	/* stages after this one */
		end[i] = equal_draw(state, (i > 0 ? end[i - 1] : 0) + 1,
		    L - left);
	}
}

/* One case: a model, and three divisions of it. */
static void
one_case(uint64_t seed)
{
	static const char *const	 cpu[] = { "fp32", "bf16", "int8",
					    "int4", "bf16+kv8", "int4+kv8" };
	static const char *const	 cuda[] = { "fp16", "bf16", "int8",
					    "int4", "fp16+kv8", "int4+kv8" };
	static const int		 chunks[] = { 0, 1, 7, 16, 65, -1 };
	uint64_t			 state = equal_state(seed);
	struct neox_spec		 s;
	struct stages_plan		 p;
	struct backend			*b;
	const char			*precision;
	char				*path = neox_folder();
	float				*want;
	int				 i, k, t, end[8];

	draw_spec(&s, &state);
	neox_write(path, &s, seed);
	precision = (on_cpu() ? cpu : cuda)[neox_random(&state, 6)];
	for (t = 0; t < TOKENS; t++)
		ids[t] = equal_draw(&state, 0, s.V - 1);
	b = open_parts(path, precision, "auto", 1, NULL, NULL);
	want = neox_run(b, ids, TOKENS, 0, 0);
	b->ops->free(b);
	for (i = 0; i < 3; i++) {
		k = i == 0 ? s.L : equal_draw(&state, 2, s.L);
		draw_cuts(end, s.L, k, &state);
		cut(&p, s.L, k, end);
		b = open_parts(path, precision, "auto", equal_draw(&state, 1,
		    2), &p, NULL);
		for (t = 0; t < (int)nitems(chunks); t++)
			expect_bits(b, want, s.V, chunks[t], precision);
		b->ops->free(b);
	}
	free(want);
	neox_remove(path);
}

static void
random_cuts_do_not_matter(void **state)
{
	(void)state;
	equal_cases(12, one_case);
}

/* What a backend of stages says of itself. */
static void
the_stages_are_described_as_one(void **state)
{
	const int		 end[] = { 1, 4 };
	struct stages_plan	 p;
	struct backend_info	 whole, info;
	struct backend_limits	 l[2];
	struct backend		*b;

	(void)state;
	b = open_parts(folder, "bf16", "auto", 2, NULL, NULL);
	b->ops->info(b, &whole);
	b->ops->limits(b, &l[0]);
	b->ops->free(b);
	cut(&p, 5, 3, end);
	b = open_parts(folder, "bf16", "auto", 2, &p, NULL);
	b->ops->info(b, &info);
	assert_int_equal(info.layers, 5);
	assert_int_equal(info.kv_bytes, whole.kv_bytes);
	assert_int_equal(info.kv_blocks, whole.kv_blocks);
	assert_int_equal(info.parameters, whole.parameters);
	assert_int_equal(strncmp(info.precision, "bf16", 4), 0);
	assert_null(strchr(info.precision, '['));	/* all are alike */
	assert_string_equal(info.kv_precision, "bf16");
	if (on_cpu())
		assert_string_equal(info.device, "cpu,cpu,cpu");
	b->ops->limits(b, &l[1]);
	assert_int_equal(l[0].touched, l[1].touched);
	assert_true(l[1].peak > 0 && l[1].nfigures == 2);
	assert_true(b->ops->read_rate(b) > 0);
	b->ops->free(b);
}

/* The weights are read once, and the progress is that of one load. */
static void
the_weights_are_read_once(void **state)
{
	const int		 end[] = { 2, 3 };
	struct stages_plan	 p;
	struct seen		 seen = { 0 };
	struct backend		*b;

	(void)state;
	cut(&p, 5, 3, end);
	b = open_parts(folder, "bf16", "auto", 1, &p, &seen);
	assert_true(seen.calls > 1);
	b->ops->free(b);
}

/* A packed file in stages. */
static void
a_packed_file_can_be_divided(void **state)
{
	const int		 end[] = { 2 };
	struct backend_options	 opt = { .precision = "int8",
		.device = devices.list[0].name, .isa = "auto", .threads = 1 };
	char			*path = path_join(folder, "packed");
	struct stages_plan	 p;
	struct seen		 seen = { 0 };
	struct backend		*b;
	struct model		*m;
	struct fault		 f;
	float			*want;
	int			 t;

	(void)state;
	for (t = 0; t < TOKENS; t++)
		ids[t] = t * 7 % five.V;
	assert_int_equal(model_open(folder, &m, &f), 0);
	if (backend_pack(m, &opt, NULL, 0, path, &f) != 0)
		fail_msg("%s", f.message);
	model_free(m);
	b = open_parts(path, "auto", "auto", 1, NULL, NULL);
	want = neox_run(b, ids, TOKENS, 0, 0);
	b->ops->free(b);
	cut(&p, 5, 2, end);
	b = open_parts(path, "auto", "auto", 1, &p, &seen);
	assert_int_equal(seen.last, seen.total);
	expect_bits(b, want, five.V, 0, "packed");
	expect_bits(b, want, five.V, 3, "packed");
	b->ops->free(b);
	free(want);
	free(path);
}

/* The weights of a random model do not depend on the cut. */
static void
a_random_model_is_the_same_in_stages(void **state)
{
	const int		 end[] = { 5 };
	struct backend_options	 opt = { .precision = "int4",
		.device = devices.list[0].name, .isa = "auto", .threads = 2,
		.rows = 8, .kv_tokens = 160 };
	struct backend_row	 row[2] = { { .token = 3 }, { .token = 99,
				    .pos = 1 } };
	struct stages_plan	 p;
	struct backend		*b;
	struct model		*m;
	struct fault		 f;
	float			*x[2];
	int32_t			 block = 0;
	size_t			 V;
	int			 i;

	(void)state;
	if (!on_cpu())
		skip();		/* too large for the stand-in */
	assert_int_equal(model_synth("pythia-160m", 7, &m, &f), 0);
	V = (size_t)model_config(m)->vocab;
	cut(&p, model_config(m)->layers, 2, end);
	row[0].blocks = row[1].blocks = &block;
	for (i = 0; i < 2; i++) {
		x[i] = xcalloc(V, sizeof *x[i]);
		row[1].logits = x[i];
		if ((i == 0 ? backend_open(m, &opt, &b, &f) :
		    stages_open(m, &opt, &p, &b, &f)) != 0)
			fail_msg("%s", f.message);
		assert_int_equal(b->ops->step(b, row, 2), 0);
		b->ops->free(b);
	}
	assert_memory_equal(x[0], x[1], V * sizeof *x[0]);
	free(x[0]);
	free(x[1]);
	model_free(m);
}

/* Rows that are out of range give an error, and the next step works. */
static void
bad_rows_are_refused(void **state)
{
	const int		 end[] = { 3 };
	int32_t			 block = 0, far = 1 << 20;
	const struct backend_row bad[] = { { .token = five.V,
		.blocks = &block }, { .token = -1, .blocks = &block },
		{ .pos = five.context, .blocks = &block },
		{ .blocks = &far } };
	const struct backend_row fine = { .blocks = &block };
	struct stages_plan	 p;
	struct backend		*b;
	size_t			 i;

	(void)state;
	cut(&p, 5, 2, end);
	b = open_parts(folder, "bf16", "auto", 1, &p, NULL);
	for (i = 0; i < nitems(bad); i++)
		assert_int_equal(b->ops->step(b, &bad[i], 1), CHAT_ESHAPE);
	assert_int_equal(b->ops->step(b, &fine, 1), 0);
	assert_int_equal(b->ops->step(b, &fine, 0), 0);
	b->ops->free(b);
}

/* A stage that can't be opened: the others are released, the fault stays. */
static void
an_error_of_one_stage_is_reported(void **state)
{
	const int		 end[] = { 1, 2 };
	struct backend_options	 opt = { .precision = "bf16",
		.device = devices.list[0].name, .isa = "auto", .threads = 1,
		.rows = 8 };
	struct stages_plan	 p;
	struct backend		*b;
	struct model		*m;
	struct fault		 f;
	int			 i;

	(void)state;
	assert_int_equal(model_open(folder, &m, &f), 0);
	for (i = 0; i < 3; i++) {
		cut(&p, 5, 3, end);
		memcpy(p.part[i].device, "gpu:0", 6);
		assert_int_equal(stages_open(m, &opt, &p, &b, &f),
		    CHAT_EUNSUPPORTED);
		assert_non_null(strstr(f.message, "found gpu:0"));
	}
	model_free(m);
}

/* Lists that are not allowed. */
static void
bad_lists_are_refused(void **state)
{
	static const struct {
		const char	*text, *words;
	} cases[] = {
		{ "cpu,cpu", "each device once, found cpu twice" },
		{ "cuda:1,cpu,cuda:01", "found cuda:1 twice" },
		{ "cuda:0=3,cpu", "for every device or for none" },
		{ "cuda:0=0", "expected auto, cpu, cuda" },
		{ "cuda:0=x,cpu=1", "expected auto, cpu, cuda" },
		{ "cuda:0,", "expected auto, cpu, cuda" },
		{ ",cpu", "expected auto, cpu, cuda" },
		{ "cuda:0,auto", "expected auto, cpu, cuda" },
		{ "cuda,cpu", "expected auto, cpu, cuda" },
		{ "cuda:0, cpu", "expected auto, cpu, cuda" },
		{ "cpu=4", "expected 5 layers in all, found 4" }
	};
	struct backend_options	 opt = { .precision = "bf16", .isa = "auto",
		.threads = 1, .rows = 8 };
	struct backend_plan	 plan;
	struct model		*m;
	struct fault		 f;
	size_t			 i;

	(void)state;
	assert_int_equal(model_open(folder, &m, &f), 0);
	for (i = 0; i < nitems(cases); i++) {
		opt.device = cases[i].text;
		assert_int_not_equal(backend_plan(m, &opt, &plan, &f), 0);
		assert_string_equal(f.code, "no_device");
		if (strstr(f.message, cases[i].words) == NULL)
			fail_msg("%s: expected \"%s\" in: %s", cases[i].text,
			    cases[i].words, f.message);
	}
	model_free(m);
}

/* Read the devices; write the model. */
static int
setup(void **state)
{
	struct fault	 f;

	(void)state;
	if (devices_parse(neox_device(), &devices, &f) != 0)
		fail_msg("%s", f.message);
	folder = neox_folder();
	neox_write(folder, &five, 5);
	model_files_put(folder, "tokenizer.json", "{}", 2);
	return (0);
}

/* Remove it. */
static int
teardown(void **state)
{
	(void)state;
	neox_remove(folder);
	return (0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(random_cuts_do_not_matter,
		    equal_teardown),
		cmocka_unit_test(the_stages_are_described_as_one),
		cmocka_unit_test(the_weights_are_read_once),
		cmocka_unit_test(a_packed_file_can_be_divided),
		cmocka_unit_test(a_random_model_is_the_same_in_stages),
		cmocka_unit_test(bad_rows_are_refused),
		cmocka_unit_test(an_error_of_one_stage_is_reported),
		cmocka_unit_test(bad_lists_are_refused),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
