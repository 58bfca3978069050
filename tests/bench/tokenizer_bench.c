/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast the tokenizer is: loading, prose, and texts that are bad for it,
 * and the same with the reference library, if a Python has it.
 *
 * usage: tests/bench/tokenizer [-m tokenizer.json] [-t text] [-p python]
 *
 * Without a text, the English ones of the test vectors are the prose. Bars:
 * prose 5 MB/s; everything else 1 MB/s, which no square would reach.
 */
#include <sys/wait.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "path.h"
#include "tokenizer.h"
#include "xmalloc.h"

#define BENCH_SIZE	(1 << 20)	/* bytes of a bad text */
#define BENCH_TEXT_MAX	(64 << 20)
#define BENCH_RUNS	5
#define BENCH_PROSE_BAR	5.0		/* MB/s */
#define BENCH_BAR	1.0

struct bench_text {
	const char	*name;
	const char	*unit;		/* repeated up to BENCH_SIZE */
	struct textbuf	 text;
	double		 rate, first;	/* MB/s: best, and of the first run */
	double		 reference;	/* MB/s, or 0 */
};

static struct bench_text bench_texts[] = {
	{ .name = "prose" },
	{ .name = "one letter", .unit = "a" },
	{ .name = "letters without a pattern", .unit = "" },
	{ .name = "spaces", .unit = " " },
	{ .name = "combining marks", .unit = "\xcc\x81" },
	{ .name = "marks in the wrong order", .unit = "\xcc\x81\xcc\x96" },
	{ .name = "letters with a mark", .unit = "a\xcc\x81" },
	{ .name = "letter, digit, space", .unit = "a1 " },
	{ .name = "apostrophes", .unit = "'" },
	{ .name = "Chinese", .unit = "\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97" },
	{ .name = "emoji", .unit = "\xf0\x9f\x98\x80 " },
	{ .name = "names of special tokens", .unit = "<|endoftext|>" },
};

static const char bench_script[] =
    "import sys, time\n"
    "from tokenizers import Tokenizer\n"
    "t = Tokenizer.from_file(sys.argv[1])\n"
    "for name in sys.argv[2:]:\n"
    "    s = open(name, encoding='utf-8', newline='').read()\n"
    "    best = 1e9\n"
    "    for i in range(3):\n"
    "        a = time.process_time()\n"
    "        t.encode(s)\n"
    "        best = min(best, time.process_time() - a)\n"
    "        if best > 2: break\n"
    "    print(best, flush=True)\n";

/* Seconds of processor time. */
static double
bench_clock(void)
{
	struct timespec	 t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return ((double)t.tv_sec + (double)t.tv_nsec / 1e9);
}

/* Read the prose: a file, or the English vectors. */
static void
bench_prose(const char *path, const char *src, struct textbuf *out)
{
	char	*name, *buf, *line;
	json_t	*v;
	size_t	 n;

	name = path != NULL ? xstrdup(path) : xasprintf(
	    "%s/tests/data/gpt-neox-20b/tokenizer-vectors.jsonl", src);
	if (path_read(name, BENCH_TEXT_MAX, &buf, &n) != 0)
		fatal("%s", name);
	if (path != NULL)
		textbuf_add(out, buf, n);
	for (line = strtok(buf, "\n"); path == NULL && line != NULL;
	    line = strtok(NULL, "\n")) {
		v = json_loads(line, JSON_ALLOW_NUL, NULL);
		if (strcmp(json_string_value(json_object_get(v, "kind")),
		    "english") == 0) {
			textbuf_puts(out, json_string_value(json_object_get(v,
			    "text")));
			textbuf_puts(out, "\n");
		}
		json_decref(v);
	}
	free(buf);
	free(name);
}

/* Make a bad text. */
static void
bench_make(struct bench_text *b)
{
	size_t	 n = strlen(b->unit);
	unsigned x = 7;
	char	 c;

	while (b->text.n + n <= BENCH_SIZE && b->text.n < BENCH_SIZE) {
		x = x * 1103515245 + 12345;
		c = (char)('a' + x / 65536 % 26);
		textbuf_add(&b->text, n == 0 ? &c : b->unit, n == 0 ? 1 : n);
	}
}

/* Load the tokenizer some times. */
static struct tokenizer *
bench_load(const char *path)
{
	struct tokenizer	*t = NULL;
	struct fault		 f;
	double			 start, s, best = 1e9;
	char			*text;
	size_t			 n;
	int			 i;

	for (i = 0; i < BENCH_RUNS; i++) {
		tokenizer_free(t);
		start = bench_clock();
		if (path_read(path, TOKENIZER_FILE_MAX, &text, &n) != 0)
			fatalx("%s can't be read", path);
		if (tokenizer_parse(path, text, n, &t, &f) != 0)
			fatalx("%s", f.message);
		free(text);
		s = bench_clock() - start;
		best = s < best ? s : best;
	}
	printf("load %.1f ms\n", best * 1e3);
	return (t);
}

