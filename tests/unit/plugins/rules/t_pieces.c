/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts in pieces: the findings do not depend on how a text is cut, and settled
 * text stays settled.
 */
#include "rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xmalloc.h"

#define TEXT_MAX	6000
#define FOUND_MAX	4000

static const char *const categories[] = { "hate", "violence", NULL };

/* Rules of each kind. Some match more text than their span. */
static const char *const kinds[] = {
	"words: [bomb, 'two  words']",
	"words: [hack*, rope, bombs]",
	"words: bomb, unless: 'bath\\s+bomb|photo'",
	"pattern: '\\bmak\\w*\\W+(?:\\w+\\W+){0,4}bombs?\\b'",
	"pattern: 'one.{0,20}two'",
	"pattern: 'o.*?(?=\\s)'",
	"pattern: '(?<!\\w)rope\\w*'",
	"pattern: 'x+'",
	"pattern: '(?m)^bomb|two$'",
	"pattern: '^make|words\\z'",
	"pattern: '(?<=one )two'",
	"pattern: '(?<=o.)b|(?<!\\w\\w)two'",
	"pattern: '\\w+(?!\\w)'",
	"pattern: '(?=bo)|\\b(?=two)'",
	"pattern: 'two(?:\\s+two)*'",
	"pattern: 'bomb|か'",
	"near: 20, all: ['\\bone\\b', '\\btwo\\b']",
	"near: 40, all: ['two', '\\bmake\\b', 'bombs?'], unless: 'photo|x\\b'",
	"raw: true, pattern: '\\bKEY-[0-9]{4,}\\b'",
	"raw: true, pattern: '[0-9]+', unless: 'KEY'",
};

/* Pieces of random texts: words of the rules, and characters that hide or break
 * them. */
static const char *const atoms[] = {
	"bomb", "bombs", "two", "words", "hack", "rope", "make", "making",
	"bath", "photo", "one", "x", "xx", "KEY-", "12345", "7", "b", "om",
	"t", "wo", " ", " ", " ", " ", " ", "  ", "\n", "\r\n", ".", "!",
	", ", "and ", "the ", "BОMB", "во", "МВ ", "ромб ", "о", "мой ",
	"жизнь ", "b0mb", "tw0", "$", "1", "\xcc\x81", "\xe2\x80\x8b",
	"\xc2\xad", "é", "ﬁ", "Ｂ", "𝐛", "中", "文字", "か\xe3\x82\x99",
	"한", "\xe1\x84\x92\xe1\x85\xa1", "👩‍👧", "🇩🇪", "क्षि", "ß",
	"rоpе", "_", "-", "\t",
};

/* A finding, in bytes of the whole text. */
struct found {
	const struct rule	*rule;
	uint64_t		 start, end;
};

struct list {
	struct found	 found[FOUND_MAX];
	size_t		 n;
	uint64_t	 offset;	/* of the piece */
	uint64_t	 settled;	/* so far */
};

static uint64_t	seed;

/* A random number below n. */
static size_t
draw(size_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return ((size_t)(seed >> 33) % n);
}

/* Keep a finding once. A new one must not begin in settled text. */
static void
keep(void *arg, const struct rule *rule, uint64_t start, uint64_t end)
{
	struct list	*l = arg;
	struct found	 f = { rule, start + l->offset, end + l->offset };
	size_t		 i;

	for (i = 0; i < l->n; i++) {
		if (l->found[i].rule == f.rule && l->found[i].start ==
		    f.start && l->found[i].end == f.end)
			return;
	}
	if (f.start < l->settled)
		fail_msg("%s: %d-%d is new, but %d bytes were settled",
		    rule->name, (int)f.start, (int)f.end, (int)l->settled);
	assert_true(l->n < FOUND_MAX);
	l->found[l->n++] = f;
}

/* Order findings. */
static int
compare(const void *a, const void *b)
{
	const struct found	*x = a, *y = b;

	if (x->rule != y->rule)
		return (x->rule < y->rule ? -1 : 1);
	if (x->start != y->start)
		return (x->start < y->start ? -1 : 1);
	return (x->end < y->end ? -1 : x->end > y->end);
}

/* Find the start of a character at or after i. */
static size_t
character(const char *text, size_t i)
{
	while ((text[i] & 0xc0) == 0x80)
		i++;
	return (i);
}

/* Make a text of about n bytes. */
static size_t
make_text(char *text, size_t n)
{
	size_t		 len = 0, k;
	const char	*atom;

	while (len < n) {
		atom = atoms[draw(nitems(atoms))];
		k = strlen(atom);
		memcpy(text + len, atom, k);
		len += k;
	}
	text[len] = '\0';
	return (len);
}

/* Judge a text piece by piece, each of at most "most" characters' bytes. */
static void
judge_pieces(struct rules *rs, const char *text, size_t len, size_t most,
    struct list *l)
{
	struct rules_piece	 p;
	struct fault		 f;
	size_t			 judged = 0, end, from, settled;
	size_t			 window = rules_window(rs);
	char			*copy;

