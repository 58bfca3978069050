/*
 * Texts in pieces: however a text is cut, its pieces tell what the whole text
 * tells, and what is settled stays so.
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

/* What rules look for: one of each kind, some with a span that is short for
 * what they match. */
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

/* Rule words, and what hides or breaks them. */
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

/* Keep a finding once. A new one must not begin in what was settled. */
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

/* The next character's start at or behind i. */
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

/* Print what one of two lists has more. */
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
test_any_cut_of_a_short_text_tells_the_same(void **state)
{
	(void)state;
	check_many(make_rules(0, nitems(kinds)), 1500, 200, 20);
}

static void
test_characters_one_by_one_tell_the_same(void **state)
{
	(void)state;
	check_many(make_rules(0, nitems(kinds)), 500, 200, 1);
}

/* Texts that are longer than the window, which is that of the longest rule. */
static void
test_any_cut_of_a_long_text_tells_the_same(void **state)
{
	size_t	 i;

	(void)state;
	check_many(make_rules(0, nitems(kinds)), 20, TEXT_MAX, 200);
	for (i = 0; i < nitems(kinds); i++) {
		check_many(make_rules(i, 1), 10, TEXT_MAX, 40);
		check_many(make_rules(i, 1), 20, 2000, 4);
	}
}

/* Run them. */
int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_cut_of_a_short_text_tells_the_same),
		cmocka_unit_test(test_characters_one_by_one_tell_the_same),
		cmocka_unit_test(test_any_cut_of_a_long_text_tells_the_same),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
