/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets and personal data: what is found in sentences, what is not, and that
 * neither depends on where a text is cut.
 */
#include "pii.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOUND_MAX	400
#define TEXT_MAX	8000

static const struct {
	const char	*rule, *text;
} cases[] = {
#include "cases.inc"
};
#define CASES	(sizeof cases / sizeof cases[0])

struct list {
	struct pii_found	found[FOUND_MAX];
	size_t			n;
	uint64_t		offset;
};

static uint64_t	seed = 11;

/* A random number below n. */
static size_t
draw(size_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return ((size_t)(seed >> 33) % n);
}

/* Keep a finding, in bytes of the whole text. */
static void
keep(void *arg, const struct pii_found *f)
{
	struct list	*l = arg;

	assert_true(l->n < FOUND_MAX);
	assert_true(f->start < f->end && f->score > 0 && f->score <= 1);
	l->found[l->n] = *f;
	l->found[l->n].start += l->offset;
	l->found[l->n++].end += l->offset;
}

/* Copy a text without the marks that part its keys. */
static size_t
copy(char *to, const char *text)
{
	size_t	n = 0;

	for (; *text != '\0'; text++)
		if (*text != '~')
			to[n++] = *text;
	to[n] = '\0';
	return (n);
}

/* Search a whole text. */
static void
search(const struct pii *pii, const char *text, size_t len, struct list *l)
{
	struct pii_scan		scan = { 0 };
	struct pii_piece	p = { text, len, 0, 1 };

	memset(l, 0, sizeof *l);
	assert_int_equal(pii_match(pii, &scan, &p, keep, l), len);
}

/* Search a text in pieces, as the host gives them. */
static void
search_pieces(const struct pii *pii, const char *text, size_t len, size_t most,
    struct list *l)
{
	struct pii_scan		scan = { 0 };
	struct pii_piece	p;
	size_t			end = 0, from;
	char			*piece;

	memset(l, 0, sizeof *l);
	while (end < len) {
		end += 1 + draw(most);
		end = end > len ? len : end;
		while (end < len && (text[end] & 0xc0) == 0x80)
			end++;
		from = scan.pos > 300 ? draw((size_t)scan.pos - 256) : 0;
		while ((text[from] & 0xc0) == 0x80)
			from++;
		piece = strndup(text + from, end - from);
		p = (struct pii_piece){ piece, end - from, from, end == len };
		l->offset = from;
		pii_match(pii, &scan, &p, keep, l);
		free(piece);
	}
}

static void
test_sentences(void **state)
{
	struct pii	*pii = pii_new();
	char		 text[1000];
	static struct list l;
	size_t		 i, k, bad = 0, strong;

	(void)state;
	for (i = 0; i < CASES; i++) {
		search(pii, text, copy(text, cases[i].text), &l);
		for (k = strong = 0; k < l.n; k++)
			strong += l.found[k].score >= 0.5;
		if ((cases[i].rule != NULL) != (strong > 0)) {
			print_message("%s: %s\n", cases[i].rule == NULL ?
			    l.found[0].rule : "missed", text);
			bad++;
		}
	}
	pii_free(pii);
	assert_int_equal(bad, 0);
}

static void
test_cuts(void **state)
{
	struct pii	*pii = pii_new();
	char		 text[TEXT_MAX + 1000];
	static struct list whole, pieces;
	size_t		 round, len, want, i;

	(void)state;
	for (round = 0; round < 200; round++) {
		want = 200 + draw(1500);
		for (len = 0; len < want;) {
			len += copy(text + len, cases[draw(CASES)].text);
			text[len++] = " \n.,"[draw(4)];
		}
		text[len] = '\0';
		search(pii, text, len, &whole);
		search_pieces(pii, text, len, 1 + draw(60), &pieces);
		if (whole.n != pieces.n)
			fail_msg("%zu findings, in pieces %zu: %s", whole.n,
			    pieces.n, text);
		for (i = 0; i < whole.n; i++) {
			assert_string_equal(whole.found[i].rule,
			    pieces.found[i].rule);
			assert_int_equal(whole.found[i].start,
			    pieces.found[i].start);
			assert_int_equal(whole.found[i].end,
			    pieces.found[i].end);
		}
	}
	pii_free(pii);
}

static void
test_options(void **state)
{
	struct pii	*pii = pii_new();
	struct fault	 f;
	static struct list l;
	static const char text[] = "from 84.17.46.203 to 10.0.0.7";

	(void)state;
	search(pii, text, sizeof text - 1, &l);
	assert_int_equal(l.n, 1);
	pii_set_private(pii, 1);
	search(pii, text, sizeof text - 1, &l);
	assert_int_equal(l.n, 2);
	assert_int_equal(pii_add_range(pii, "84.17.0.0/16", &f), 0);
	search(pii, text, sizeof text - 1, &l);
	assert_int_equal(l.n, 1);
	assert_int_equal(pii_add_range(pii, "84.17.0.0/33", &f), CHAT_EFORMAT);
	assert_int_equal(pii_set_kind(pii, "ip", 0, &f), 0);
	search(pii, text, sizeof text - 1, &l);
	assert_int_equal(l.n, 0);
	assert_int_equal(pii_set_kind(pii, "shoes", 0, &f), CHAT_EFORMAT);
	assert_non_null(strstr(f.message, "shoes"));
	assert_true(pii_formats() >= 40);
	pii_free(pii);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_options),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
