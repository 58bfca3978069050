/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU backend: its logits are near those of two oracles (published logits
 * of a small model, and a plain pass in double precision over random models).
 * Their bits do not depend on instruction set, threads, chunks or other rows.
 */
#include "backend.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "neox.h"
#include "xmalloc.h"

#define TOKENS	71	/* three cache blocks, the last one partly used */

/* Shapes that differ in residual, rotary lanes, head sizes that are no multiple
 * of 16 or 32, activation, tied head, and biases. */
static const struct neox_spec specs[] = {
	{ "parallel", 2, 64, 4, 96, 50, 96, 0.25, "gelu_fast", 1, 0, 1, 0.1 },
	{ "sequential", 2, 48, 2, 80, 33, 96, 0.25, "gelu", 0, 0, 1, 0.1 },
	{ "all-rotary", 1, 64, 2, 64, 17, 80, 1.0, "gelu_new", 1, 0, 1, 0.1 },
	{ "head-96", 2, 192, 2, 160, 40, 100, 0.25, "gelu", 1, 0, 1, 0.07 },
	{ "tied", 2, 64, 1, 128, 100, 96, 0.5, "gelu", 1, 1, 1, 0.1 },
	{ "no-bias", 1, 40, 4, 36, 20, 72, 0.4, "gelu", 0, 1, 0, 0.1 },
	{ "large-k", 1, 64, 2, 1090, 16, 72, 0.25, "gelu_fast", 1, 0, 1, 0.1 }
};

static char	*folders[nitems(specs)];
static int32_t	 ids[TOKENS];

/* The path of a file of test data; owned by the caller. */
static char *
data_path(const char *name)
{
	const char	*src = getenv("srcdir");

	return (xasprintf("%s/tests/data/neox-tiny/%s",
	    src != NULL ? src : ".", name));
}

/* Write every model once. */
static int
setup(void **state)
{
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(specs); i++) {
		folders[i] = neox_folder();
		neox_write(folders[i], &specs[i], 1234 + i);
	}
	return (0);
}

/* Remove the models. */
static int
teardown(void **state)
{
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(specs); i++)
		neox_remove(folders[i]);
	return (0);
}

/* Draw ids below V. */
static void
draw_ids(int V, uint64_t seed)
{
	int	 i;

	for (i = 0; i < TOKENS; i++)
		ids[i] = (int32_t)neox_random(&seed, (uint32_t)V);
}

/* Read the *n numbers of a float32 .npy file in C order. */
static float *
read_npy(const char *name, size_t *n)
{
	char		*path = data_path(name);
	FILE		*fp = fopen(path, "r");
	uint8_t		 head[10];
	float		*x;
	long		 end;

	if (fp == NULL)
		fail_msg("%s: can't be read", path);
	assert_int_equal(fread(head, sizeof head, 1, fp), 1);
	assert_int_equal(fseek(fp, 0, SEEK_END), 0);
	end = ftell(fp);
	assert_int_equal(fseek(fp, 10 + head[8] + head[9] * 256, SEEK_SET),
	    0);
	*n = (size_t)(end - ftell(fp)) / sizeof *x;
	x = xcalloc(*n, sizeof *x);
	assert_int_equal(fread(x, sizeof *x, *n, fp), *n);
	fclose(fp);
	free(path);
	return (x);
}

