/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Framing: the lines do not depend on how the bytes are cut.
 */
#include "linebuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xmalloc.h"

#define LONG "<too long>"	/* stands for LINE_TOO_LONG */

/* Feed n bytes in pieces of at most step; lines are joined by "|". */
static void
line_feed(struct linebuf *lb, const char *in, size_t n, size_t step,
    char *out, size_t size)
{
	size_t	 room, k, len, used = strlen(out);
	char	*p, *line;
	int	 r;

	while (n > 0) {
		p = linebuf_room(lb, &room);
		assert_true(room > 0);
		k = room < step ? room : step;
		k = k < n ? k : n;
		memcpy(p, in, k);
		linebuf_added(lb, k);
		in += k;
		n -= k;
		while ((r = linebuf_next(lb, &line, &len)) != LINE_NONE) {
			if (r == LINE_TOO_LONG) {
				line = (char *)(uintptr_t)LONG;
				len = strlen(LONG);
			}
			assert_true(used + len + 2 < size);
			assert_int_equal(line[len], '\0');
			memcpy(out + used, line, len);
			used += len;
			out[used++] = '|';
			out[used] = '\0';
		}
	}
}

static const struct line_case {
	const char	*in;
	size_t		 max;
	const char	*out;
	size_t		 partial;
} cases[] = {
	{ "a\nbc\n", 16, "a|bc|", 0 },
	{ "a\r\nb\r\n", 16, "a|b|", 0 },
	{ "\n\n", 16, "||", 0 },
	{ "\r\n", 16, "|", 0 },
	{ "a\r\rb\n", 16, "a\r\rb|", 0 },
	{ "abc", 16, "", 3 },
	{ "abcd\n", 4, "abcd|", 0 },
	{ "abcd\r\n", 4, "abcd|", 0 },
	{ "abcde\n", 4, LONG "|", 0 },
	{ "abcde\r\n", 4, LONG "|", 0 },
	{ "abcdefghijklmnopqrst\nok\n", 4, LONG "|ok|", 0 },
	{ "abcdefghijklmnopqrst\nabcdefghij\nok\nx", 4,
	    LONG "|" LONG "|ok|", 1 },
	{ "ab\nabcdefghij\ncd\n", 4, "ab|" LONG "|cd|", 0 },
};

/* Each case cut into pieces of 1, 2, 3 ... bytes. */
static void
lines_are_the_same_in_pieces_of_every_size(void **state)
{
	const struct line_case	*c;
	struct linebuf		*lb;
	char			 out[256];
	size_t			 step;

	(void)state;
	for (c = cases; c < cases + nitems(cases); c++) {
		for (step = 1; step <= strlen(c->in); step++) {
			lb = linebuf_new(c->max);
			out[0] = '\0';
			line_feed(lb, c->in, strlen(c->in), step, out,
			    sizeof out);
			assert_string_equal(out, c->out);
			assert_int_equal(linebuf_partial(lb), c->partial);
			linebuf_free(lb);
		}
	}
}

/* Each case cut into two pieces at every byte. */
static void
lines_are_the_same_at_every_cut(void **state)
{
	const struct line_case	*c;
	struct linebuf		*lb;
	char			 out[256];
	size_t			 cut, n;

	(void)state;
	for (c = cases; c < cases + nitems(cases); c++) {
		n = strlen(c->in);
		for (cut = 0; cut <= n; cut++) {
			lb = linebuf_new(c->max);
			out[0] = '\0';
			line_feed(lb, c->in, cut, n, out, sizeof out);
			line_feed(lb, c->in + cut, n - cut, n, out,
			    sizeof out);
			assert_string_equal(out, c->out);
			linebuf_free(lb);
		}
	}
}

/* Lines around the sizes at which the buffer grows, and up to the limit. */
static void
long_lines_arrive_whole(void **state)
{
	static const size_t	 sizes[] = { 4094, 4095, 4096, 4097, 8191,
		8192, 8193, 65535, 100000 };
	const size_t		 max = 100000;
	struct linebuf		*lb;
	char			*in, *out;
	size_t			 i, k;

	(void)state;
	lb = linebuf_new(max);
	in = xmalloc(max + 1);
	out = xmalloc(max + 16);
	for (i = 0; i < nitems(sizes); i++) {
		for (k = 0; k < sizes[i]; k++)
			in[k] = (char)('a' + k % 26);
		in[sizes[i]] = '\n';
		out[0] = '\0';
		line_feed(lb, in, sizes[i] + 1, 1000, out, max + 16);
		assert_int_equal(strlen(out), sizes[i] + 1);
		assert_memory_equal(out, in, sizes[i]);
	}
	free(in);
	free(out);
	linebuf_free(lb);
}

/* A line without an end is reported and takes no more than its limit. */
static void
endless_line_is_reported_once_and_bounded(void **state)
{
	struct linebuf	*lb;
	char		 piece[1024], out[256] = "";
	int		 i;

	(void)state;
	memset(piece, 'x', sizeof piece);
	lb = linebuf_new(10000);
	for (i = 0; i < 1000; i++) {
		line_feed(lb, piece, sizeof piece, sizeof piece, out,
		    sizeof out);
		assert_true(linebuf_partial(lb) <= 10002);
	}
	assert_string_equal(out, LONG "|");
	line_feed(lb, "\nnext\n", 6, 6, out, sizeof out);
	assert_string_equal(out, LONG "|next|");
	linebuf_free(lb);
}

/* NUL and bytes above 127 are kept. */
static void
nul_and_high_bytes_are_kept(void **state)
{
	static const char	 in[] = "a\0b\xff\n";
	struct linebuf		*lb;
	size_t			 room, len;
	char			*line;

	(void)state;
	lb = linebuf_new(16);
	memcpy(linebuf_room(lb, &room), in, 5);
	linebuf_added(lb, 5);
	assert_int_equal(linebuf_next(lb, &line, &len), LINE_READY);
	assert_int_equal(len, 4);
	assert_memory_equal(line, "a\0b\xff", 4);
	linebuf_free(lb);
}

/* linebuf_free(NULL) does nothing. */
static void
free_takes_null(void **state)
{
	(void)state;
	linebuf_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_the_same_in_pieces_of_every_size),
		cmocka_unit_test(lines_are_the_same_at_every_cut),
		cmocka_unit_test(long_lines_arrive_whole),
		cmocka_unit_test(endless_line_is_reported_once_and_bounded),
		cmocka_unit_test(nul_and_high_bytes_are_kept),
		cmocka_unit_test(free_takes_null),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