/* Encode a text some times. */
static void
bench_encode(const struct tokenizer *t, struct bench_text *b)
{
	struct idbuf	 ids = { NULL, 0, 0 };
	double		 start, rate;
	int		 i;

	for (i = 0; i < BENCH_RUNS; i++) {
		ids.n = 0;
		start = bench_clock();
		tokenizer_encode(t, b->text.s, b->text.n, 0, &ids);
		rate = (double)b->text.n / 1e6 / (bench_clock() - start);
		if (i == 0)
			b->first = rate;
		if (rate > b->rate)
			b->rate = rate;
	}
	idbuf_clear(&ids);
}

/* Write the texts for the reference; argv is its command. */
static void
bench_write(const char *folder, char **argv)
{
	FILE	*fp;
	size_t	 i;

	for (i = 0; i < nitems(bench_texts); i++) {
		argv[i] = xasprintf("%s/%zu", folder, i);
		if ((fp = fopen(argv[i], "w")) == NULL ||
		    fwrite(bench_texts[i].text.s, 1, bench_texts[i].text.n,
		    fp) != bench_texts[i].text.n || fclose(fp) != 0)
			fatal("%s", argv[i]);
	}
}

/* Run the reference library over the same texts. */
static void
bench_reference(const char *python, const char *tokenizer)
{
	char	 folder[] = "/tmp/chatd-bench-XXXXXX";
	char	*argv[4 + nitems(bench_texts) + 1] = { NULL };
	double	 seconds;
	size_t	 i;
	pid_t	 pid;
	int	 fd[2];
	FILE	*fp;

	if (mkdtemp(folder) == NULL || pipe(fd) == -1)
		fatal("%s", folder);
	argv[0] = xstrdup(python);
	argv[1] = xstrdup("-c");
	argv[2] = xstrdup(bench_script);
	argv[3] = xstrdup(tokenizer);
	bench_write(folder, argv + 4);
	fflush(stdout);
	if ((pid = fork()) == 0) {
		dup2(fd[1], STDOUT_FILENO);
		execvp(python, argv);
		fatal("%s", python);
	}
	close(fd[1]);
	fp = fdopen(fd[0], "r");
	for (i = 0; i < nitems(bench_texts) &&
	    fscanf(fp, "%lf", &seconds) == 1; i++)
		bench_texts[i].reference = (double)bench_texts[i].text.n /
		    1e6 / seconds;
	fclose(fp);
	waitpid(pid, NULL, 0);
	for (i = 0; argv[i] != NULL; i++) {
		if (i >= 4)
			unlink(argv[i]);
		free(argv[i]);
	}
	rmdir(folder);
}

/* Print the results. Returns how many are below their bar. */
static int
bench_print(void)
{
	const struct bench_text	*b;
	double			 bar;
	size_t			 i;
	int			 bad = 0;

	printf("%-26s %9s %9s %9s %9s %7s\n", "MB/s", "bytes", "first",
	    "best", "reference", "ratio");
	for (i = 0; i < nitems(bench_texts); i++) {
		b = &bench_texts[i];
		bar = i == 0 ? BENCH_PROSE_BAR : BENCH_BAR;
		printf("%-26s %9zu %9.1f %9.1f", b->name, b->text.n,
		    b->first, b->rate);
		if (b->reference > 0)
			printf(" %9.2f %7.1f", b->reference, b->rate /
			    b->reference);
		printf("%s\n", b->first < bar ? "  below the bar" : "");
		bad += b->first < bar;
	}
	return (bad);
}

/* Measure. */
int
main(int argc, char **argv)
{
	const char		*src = getenv("CHATD_SRC");
	const char		*text = NULL, *python = NULL;
	char			*model = NULL;
	struct tokenizer	*t;
	size_t			 i;
	int			 c, bad;

	src = src == NULL ? "." : src;
	while ((c = getopt(argc, argv, "m:t:p:")) != -1) {
		if (c == 'm') {
			free(model);
			model = xstrdup(optarg);
		} else if (c == 't')
			text = optarg;
		else if (c == 'p')
			python = optarg;
		else
			fatalx("usage: tokenizer [-m tokenizer.json] "
			    "[-t text] [-p python]");
	}
	if (model == NULL)
		model = xasprintf("%s/tests/data/gpt-neox-20b/tokenizer.json",
		    src);
	t = bench_load(model);
	bench_prose(text, src, &bench_texts[0].text);
	for (i = 0; i < nitems(bench_texts); i++) {
		if (bench_texts[i].unit != NULL)
			bench_make(&bench_texts[i]);
		bench_encode(t, &bench_texts[i]);
	}
	if (python != NULL)
		bench_reference(python, model);
	bad = bench_print();
	for (i = 0; i < nitems(bench_texts); i++)
		textbuf_clear(&bench_texts[i].text);
	tokenizer_free(t);
	free(model);
	return (bad > 0);
}