/* The largest difference of the backend from the published logits. */
static double
tiny_error(struct backend *b, const char *list, const char *npy, int chunk)
{
	char		*path = data_path(list);
	json_t		*all = json_load_file(path, 0, NULL), *seq, *v;
	struct backend_info info;
	double		 worst = 0, d;
	size_t		 i, j, n, total, rows, first, k;
	float		*want = read_npy(npy, &total), *got;
	int32_t		 id[128];

	assert_non_null(all);
	b->ops->info(b, &info);
	json_array_foreach(json_object_get(all, "sequences"), i, seq) {
		json_array_foreach(json_object_get(seq, "ids"), j, v)
			id[j] = (int32_t)json_integer_value(v);
		n = j;
		assert_true(n > 0 && n <= nitems(id));
		rows = (size_t)json_integer_value(
		    json_object_get(seq, "rows"));
		first = (size_t)json_integer_value(
		    json_object_get(seq, "first_row")) * (size_t)info.vocab;
		assert_true(rows <= n);
		got = neox_run(b, id, (int)n, chunk, 0);
		for (k = 0; k < rows * (size_t)info.vocab; k++) {
			assert_true(first + k < total);
			d = fabs((double)got[k] - (double)want[first + k]);
			worst = d > worst || isnan(d) ? d : worst;
		}
		free(got);
	}
	assert_true(i > 0);
	json_decref(all);
	free(want);
	free(path);
	return (worst);
}

/* The limit is far below the error that the smallest mistake would cause. */
static void
tiny_model_in_fp32_gives_the_published_logits(void **state)
{
	char		*folder = data_path(".");
	struct backend	*b;
	const char	*isa;
	double		 e;
	int		 i = 0;

	(void)state;
	while ((isa = neox_isa(&i)) != NULL) {
		b = neox_open(folder, "fp32", isa, 1);
		e = tiny_error(b, "expected.json", "expected-logits.npy", 0);
		print_message("    %s: largest error %.3g\n", isa, e);
		assert_true(e < 2e-5);
		b->ops->free(b);
	}
	free(folder);
}

/* The exact GELU gives other logits than the tanh form, by 1.5e-3 here. */
static void
tiny_model_with_the_exact_gelu(void **state)
{
	char		*folder = neox_folder();
	char		*config = data_path("config.gelu.json");
	char		*weights = data_path("model.safetensors");
	char		*cmd = xasprintf("cp '%s' '%s/config.json' && "
			    "cp '%s' '%s'", config, folder, weights, folder);
	struct backend	*b;

	(void)state;
	assert_int_equal(system(cmd), 0);
	b = neox_open(folder, "fp32", "auto", 1);
	assert_true(tiny_error(b, "expected-gelu.json",
	    "expected-gelu-logits.npy", 0) < 2e-5);
	assert_true(tiny_error(b, "expected.json", "expected-logits.npy", 0) >
	    1e-3);
	b->ops->free(b);
	neox_remove(folder);
	free(config);
	free(weights);
	free(cmd);
}

/* In bf16, the difference is below the limit of the test data. */
static void
tiny_model_in_bf16_is_near_the_published_logits(void **state)
{
	char		*folder = data_path(".");
	struct backend	*b = neox_open(folder, "bf16", "auto", 2);
	double		 e;

	(void)state;
	e = tiny_error(b, "expected.json", "expected-logits.npy", 5);
	print_message("    largest error %.3g\n", e);
	assert_true(e < 0.5);
	assert_true(e > 1e-3);	/* it is bf16 */
	b->ops->free(b);
	free(folder);
}

/* Compare each shape with double precision. */
static void
every_shape_agrees_with_double_precision(void **state)
{
	static const struct {
		const char	*precision;
		double		 limit;		/* of the logits' deviation */
	} kinds[] = { { "fp32", 1e-5 }, { "bf16", 0.08 },
		{ "int8", 0.15 }, { "int4", 1.2 }, { "fp32+kv16", 0.02 },
		{ "fp32+kv8", 0.05 }, { "bf16+kv8", 0.1 } };
	struct backend	*b;
	double		*want, sq, d, e;
	float		*got;
	size_t		 i, k, j, n;

	(void)state;
	for (i = 0; i < nitems(specs); i++) {
		draw_ids(specs[i].V, i + 1);
		n = (size_t)TOKENS * (size_t)specs[i].V;
		want = neox_oracle(folders[i], ids, TOKENS);
		for (sq = 0, j = 0; j < n; j++)
			sq += want[j] * want[j] / (double)n;
		for (k = 0; k < nitems(kinds); k++) {
			b = neox_open(folders[i], kinds[k].precision, "auto",
			    1);
			got = neox_run(b, ids, TOKENS, 0, 0);
			for (e = 0, j = 0; j < n; j++) {
				d = fabs((double)got[j] - want[j]) / sqrt(sq);
				e = d > e || isnan(d) ? d : e;
			}
			if (!(e < kinds[k].limit))
				fail_msg("%s %s: error %g, limit %g",
				    specs[i].name, kinds[k].precision, e,
				    kinds[k].limit);
			free(got);
			b->ops->free(b);
		}
		free(want);
	}
}

