/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile tokenizer.json files: each is refused with a message, within 5
 * seconds and 512 MiB. Every case runs in a child, which is measured. With
 * sanitizers only the result is checked.
 */
#include "tokenizer.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "bpe.h"
#include "growbuf.h"
#include "xmalloc.h"

#define HOSTILE_SECONDS	5
#define HOSTILE_KIB	(512 * 1024)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HOSTILE_MEASURED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HOSTILE_MEASURED 0
#endif
#endif
#ifndef HOSTILE_MEASURED
#define HOSTILE_MEASURED 1
#endif

#define PARTS "\"decoder\":{\"type\":\"ByteLevel\"},\"pre_tokenizer\":" \
	"{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"
#define HEAD "{" PARTS ",\"model\":{"

/* A text: head, then items from format and number until the size or the count
 * is reached, then tail. */
struct hostile {
	const char	*name;
	const char	*head, *item, *tail;
	size_t		 size, count;	/* 0: no limit */
	const char	*says;		/* part of the message; NULL:
					 * accepted */
};

static const struct hostile hostile_cases[] = {
	{ "empty lists", "[", "[],", "[]]", TOKENIZER_FILE_MAX, 0, "lists" },
	{ "empty objects", "[", "{},", "{}]", TOKENIZER_FILE_MAX, 0,
	    "objects" },
	{ "lists in lists", "", "[", "", TOKENIZER_FILE_MAX, 0, "than" },
	{ "lists in lists, fewer", "", "[", "", 0, 100000, "nested" },
	{ "objects in objects", "", "{\"a\":", "", TOKENIZER_FILE_MAX, 0,
	    "than" },
	{ "objects in objects, fewer", "", "{\"a\":", "", 0, 40, "nested" },
	{ "empty strings", "[", "\"\",", "0]", TOKENIZER_FILE_MAX, 0,
	    "values" },
	{ "numbers", "[", "1,", "0]", TOKENIZER_FILE_MAX, 0, "values" },
	{ "strings up to the limit", "[", "\"\",", "0]", 0,
	    TOKENIZER_VALUES_MAX - 2, "JSON object" },
	{ "lists up to the limit", "[", "[],", "0]", 0, TOKENIZER_MERGES_MAX,
	    "JSON object" },
	{ "keys up to the limit", "{", "\"%zu\":0,", "\"x\":0}",
	    TOKENIZER_FILE_MAX, TOKENIZER_VALUES_MAX / 2 - 2, "unknown part" },
	{ "10^7 merges", HEAD "\"vocab\":{\"a\":0},\"merges\":[",
	    "\"a b\",", "\"a b\"]}}", 0, 10000000, "bytes, at most" },
	{ "merges up to the size", HEAD "\"vocab\":{\"a\":0},\"merges\":[",
	    "\"a b\",", "\"a b\"]}}", TOKENIZER_FILE_MAX, 0, "merges, at" },
	{ "merges of unknown tokens", HEAD "\"vocab\":{\"a\":0},\"merges\":[",
	    "\"a b\",", "\"a b\"]}}", 0, 1000, "not in model.vocab" },
	{ "pairs up to the limit", HEAD "\"vocab\":{\"a\":0,\"aa\":1},"
	    "\"merges\":[", "[\"a\",\"a\"],", "[\"a\",\"a\"]]}}", 0,
	    TOKENIZER_MERGES_MAX - 10, NULL },
	{ "ids past the limit", HEAD "\"merges\":[],\"vocab\":{",
	    "\"%zu\":%zu,", "\"x\":1048576}}}", 0, 1000, "its id is not" },
	{ "a vocabulary too large", HEAD "\"merges\":[],\"vocab\":{",
	    "\"%zx\":%zu,", "\"x\":0}}}", TOKENIZER_FILE_MAX, 0,
	    "its id is not" },
	{ "one id for all", HEAD "\"merges\":[],\"vocab\":{", "\"%zx\":7,",
	    "\"x\":0}}}", 0, 1000000, "two tokens" },
	{ "one token twice", HEAD "\"merges\":[],\"vocab\":{", "\"a\":%zu,",
	    "\"x\":0}}}", 0, 100000, "duplicate" },
	{ "a token of 16 MiB", HEAD "\"merges\":[],\"vocab\":{\"", "a",
	    "\":0}}}", TOKENIZER_FILE_MAX - 100, 0, NULL },
	{ "too many added tokens", HEAD "\"merges\":[],\"vocab\":{\"a\":0}},"
	    "\"added_tokens\":[", "{\"id\":%zu},", "{}]}", 0,
	    TOKENIZER_ADDED_MAX, "added tokens, at most" },
	{ "added tokens of nothing", HEAD "\"merges\":[],\"vocab\":{\"a\":0}},"
	    "\"added_tokens\":[", "{},", "{}]}", TOKENIZER_FILE_MAX - 300, 0,
	    "objects" },
	{ "a pre-tokenizer of many", "{\"model\":{},\"pre_tokenizer\":{"
	    "\"type\":\"Sequence\",\"pretokenizers\":[", "{\"type\":"
	    "\"ByteLevel\"},", "{}]}}", TOKENIZER_FILE_MAX, 0, "objects" },
	{ "a pre-tokenizer of some", "{\"model\":{},\"pre_tokenizer\":{"
	    "\"type\":\"Sequence\",\"pretokenizers\":[", "{\"type\":"
	    "\"ByteLevel\"},", "{}]}}", 0, 4000, "Sequence of 4001" },
	{ "a pre-tokenizer in itself", "{\"model\":{},\"pre_tokenizer\":",
	    "{\"type\":\"Sequence\",\"pretokenizers\":[", "", 0, 5000,
	    "than" },
	{ "a pattern that explodes", "{\"model\":{},\"pre_tokenizer\":{"
	    "\"type\":\"Split\",\"pattern\":{\"Regex\":\"", "(a*)*", "\"}}}",
	    TOKENIZER_FILE_MAX - 100, 0, "\"Split\"" },
	{ "an open string", "{\"", "\\\"", "", TOKENIZER_FILE_MAX, 0,
	    "line" },
};

