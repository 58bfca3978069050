/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the backends share: random numbers, folders, backends on
 * a model and how they are fed, and instruction sets in turn.
 */
#include "neox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cpu.h"
#include "kernels.h"
#include "xmalloc.h"

/* xorshift64*: the upper bits are good enough for weights. */
uint32_t
neox_random(uint64_t *state, uint32_t n)
{
	if (*state == 0)
		*state = 1;
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return ((uint32_t)((*state * 2685821657736338717ULL >> 32) * n >> 32));
}

/* A new folder. */
char *
neox_folder(void)
{
	const char	*tmp = getenv("TMPDIR");
	char		*folder = xasprintf("%s/chatd-test.XXXXXX",
			    tmp != NULL ? tmp : "/tmp");

	assert_non_null(mkdtemp(folder));
	return (folder);
}

/* Its end. */
void
neox_remove(char *folder)
{
	char	*cmd = xasprintf("rm -rf '%s'", folder);

	assert_int_equal(system(cmd), 0);
	free(cmd);
	free(folder);
}

/* The device of the tests. */
const char *
neox_device(void)
{
	const char	*device = getenv("CHATD_TEST_DEVICE");

	return (device != NULL && *device != '\0' ? device : "cpu");
}

/* Open a backend. */
struct backend *
neox_open(const char *folder, const char *precision, const char *isa,
    int threads)
{
	return (neox_open_cache(folder, precision, isa, threads, 0));
}

/* The same with a cache of some size. */
struct backend *
neox_open_cache(const char *folder, const char *precision, const char *isa,
    int threads, int positions)
{
	return (neox_open_adapters(folder, precision, isa, threads, positions,
	    NULL, 0));
}

/* The same with adapters. */
struct backend *
neox_open_adapters(const char *folder, const char *precision,
    const char *isa, int threads, int positions,
    const struct adapter *const *list, int n)
{
	const char		*kv = strchr(precision, '+');
	char			*weights = xstrdup(precision);
	struct backend_options	 opt = { .precision = weights,
		.device = neox_device(), .isa = strcmp(isa, NEOX_SOFT) == 0 ?
		"scalar" : isa, .threads = threads,
		.kv_tokens = positions, .rows = NEOX_ROWS,
		.adapters = list, .nadapters = n };
	struct backend_info	 info;
	struct backend		*b = NULL;
	struct model		*m;
	struct fault		 f;

	weights[strcspn(weights, "+")] = '\0';
	if (kv != NULL)
		opt.kv_precision = strcmp(kv, "+kv8") == 0 ? "int8" : "bf16";
	if (model_open(folder, &m, &f) != 0 ||
	    backend_open(m, &opt, &b, &f) != 0)
		fail_msg("%s: %s", folder, f.message);
	model_free(m);
	b->ops->info(b, &info);
	if (strcmp(precision, "auto") != 0)
		assert_true(strncmp(info.precision, precision,
		    strlen(precision)) == 0 && strlen(precision) ==
		    strcspn(info.precision, "@"));
	free(weights);
	if (strcmp(isa, NEOX_SOFT) == 0)
		((struct cpu *)b)->kernels = &kernels_amx_soft;
	return (b);
}

/* Feed a backend. */
float *
neox_run(struct backend *b, const int32_t *ids, int n, int chunk, int first)
{
	return (neox_run_adapter(b, ids, n, chunk, first, 0));
}

/* The same with an adapter. */
float *
neox_run_adapter(struct backend *b, const int32_t *ids, int n, int chunk,
    int first, int adapter)
{
	struct backend_info	 info;
	struct backend_row	*rows = xcalloc((size_t)n, sizeof *rows);
	int32_t			*blocks = xcalloc((size_t)n, sizeof *blocks);
	float			*out;
	int			 t, take, piece = 0;

	b->ops->info(b, &info);
	out = xcalloc((size_t)n * (size_t)info.vocab, sizeof *out);
	for (t = 0; t < n; t++) {
		blocks[t] = first + t;
		rows[t].token = ids[t];
		rows[t].pos = t;
		rows[t].blocks = blocks;
		rows[t].adapter = adapter;
		rows[t].logits = out + (size_t)t * (size_t)info.vocab;
	}
	for (t = 0; t < n; t += take) {
		take = chunk > 0 ? chunk : chunk < 0 ? ++piece : n;
		take = take < n - t ? take : n - t;
		assert_int_equal(b->ops->step(b, rows + t, take), 0);
	}
	free(rows);
	free(blocks);
	return (out);
}

/* Instruction sets in turn. */
const char *
neox_isa(int *at)
{
	static const char *const names[] = { "scalar", "avx2", "avx512",
		"amx", NEOX_SOFT, "reference" };

	while (*at < (int)nitems(names)) {
		if (neox_kernels(names[*at]) != NULL)
			return (names[(*at)++]);
		(*at)++;
	}
	return (NULL);
}

/* One of them. */
const struct kernels *
neox_kernels(const char *isa)
{
	return (strcmp(isa, NEOX_SOFT) == 0 ? &kernels_amx_soft :
	    kernels_find(isa));
}