static const char *const precisions[] = { "fp32", "bf16", "int8",
	"int4", "fp32+kv16", "bf16+kv8", "int4+kv8" };

/* Compare two runs bit for bit. */
static void
same_bits(const char *spec, const char *precision, const char *what,
    const float *a, const float *b, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		if (memcmp(&a[i], &b[i], sizeof *a) != 0)
			fail_msg("%s %s %s: logit %zu: %.9g and %.9g", spec,
			    precision, what, i, (double)a[i], (double)b[i]);
}

/* The run that all others are compared with: plain C, one thread, one token at
 * a time. */
static float *
plain_run(size_t spec, const char *precision)
{
	struct backend	*b = neox_open(folders[spec], precision, "scalar", 1);
	float		*out;

	draw_ids(specs[spec].V, spec + 7);
	out = neox_run(b, ids, TOKENS, 1, 0);
	b->ops->free(b);
	return (out);
}

/* Each instruction set with 1, 2 and 3 threads, and several cuts. */
static void
bits_do_not_depend_on_isa_threads_or_chunks(void **state)
{
	static const int chunks[] = { 0, 1, -1, 33, 7 };
	struct backend	*b;
	const char	*isa;
	char		 what[64];
	float		*want, *got;
	size_t		 i, p, k;
	int		 at, threads;

	(void)state;
	for (i = 0; i < nitems(specs); i++)
		for (p = 0; p < nitems(precisions); p++) {
			want = plain_run(i, precisions[p]);
			for (at = 0; (isa = neox_isa(&at)) != NULL; )
				for (threads = 1; threads <= 3; threads++) {
					b = neox_open(folders[i],
					    precisions[p], isa, threads);
					k = (size_t)(at + threads) %
					    nitems(chunks);
					snprintf(what, sizeof what,
					    "%s, %d threads, cut %d", isa,
					    threads, chunks[k]);
					got = neox_run(b, ids, TOKENS,
					    chunks[k], 0);
					same_bits(specs[i].name, precisions[p],
					    what, want, got, (size_t)TOKENS *
					    (size_t)specs[i].V);
					free(got);
					b->ops->free(b);
				}
			free(want);
		}
}

/* Every cut of the prompt on one backend, in a cache that other sequences
 * have used before. */
static void
bits_do_not_depend_on_the_cut_of_a_prompt(void **state)
{
	struct backend	*b;
	char		 what[32];
	float		*want, *got;
	size_t		 p;
	int		 chunk;

	(void)state;
	for (p = 0; p < nitems(precisions); p++) {
		want = plain_run(0, precisions[p]);
		b = neox_open(folders[0], precisions[p], "auto", 2);
		for (chunk = -1; chunk < TOKENS; chunk++) {
			snprintf(what, sizeof what, "cut %d", chunk);
			got = neox_run(b, ids, TOKENS, chunk, chunk & 3);
			same_bits(specs[0].name, precisions[p], what, want,
			    got, (size_t)TOKENS * (size_t)specs[0].V);
			free(got);
		}
		b->ops->free(b);
		free(want);
	}
}

/*
 * Three sequences of the same tokens advance by different numbers of rows in
 * the same steps, with rows of a fourth, different sequence between them. The
 * rows of the fourth have no logits.
 */
