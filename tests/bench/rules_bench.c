/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time that the rule packs take, without a process around them.
 *
 *	tests/bench/rules [-n BYTES] PACKS FILE
 *
 * PACKS is the absolute path of a folder of packs, FILE any text in English.
 * It is cut into texts of BYTES (500).  Prints the processor time of a text as
 * a prompt and as a reply, and the checks a second of replies that grow by four
 * bytes at a time (128 tokens).
 */
#include "rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "path.h"
#include "xmalloc.h"

#define BENCH_TEXTS	20000	/* at most */
#define BENCH_TOKEN	4	/* bytes */

static const char *const categories[] = { "misinformation", "hate",
	"violence", "impersonation", "harassment", "defamation", "spam_scam",
	"confidential", "terms_violation", "malicious_bot", "illegal", NULL };

/* Processor time of this process, us. */
static double
bench_now(void)
{
	struct timespec	 t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return ((double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3);
}

/* Count a finding. */
static void
bench_found(void *arg, const struct rule *rule, uint64_t start, uint64_t end)
{
	(void)rule;
	(void)start;
	(void)end;
	++*(size_t *)arg;
}

/* End with a message. */
static void
bench_fail(const char *what)
{
	fprintf(stderr, "rules: %s\n", what);
	exit(1);
}

/* The start of a character at or after i. */
static size_t
bench_character(const char *text, size_t len, size_t i)
{
	while (i < len && (text[i] & 0xc0) == 0x80)
		i++;
	return (i < len ? i : len);
}

/* Compare two times. */
static int
bench_compare(const void *a, const void *b)
{
	double	 x = *(const double *)a, y = *(const double *)b;

	return (x < y ? -1 : x > y);
}

/* Judge each text as a whole. */
static void
bench_whole(struct rules *rs, unsigned direction, char **texts, size_t n)
{
	struct fault	 f;
	double		*us, began;
	size_t		 i, found = 0;

	us = xcalloc(n, sizeof *us);
	for (i = 0; i < n; i++) {
		began = bench_now();
		if (rules_match(rs, direction, texts[i], strlen(texts[i]),
		    bench_found, &found, &f) != 0)
			bench_fail(f.message);
		us[i] = bench_now() - began;
	}
	qsort(us, n, sizeof *us, bench_compare);
	printf("%s: median %.1f us, 99 %% %.1f us, largest %.1f us; %zu "
	    "findings\n", direction == RULE_REPLY ? "reply " : "prompt",
	    us[n / 2], us[n - 1 - n / 100], us[n - 1], found);
	free(us);
}

/* Judge each text as a reply that grows. */
static void
bench_growing(struct rules *rs, char **texts, size_t n)
{
	struct rules_piece	 p;
	struct fault		 f;
	double			 began = bench_now(), used;
	char			*copy;
	size_t			 i, len, at, to, from, settled, checks = 0;
	size_t			 found = 0, window = rules_window(rs), all;

	for (i = 0; i < n; i++) {
		len = strlen(texts[i]);
		for (at = all = 0; at < len; at = to) {
			to = bench_character(texts[i], len, at + BENCH_TOKEN);
			from = at > window ? bench_character(texts[i], len,
			    at - window) : 0;
			copy = xstrndup(texts[i] + from, to - from);
			p = (struct rules_piece){ copy, to - from, at - from,
			    all > from ? all - from : 0, from == 0,
			    to == len };
			if (rules_match_piece(rs, RULE_REPLY, &p, bench_found,
			    &found, &settled, &f) != 0)
				bench_fail(f.message);
			all = from + settled;
			checks++;
			free(copy);
		}
	}
	used = bench_now() - began;
	printf("growing: %.0f checks/s, %.1f us each\n", (double)checks /
	    used * 1e6, used / (double)checks);
}

/* Cut the file, and measure. */
int
main(int argc, char **argv)
{
	static char	*texts[BENCH_TEXTS];
	struct rules	*rs;
	struct fault	 f;
	char		*all;
	size_t		 len, at, to, bytes = 500, n = 0;
	double		 began;
	int		 c;

	while ((c = getopt(argc, argv, "n:")) != -1) {
		if (c != 'n' || (bytes = strtoul(optarg, NULL, 10)) == 0)
			bench_fail("usage: rules [-n BYTES] PACKS FILE");
	}
	if (argc - optind != 2)
		bench_fail("usage: rules [-n BYTES] PACKS FILE");
	rs = rules_new(categories);
	began = bench_now();
	if (rules_load(rs, argv[optind], &f) != 0)
		bench_fail(f.message);
	rules_prepare(rs);
	printf("%zu rules, window %zu bytes, loaded in %.1f ms\n", rs->n,
	    rules_window(rs), (bench_now() - began) / 1e3);
	if (path_read(argv[optind + 1], 1 << 30, &all, &len) != 0)
		bench_fail("can't read the text");
	for (at = 0; at < len && n < BENCH_TEXTS; at = to) {
		to = bench_character(all, len, at + bytes);
		texts[n++] = xstrndup(all + at, to - at);
	}
	bench_whole(rs, RULE_PROMPT, texts, n);
	bench_whole(rs, RULE_REPLY, texts, n);
	bench_growing(rs, texts, n < 300 ? n : 300);
	while (n > 0)
		free(texts[--n]);
	free(all);
	rules_free(rs);
	return (0);
}