/* Write the text of a case. */
static void
hostile_text(const struct hostile *h, struct textbuf *out)
{
	char	 item[80];
	size_t	 i;

	textbuf_puts(out, h->head);
	for (i = 0; h->count == 0 || i < h->count; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
		snprintf(item, sizeof item, h->item, i, i);
#pragma GCC diagnostic pop
		if (h->size > 0 && out->n + strlen(item) + strlen(h->tail) >
		    h->size)
			break;
		textbuf_puts(out, item);
	}
	textbuf_puts(out, h->tail);
}

/* In the child: parse a case. The exit status is 0 if the result is right. */
static int
hostile_child(const struct hostile *h)
{
	struct tokenizer	*t = NULL;
	struct fault		 f = { .message = "" };
	struct textbuf		 text = { NULL, 0, 0 };
	int			 r;

	hostile_text(h, &text);
	r = tokenizer_parse("file", text.s, text.n, &t, &f);
	if ((r == 0) != (h->says == NULL) || (r == 0) != (t != NULL) ||
	    (r != 0 && strstr(f.message, h->says) == NULL)) {
		fprintf(stderr, "%s: %d %s\n", h->name, r, f.message);
		return (1);
	}
	tokenizer_free(t);
	textbuf_clear(&text);
	return (0);
}