static void
bits_do_not_depend_on_other_rows(void **state)
{
	static const int start[3] = { 0, 5, 40 };
	int32_t			 blocks[4][3];
	struct backend_row	 rows[4 * 8] = { { 0 } };
	struct backend		*b;
	float			*want, *out;
	size_t			 p, V = (size_t)specs[0].V;
	int			 s, i, step, n, pos[4];

	(void)state;
	for (s = 0; s < 4; s++)
		for (i = 0; i < 3; i++)
			blocks[s][i] = 11 - 4 * i - s;
	for (p = 0; p < nitems(precisions); p++) {
		want = plain_run(0, precisions[p]);
		b = neox_open(folders[0], precisions[p], "auto", 3);
		out = xcalloc(3 * TOKENS * V, sizeof *out);
		memset(pos, 0, sizeof pos);
		for (step = 0; pos[2] < TOKENS; step++) {
			for (n = 0, s = 0; s < 4; s++)
				for (i = 0; i <= (step + s) % 8 &&
				    pos[s] < TOKENS &&
				    (s == 3 || step >= start[s]); i++) {
					rows[n].token = s == 3 ?
					    ids[TOKENS - 1 - pos[s]] :
					    ids[pos[s]];
					rows[n].pos = pos[s];
					rows[n].blocks = blocks[s];
					rows[n++].logits = s == 3 ? NULL :
					    out + (size_t)(s * TOKENS +
					    pos[s]) * V;
					pos[s]++;
				}
			assert_int_equal(b->ops->step(b, rows, n), 0);
		}
		for (s = 0; s < 3; s++)
			same_bits(specs[0].name, precisions[p], "with others",
			    want, out + (size_t)s * TOKENS * V, TOKENS * V);
		free(out);
		free(want);
		b->ops->free(b);
	}
}

/* One sequence writes two whole blocks, and continues differently. Another one
 * takes these blocks over, and computes only the rest. */
static void
bits_do_not_depend_on_who_wrote_the_prefix(void **state)
{
	const int32_t		 first[3] = { 4, 1, 0 };
	const int32_t		 second[3] = { 4, 1, 2 };
	const size_t		 V = (size_t)specs[0].V;
	struct backend_row	 rows[TOKENS];
	struct backend		*b;
	float			*want, *out = xcalloc(8 * V, sizeof *out);
	size_t			 p;
	int			 t;

	(void)state;
	for (p = 0; p < nitems(precisions); p++) {
		want = plain_run(0, precisions[p]);
		b = neox_open(folders[0], precisions[p], "auto", 2);
		for (t = 0; t < TOKENS; t++)
			rows[t] = (struct backend_row){ .token = ids[t < 64 ?
			    t : t - 60], .pos = t, .blocks = first };
		assert_int_equal(b->ops->step(b, rows, TOKENS), 0);
		for (t = 64; t < TOKENS; t++)
			rows[t - 64] = (struct backend_row){ .token = ids[t],
			    .pos = t, .blocks = second, .logits = out +
			    (size_t)(t - 64) * V };
		assert_int_equal(b->ops->step(b, rows, TOKENS - 64), 0);
		same_bits(specs[0].name, precisions[p], "after a prefix",
		    want + 64 * V, out, (TOKENS - 64) * V);
		b->ops->free(b);
		free(want);
	}
	free(out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tiny_model_in_fp32_gives_the_published_logits),
		cmocka_unit_test(tiny_model_with_the_exact_gelu),
		cmocka_unit_test(
		    tiny_model_in_bf16_is_near_the_published_logits),
		cmocka_unit_test(every_shape_agrees_with_double_precision),
		cmocka_unit_test(bits_do_not_depend_on_isa_threads_or_chunks),
		cmocka_unit_test(bits_do_not_depend_on_the_cut_of_a_prompt),
		cmocka_unit_test(bits_do_not_depend_on_other_rows),
		cmocka_unit_test(bits_do_not_depend_on_who_wrote_the_prefix)
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