	l->n = 0;
	l->settled = 0;
	do {
		end = judged + 1 + draw(most);
		end = end < len ? character(text, end) : len;
		from = judged > window ? judged - window : 0;
		while (from > 0 && (text[from] & 0xc0) == 0x80)
			from--;
		copy = xstrndup(text + from, end - from);
		p = (struct rules_piece){ copy, end - from, judged - from, 0,
		    from == 0, end == len && draw(3) > 0 };
		if (l->settled > from && draw(4) > 0)
			p.settled = l->settled - from;
		l->offset = from;
		if (rules_match_piece(rs, RULE_REPLY, &p, keep, l, &settled,
		    &f) != 0)
			fail_msg("%s", f.message);
		assert_true(settled <= p.len);
		assert_true((copy[settled] & 0xc0) != 0x80);
		if (from + settled < l->settled)
			fail_msg("settled %d, then %d of %d bytes of <%.*s>",
			    (int)l->settled, (int)(from + settled), (int)end,
			    (int)(end - from), copy);
		l->settled = from + settled;
		judged = end;
		free(copy);
	} while (judged < len || !p.ends);
	assert_int_equal(l->settled, len);
}

/* Print the findings that only one of two lists has. */
static void
lists_differ(const char *text, const struct list *a, const struct list *b,
    const char *what)
{
	size_t	 i;

	for (i = 0; i < a->n; i++) {
		if (bsearch(&a->found[i], b->found, b->n, sizeof b->found[0],
		    compare) == NULL)
			fail_msg("%s of %s only: %s %d-%d in \"%.*s\"", what,
			    a->found[i].rule->name, a->found[i].rule->name,
			    (int)a->found[i].start, (int)a->found[i].end,
			    300, text + (a->found[i].start > 100 ?
			    character(text, a->found[i].start - 100) : 0));
	}
}

/* One text, in many pieces. */
static void
check_text(struct rules *rs, const char *text, size_t len, size_t most)
{
	static struct list	 whole, pieces;
	struct fault		 f;

	whole.n = whole.offset = whole.settled = 0;
	if (rules_match(rs, RULE_REPLY, text, len, keep, &whole, &f) != 0)
		fail_msg("%s", f.message);
	judge_pieces(rs, text, len, most, &pieces);
	qsort(whole.found, whole.n, sizeof whole.found[0], compare);
	qsort(pieces.found, pieces.n, sizeof pieces.found[0], compare);
	lists_differ(text, &whole, &pieces, "whole");
	lists_differ(text, &pieces, &whole, "pieces");
}

/* A pack of n of the rules above, from the first on. */
static struct rules *
make_rules(size_t first, size_t n)
{
	struct rules	*rs;
	struct fault	 f;
	char		*text, *more;

	text = xstrdup("pack: p\nrules:\n");
	for (; n > 0; n--, first++) {
		more = xasprintf("%s- {name: r%zu, category: hate, score: 1, "
		    "%s}\n", text, first, kinds[first]);
		free(text);
		text = more;
	}
	rs = rules_new(categories);
	rs->hits = SIZE_MAX;
	if (rules_parse(rs, "p.yaml", text, strlen(text), &f) != 0)
		fail_msg("%s", f.message);
	free(text);
	return (rs);
}

/* Many texts, each from a seed. */
static void
check_many(struct rules *rs, uint64_t rounds, size_t length, size_t most)
{
	static char	 text[TEXT_MAX + 64];
	uint64_t	 i;
	size_t		 len;

	for (i = 1; i <= rounds; i++) {
		seed = i * 1000003u + length;
		draw(1);
		len = make_text(text, 1 + draw(length));
		check_text(rs, text, len, most);
	}
	rules_free(rs);
}

/* Short texts. */
static void
test_any_cut_of_a_short_text_gives_the_same(void **state)
{
	(void)state;
	check_many(make_rules(0, nitems(kinds)), 1500, 200, 20);
}

static void
test_characters_one_by_one_give_the_same(void **state)
{
	(void)state;
	check_many(make_rules(0, nitems(kinds)), 500, 200, 1);
}

/* Texts that are longer than the window, which is that of the longest rule. */
static void
test_any_cut_of_a_long_text_gives_the_same(void **state)
{
	size_t	 i;

	(void)state;
	check_many(make_rules(0, nitems(kinds)), 20, TEXT_MAX, 200);
	for (i = 0; i < nitems(kinds); i++) {
		check_many(make_rules(i, 1), 10, TEXT_MAX, 40);
		check_many(make_rules(i, 1), 20, 2000, 4);
	}
}

/* Remove the sets of first bytes, so that PCRE2 runs at each place. */
static void
forget_first(struct rules *rs)
{
	size_t	 i, k;

	for (i = 0; i < rs->n; i++) {
		for (k = 0; k < rs->list[i].n; k++) {
			free(rs->list[i].look[k].first);
			rs->list[i].look[k].first = NULL;
		}
		free(rs->list[i].unless.first);
		rs->list[i].unless.first = NULL;
	}
}

