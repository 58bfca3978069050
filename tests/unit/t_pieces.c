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

/* One of each kind, some with a span that is short for what they match. */
static const char pack[] =
    "pack: p\nrules:\n"
    "- {name: w1, category: hate, score: 1, words: [bomb, 'two  words']}\n"
    "- {name: w2, category: hate, score: 1, words: [hack*, rope, bombs]}\n"
    "- {name: w3, category: hate, score: 1, words: bomb, "
    "unless: 'bath\\s+bomb|photo'}\n"
    "- {name: f1, category: hate, score: 1, pattern: '\\bmak\\w*\\W+"
    "(?:\\w+\\W+){0,4}bombs?\\b'}\n"
    "- {name: f2, category: hate, score: 1, pattern: 'one.{0,20}two'}\n"
    "- {name: f3, category: hate, score: 1, pattern: 'o.*?(?=\\s)'}\n"
    "- {name: f4, category: hate, score: 1, pattern: '(?<!\\w)rope\\w*'}\n"
    "- {name: f5, category: hate, score: 1, pattern: 'x+'}\n"
    "- {name: f6, category: hate, score: 1, pattern: '(?m)^bomb|two$'}\n"
    "- {name: f7, category: hate, score: 1, pattern: '^make|words\\z'}\n"
    "- {name: f8, category: hate, score: 1, pattern: '(?<=one )two'}\n"
    "- {name: f9, category: hate, score: 1, pattern: '\\w+(?!\\w)'}\n"
    "- {name: e1, category: hate, score: 1, pattern: '(?=bo)|\\b(?=two)'}\n"
    "- {name: e2, category: hate, score: 1, pattern: 'two(?:\\s+two)*'}\n"
    "- {name: a1, category: hate, score: 1, near: 20, "
    "all: ['\\bone\\b', '\\btwo\\b']}\n"
    "- {name: a2, category: hate, score: 1, near: 40, "
    "all: ['two', '\\bmake\\b', 'bombs?'], unless: 'photo|x\\b'}\n"
    "- {name: r1, category: hate, score: 1, raw: true, "
    "pattern: '\\bKEY-[0-9]{4,}\\b'}\n"
    "- {name: r2, category: hate, score: 1, raw: true, "
    "pattern: '[0-9]+', unless: 'KEY'}\n";

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
		p = (struct rules_piece){ copy, end - from, judged - from,
		    from == 0, end == len && draw(3) > 0 };
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

/* The rules above. */
static struct rules *
make_rules(void)
{
	struct rules	*rs;
	struct fault	 f;

	rs = rules_new(categories);
	rs->hits = SIZE_MAX;
	if (rules_parse(rs, "p.yaml", pack, strlen(pack), &f) != 0)
		fail_msg("%s", f.message);
	return (rs);
}

/* Many cases, each from a seed. */
static void
check_many(uint64_t rounds, size_t length, size_t most)
{
	static char	 text[TEXT_MAX + 64];
	struct rules	*rs = make_rules();
	const char	*one = getenv("PIECES_SEED");
	uint64_t	 i;
	size_t		 len;

	for (i = one != NULL ? strtoull(one, NULL, 10) : 1; i <= rounds;
	    i++) {
		seed = i * 1000003u + length;
		draw(1);
		len = make_text(text, 1 + draw(length));
		if (getenv("PIECES_SEED") != NULL)
			print_message("seed %d: %zu bytes\n", (int)i, len);
		check_text(rs, text, len, most);
		if (one != NULL)
			break;
	}
	rules_free(rs);
}

/* Short texts. */
static void
test_any_cut_of_a_short_text_tells_the_same(void **state)
{
	(void)state;
	check_many(1500, 200, 20);
}

static void
test_characters_one_by_one_tell_the_same(void **state)
{
	(void)state;
	check_many(500, 200, 1);
}

/* Texts that are longer than the window. */
static void
test_any_cut_of_a_long_text_tells_the_same(void **state)
{
	(void)state;
	check_many(30, TEXT_MAX, 200);
	check_many(8, TEXT_MAX, 8);
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
