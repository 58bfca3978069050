/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a pass of the encoder takes, for each instruction set: 32, 64 and
 * 128 tokens, the best and the median of some passes on one core; and how much
 * of the core's int8 multiplications a second it reaches.
 *
 * usage: tests/bench/encoder/bench MODEL [-n PASSES] [-i ISA] [-t TEXT]
 *
 * With -t it prints the tokens and the outputs of a text instead.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "encoder.h"
#include "encoder_kernels.h"
#include "xmalloc.h"

#define BENCH_PASSES	60

/* Milliseconds of processor time. */
static double
bench_clock(void)
{
	struct timespec	 t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return ((double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6);
}

/* Compare two times. */
static int
bench_compare(const void *a, const void *b)
{
	double	 x = *(const double *)a, y = *(const double *)b;

	return (x < y ? -1 : x > y);
}

/* Multiplications of int8 in a pass of n tokens. */
static double
bench_work(const struct encoder *e, size_t n)
{
	double		 sum = 0, h = e->hidden, rows = (double)n;
	uint32_t	 i;

	for (i = 0; i < e->layers; i++) {
		if (i + 1 == e->layers)
			sum += rows * 2 * h * h - rows * h * h, rows = 1;
		else
			sum += 2 * rows * h * h;
		sum += rows * (2 * h * h + 2 * h * (double)e->ffn[i]);
		rows = (double)n;
	}
	return (sum + (double)n * h * h);
}

/* Multiplications of int8 a millisecond: the matrix product alone, with a
 * matrix and rows that stay in the first cache. */
static double
bench_peak(const struct encoder *e)
{
	enum { ROWS = 8, N = 32, K = 384, TIMES = 2000 };
	static uint8_t	 q8[ROWS * K];
	static int8_t	 w[N * K] __attribute__((aligned(64)));
	static float	 f[N], scale[ROWS], out[ROWS * N];
	static int32_t	 sums[N], zero[ROWS];
	struct encoder_matrix	 m = { f, f, w, sums, N, K };
	double		 best = 1e9, t;
	int		 i, j;

	memset(q8, 1, sizeof q8);
	memset(w, 1, sizeof w);
	for (i = 0; i < 30; i++) {
		t = bench_clock();
		for (j = 0; j < TIMES; j++)
			e->kernels->gemm(&m, 0, N, q8, scale, zero, ROWS, out,
			    N);
		t = bench_clock() - t;
		best = t < best ? t : best;
	}
	return ((double)TIMES * ROWS * N * K / best);
}

/* Measure one instruction set. */
static void
bench_isa(const char *path, const char *isa, int passes)
{
	static const size_t	 lengths[] = { 32, 64, 128 };
	struct encoder		*e;
	struct fault		 f;
	uint32_t		 ids[ENCODER_TOKENS];
	float			 logit[ENCODER_OUTPUTS_MAX];
	double			*ms, peak, work;
	size_t			 i, j;
	int			 k;

	if (encoder_open(path, isa, &e, &f) != 0) {
		printf("%-8s %s\n", isa, f.message);
		return;
	}
	ms = xcalloc((size_t)passes, sizeof *ms);
	peak = bench_peak(e);
	for (i = 0; i < nitems(lengths) && lengths[i] <= e->tokens; i++) {
		for (j = 0; j < lengths[i]; j++)
			ids[j] = (uint32_t)(j * 2654435761u) % e->words.n;
		for (k = 0; k < passes; k++) {
			ms[k] = bench_clock();
			if (encoder_pass(e, ids, lengths[i], logit) != 0)
				printf("no result\n");
			ms[k] = bench_clock() - ms[k];
		}
		qsort(ms, (size_t)passes, sizeof *ms, bench_compare);
		work = bench_work(e, lengths[i]);
		printf("%-8s %3zu tokens  best %7.3f ms  median %7.3f ms  "
		    "%6.1f G int8 MAC/s, %3.0f %% of %.1f\n", isa, lengths[i],
		    ms[0], ms[passes / 2], work / ms[0] / 1e6,
		    100 * work / ms[0] / peak, peak / 1e6);
	}
	free(ms);
	encoder_free(e);
}

/* Print tokens and outputs of a text. */
static int
bench_text(const char *path, const char *isa, const char *text)
{
	struct encoder		*e;
	struct fault		 f;
	struct wordpiece_token	 out[ENCODER_TOKENS];
	uint32_t		 ids[ENCODER_TOKENS];
	float			 logit[ENCODER_OUTPUTS_MAX];
	size_t			 n, i;

	if (encoder_open(path, isa, &e, &f) != 0) {
		fprintf(stderr, "%s\n", f.message);
		return (1);
	}
	n = wordpiece_cut(&e->words, text, strlen(text), out, e->tokens - 2);
	ids[0] = e->id_cls;
	for (i = 0; i < n; i++) {
		ids[i + 1] = out[i].id;
		printf("%s ", e->words.text + e->words.at[out[i].id]);
	}
	ids[n + 1] = e->id_sep;
	printf("\n");
	if (encoder_pass(e, ids, n + 2, logit) != 0)
		return (1);
	for (i = 0; i < e->outputs; i++)
		printf("%s %.5f %.4f\n", e->names[i], (double)logit[i],
		    encoder_score(e, (uint32_t)i, logit[i]));
	encoder_free(e);
	return (0);
}

/* Bench. */
int
main(int argc, char **argv)
{
	const char		*isa = NULL, *text = NULL;
	const char *const	*list;
	int			 c, passes = BENCH_PASSES;

	while ((c = getopt(argc, argv, "n:i:t:")) != -1) {
		if (c == 'n')
			passes = atoi(optarg);
		else if (c == 'i')
			isa = optarg;
		else if (c == 't')
			text = optarg;
		else
			return (2);
	}
	if (optind + 1 != argc || passes < 1) {
		fprintf(stderr, "usage: bench [-n PASSES] [-i ISA] [-t TEXT] "
		    "MODEL\n");
		return (2);
	}
	if (text != NULL)
		return (bench_text(argv[optind], isa == NULL ? "auto" : isa,
		    text));
	for (list = encoder_isas; *list != NULL; list++)
		if (isa == NULL || strcmp(isa, *list) == 0)
			bench_isa(argv[optind], *list, strcmp(*list,
			    "plain") == 0 ? 1 + passes / 20 : passes);
	return (0);
}