/* Run a case. Return 1 if it failed. */
static int
hostile_run(const struct hostile *h)
{
	struct rusage	 u;
	double		 seconds;
	pid_t		 pid;
	int		 status;

	fflush(NULL);
	if ((pid = fork()) == 0)
		_exit(hostile_child(h));
	assert_true(pid > 0);
	assert_int_equal(wait4(pid, &status, 0, &u), pid);
	seconds = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
	print_message("%-28s %5.2f s %4ld MiB\n", h->name, seconds,
	    u.ru_maxrss / 1024);
	if (status != 0)
		return (1);
	return (HOSTILE_MEASURED && (seconds > HOSTILE_SECONDS ||
	    u.ru_maxrss > HOSTILE_KIB));
}

/* Run all cases. */
static void
hostile_files_are_refused_in_time_and_memory(void **state)
{
	size_t	 i;
	int	 bad = 0;

	(void)state;
	for (i = 0; i < nitems(hostile_cases); i++)
		bad += hostile_run(&hostile_cases[i]);
	assert_int_equal(bad, 0);
}

/* Make a tokenizer whose added tokens all nearly match at every place. */
static struct tokenizer *
hostile_prefixes(void)
{
	struct tokenizer	*t = NULL;
	struct textbuf		 s = { NULL, 0, 0 };
	struct fault		 f;
	char			 a[300];
	int			 i;

	textbuf_puts(&s,
	    HEAD "\"merges\":[],\"vocab\":{\"a\":0,\"\xc4\xa0\":1}},"
	    "\"added_tokens\":[");
	for (i = 1; i < 256; i++) {
		memset(a, 'a', sizeof a);
		snprintf(a + i, sizeof a - (size_t)i, "b\",\"id\":%d},",
		    i + 1);
		textbuf_puts(&s, "{\"rstrip\":true,\"content\":\"");
		textbuf_puts(&s, a);
	}
	textbuf_puts(&s, "{\"rstrip\":true,\"lstrip\":true,\"content\":\" \","
	    "\"id\":257},{\"rstrip\":true,\"content\":\"c\",\"id\":258}]}");
	if (tokenizer_parse("prefixes", s.s, s.n, &t, &f) != 0)
		fail_msg("%s", f.message);
	textbuf_clear(&s);
	return (t);
}

/* The search for added tokens does not take quadratic time, whatever they
 * are. */
static void
added_tokens_are_found_in_time(void **state)
{
	enum { SIZE = 1 << 20 };
	static const char *const fill[] = { "a", " ", "c ", "aaaab ", "a " };
	struct tokenizer	*t = hostile_prefixes();
	char			*s = xmalloc(SIZE);
	struct idbuf		 ids = { NULL, 0, 0 };
	clock_t			 start;
	double			 seconds;
	size_t			 i, k;

	(void)state;
	for (i = 0; i < nitems(fill); i++) {
		for (k = 0; k < SIZE; k++)
			s[k] = fill[i][k % strlen(fill[i])];
		ids.n = 0;
		start = clock();
		tokenizer_encode(t, s, SIZE, 0, &ids);
		seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
		print_message("1 MiB of \"%s\": %.2f s\n", fill[i], seconds);
		assert_true(!HOSTILE_MEASURED || seconds < HOSTILE_SECONDS);
	}
	idbuf_clear(&ids);
	free(s);
	tokenizer_free(t);
}

/* A table with too many pairs of the same hash is refused and not slow. */
static void
crowded_pairs_are_refused(void **state)
{
	static struct bpe_alphabet	 alphabet;
	struct bpe			*b;
	int				 i, r = 0;

	(void)state;
	b = bpe_new(&alphabet, 400);
	for (i = 0; i < 400; i++)
		assert_int_equal(bpe_add(b, i, 7, (uint32_t)i, i), 0);
	for (; i < 1025 && r == 0; i++)
		r = bpe_add(b, i, 7, (uint32_t)i, i);
	assert_int_equal(r, CHAT_EFORMAT);
	bpe_free(b);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(hostile_files_are_refused_in_time_and_memory),
		cmocka_unit_test(added_tokens_are_found_in_time),
		cmocka_unit_test(crowded_pairs_are_refused),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