/* Match a text with the rules a and b, and compare the findings. */
static void
check_first(struct rules *a, struct rules *b, const char *text, size_t len)
{
	static struct list	 with, without;
	struct fault		 f;
	size_t			 i;

	with.n = without.n = 0;
	if (rules_match(a, RULE_REPLY, text, len, keep, &with, &f) != 0 ||
	    rules_match(b, RULE_REPLY, text, len, keep, &without, &f) != 0)
		fail_msg("%s", f.message);
	for (i = 0; i < without.n; i++)
		without.found[i].rule = a->list + (without.found[i].rule -
		    b->list);
	qsort(with.found, with.n, sizeof with.found[0], compare);
	qsort(without.found, without.n, sizeof with.found[0], compare);
	lists_differ(text, &with, &without, "with");
	lists_differ(text, &without, &with, "without");
}

/* Patterns with a set of first bytes match the same as without, in texts made
 * of their own letters. */
static void
test_the_beginnings_of_patterns_are_complete(void **state)
{
	static const char *const tricky[] = {
		"a{2}b|c{0,2}d|(?:e?){2}f", "[^a-y]b|\\Bz", "[\\w.-]c|[\\.-/]d",
		"(?i:K)x|(?i)s[k-m]", "(?:\\ba|b)c|\\bd", "(?:\\ba)?b",
		"(?>a|ab)c", "(?<n>x)(?=y)", "(?=a)\\w\\Wb", "a++b|a*?c",
		"\\x61b|c", "(?#no)ab", "(?<q>a)\\k<q>b", "(?<!a)b(?!c)d",
		"a\\Q(\\E|b", "[]a]b|[^]a]\\d", "a(?:|b)c", "\\bé|ſa|a{,2}b",
		"(?:(?:a|)(?:b|))c", "a|b\\b", "[[:alpha:]]b", "(?s)a.b|.\\nc",
		"\\p{L}b|\\pLc", "(?x) a b # c", "(?:c(?R)|a)b", "\\$a|\\{b|{c",
		"(?:ab|cd)+x?", "\\b(?:ab|c)d\\b|ks", "a[bc]{2}d|[sk]{2}",
		"(?:x\\W+)?ab|\\bs\\W", "\\bks\\b|\\bkk",
		"(?i)sk|x[^a]{0,40}ks\\b",
		"a\\W+(?:\\w+\\W+){0,3}(?:bc|\\bde)\\b", "(?:a|b\\w*)c(?!d)",
		"x\\s*(?:ab|y\\b)", "(?:(?:ab)?c|d{2,3})e", "\\w{1,70}ab\\b",
	};
	static const char *const letters[] = { "a", "b", "c", "d", "e", "f",
		"x", "y", "z", "k", "s", "m", "K", "S", " ", ".", "-", "/",
		"{", "$", "(", "]", "\n", "1", "é", "ſ", "K", "ab" };
	struct rules	*a, *b;
	struct fault	 f;
	char		*pack, text[600];
	size_t		 i, k, n;
	int		 raw;

	(void)state;
	for (i = 0; i < 2 * nitems(tricky); i++) {
		raw = i % 2 == 0;
		pack = xasprintf("pack: p\nrules:\n- name: r\n  category: "
		    "hate\n  score: 1\n  raw: %s\n  pattern: '%s'\n",
		    raw ? "true" : "false", tricky[i / 2]);
		a = rules_new(categories);
		b = rules_new(categories);
		a->hits = b->hits = SIZE_MAX;
		if (rules_parse(a, "p", pack, strlen(pack), &f) != 0 ||
		    rules_parse(b, "p", pack, strlen(pack), &f) != 0) {
			/* Folded text does not have these letters. */
			if (raw)
				fail_msg("%s: %s", tricky[i / 2], f.message);
		} else {
			forget_first(b);
			for (seed = k = 0; k < 200; k++) {
				for (n = 0; n < 100;)
					n += (size_t)snprintf(text + n, 9, "%s",
					    letters[draw(nitems(letters))]);
				check_first(a, b, text, n);
			}
		}
		free(pack);
		rules_free(a);
		rules_free(b);
	}
}

/* The same for the rules above. */
static void
test_the_beginnings_of_rules_are_complete(void **state)
{
	static char	 text[TEXT_MAX + 64];
	struct rules	*a = make_rules(0, nitems(kinds));
	struct rules	*b = make_rules(0, nitems(kinds));
	size_t		 i, len;

	(void)state;
	forget_first(b);
	for (i = 1; i < 1000; i++) {
		seed = i;
		len = make_text(text, 1 + draw(400));
		check_first(a, b, text, len);
	}
	rules_free(a);
	rules_free(b);
}

/* Run them. */
int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_cut_of_a_short_text_gives_the_same),
		cmocka_unit_test(test_characters_one_by_one_give_the_same),
		cmocka_unit_test(test_any_cut_of_a_long_text_gives_the_same),
		cmocka_unit_test(test_the_beginnings_of_patterns_are_complete),
		cmocka_unit_test(test_the_beginnings_of_rules_are_complete),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
