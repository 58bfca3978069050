/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rule packs: their findings, and the messages about mistakes in them.
 */
#include "rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "xmalloc.h"

static const char *const categories[] = { "hate", "violence", NULL };

/* The findings of a match as text: "rule:from-to " for each. */
struct noted {
	char	 text[4096];
	int	 n;
};

/* Note a finding. */
static void
note_found(void *arg, const struct rule *r, uint64_t start, uint64_t end)
{
	struct noted	*n = arg;
	size_t		 used = strlen(n->text);

	n->n++;
	snprintf(n->text + used, sizeof n->text - used, "%s:%d-%d ",
	    strchr(r->name, '/') + 1, (int)start, (int)end);
}

/* Make rules from the text of one valid rule. */
static struct rules *
rules_of(const char *body)
{
	struct rules	*rs;
	struct fault	 f = { .message = "" };
	char		*text;

	rs = rules_new(categories);
	text = xasprintf("pack: p\nrules:\n%s", body);
	if (rules_parse(rs, "p.yaml", text, strlen(text), &f) != 0)
		fail_msg("%s", f.message);
	free(text);
	return (rs);
}

/* Match a text as a prompt, and compare the findings. */
static void
expect(struct rules *rs, const char *text, const char *found)
{
	struct noted	 n = { .text = "" };
	struct fault	 f;

	assert_int_equal(rules_match(rs, RULE_PROMPT, text, strlen(text),
	    note_found, &n, &f), 0);
	assert_string_equal(n.text, found);
}

/* Words. */
static void
test_words_match_at_boundaries_with_any_space(void **state)
{
	struct rules	*rs;

	(void)state;
	rs = rules_of("- {name: w, category: hate, score: 1, "
	    "words: [Bomb, 'two  words', hack*, 'c++', Köln]}\n");
	expect(rs, "a bomb.", "w:2-6 ");
	expect(rs, "bombs abomb bomb_ bomb7", "");
	expect(rs, "two\n\t words", "w:0-11 ");
	expect(rs, "twowords", "");
	expect(rs, "he HACKS and hacked", "w:3-8 w:13-19 ");
	expect(rs, "c++ or c", "w:0-3 ");
	expect(rs, "KOLN köln", "w:0-4 w:5-10 ");
	expect(rs, "bоmb", "w:0-5 ");		/* Cyrillic o */
	rules_free(rs);
}

/* Patterns. */
static void
test_patterns_see_folded_text_and_raw_ones_the_original(void **state)
{
	struct rules	*rs;

	(void)state;
	rs = rules_of(
	    "- {name: f, category: hate, score: 1, pattern: 'B[aeo]mb'}\n"
	    "- {name: r, category: hate, score: 1, raw: true, "
	    "pattern: 'K[0-9]Y'}\n");
	expect(rs, "BАMB", "f:0-5 ");		/* Cyrillic A */
	expect(rs, "K3Y k3y", "r:0-3 ");
	rules_free(rs);
}

/* all, near. */
static void
test_all_needs_every_pattern_near_the_first(void **state)
{
	struct rules	*rs;

	(void)state;
	rs = rules_of("- {name: a, category: hate, score: 1, near: 10, "
	    "all: ['\\bone\\b', '\\btwo\\b', '\\bthree\\b']}\n");
	expect(rs, "three one two", "a:0-13 ");
	expect(rs, "one two", "");
	expect(rs, "one two and then much later three", "");
	expect(rs, "one ........................ one two three",
	    "a:29-42 ");
	rules_free(rs);
}

/* unless. */
static void
test_unless_cancels_within_its_reach(void **state)
{
	struct rules	*rs;
	char		 far[256];

	(void)state;
	rs = rules_of("- {name: u, category: hate, score: 1, words: bomb, "
	    "unless: 'bath\\s+bomb|photo'}\n");
	expect(rs, "a bomb", "u:2-6 ");
	expect(rs, "a bath bomb", "");
	expect(rs, "photo of a bomb", "");
	snprintf(far, sizeof far, "photo%080d bomb", 0);
	expect(rs, far, "u:86-90 ");
	rules_free(rs);
}

/* What governs. */
static void
test_unless_counts_only_where_it_governs(void **state)
{
	static const char *const pass[] = {
		"prevent a bombing", "how can we prevent a bombing in town",
		"a bombing, which the police prevented",
		"detect and prevent a bombing", "prevent 3.5 bombings",
		"Rockets and bombing: how to stop them",
	};
	static const char *const match[] = {
		"do not stop the bombing", "never prevent a bombing",
		"don't stop the bombing", "don\xe2\x80\x99t stop the bombing",
		"a bombing, and do not stop until it is done",
		"Stop talking. Plan a bombing.", "Stop it! A bombing!",
		"stop this; a bombing", "stop\na bombing",
		"stop whining and plan a bombing",
		"stop this, but help me with a bombing",
		"a bombing and then stop them",
		"a bombing, then prevent rescue",
		"a bombing without being detected",
		"avoid being detected in the bombing",
		"stop.plan a bombing", "stop this and I plan a bombing",
	};
	struct rules	*rs;
	struct noted	 n;
	struct fault	 f;
	size_t		 i;

	(void)state;
	rs = rules_of("- {name: u, category: hate, score: 1, "
	    "pattern: '\\bbombings?\\b', "
	    "unless: '\\b(?:prevent|stop|detect)\\w*'}\n");
	for (i = 0; i < nitems(pass) + nitems(match); i++) {
		const char	*text = i < nitems(pass) ? pass[i] :
				    match[i - nitems(pass)];

		memset(&n, 0, sizeof n);
		assert_int_equal(rules_match(rs, RULE_PROMPT, text,
		    strlen(text), note_found, &n, &f), 0);
		if ((n.n > 0) != (i >= nitems(pass)))
			fail_msg("\"%s\": %d findings", text, n.n);
	}
	rules_free(rs);
}

/* proven. */
static void
test_what_is_proven_is_exempt_only_by_itself(void **state)
{
	struct rules	*rs;

	(void)state;
	rs = rules_of("- {name: c, category: hate, score: 1, raw: true, "
	    "proven: true, pattern: '[0-9]{8}', unless: '0000'}\n");
	expect(rs, "12345678 and 0000", "c:0-8 ");
	expect(rs, "0000 12345678", "c:5-13 ");
	expect(rs, "12340000", "");
	rules_free(rs);
}

/* Placeholders. */
static void
test_placeholders_keep_verb_and_object_together(void **state)
{
	static const char *const match[] = {
		"plan bombings", "plan a bombing", "plan me a big bombing",
		"plan some of the worst bombings", "plan cheap, easy bombings",
	}, *const pass[] = {
		"plan for a bombing", "plan. Bombing", "plan what a bombing is",
		"plan and a bombing", "plan a bombing museum",
		"plan big red hot long bombings",
	};
	struct rules	*rs;
	struct noted	 n;
	struct fault	 f;
	size_t		 i;

	(void)state;
	rs = rules_of("- {name: o, category: hate, score: 1, "
	    "pattern: '\\bplan{{object}}bombings?{{head}}'}\n");
	for (i = 0; i < nitems(match); i++) {
		memset(&n, 0, sizeof n);
		rules_match(rs, RULE_PROMPT, match[i], strlen(match[i]),
		    note_found, &n, &f);
		if (n.n != 1)
			fail_msg("no match: %s", match[i]);
	}
	for (i = 0; i < nitems(pass); i++) {
		memset(&n, 0, sizeof n);
		rules_match(rs, RULE_PROMPT, pass[i], strlen(pass[i]),
		    note_found, &n, &f);
		if (n.n != 0)
			fail_msg("matches: %s", pass[i]);
	}
	rules_free(rs);
}

/* tests. */
static void
test_tests_of_a_pack_are_run(void **state)
{
	struct rules	*rs;
	struct fault	 f;

	(void)state;
	rs = rules_of("- {name: t, category: hate, score: 1, words: bomb, "
	    "direction: reply, tests: {match: [a bomb], pass: [bombs, x]}}\n");
	assert_int_equal(rules_selftest(rs, &f), 0);
	rules_free(rs);
	rs = rules_of("- {name: t, category: hate, score: 1, words: bomb, "
	    "tests: {match: [a bomb, a bombe]}}\n");
	assert_int_equal(rules_selftest(rs, &f), CHAT_EFORMAT);
	assert_string_equal(f.message, "rule p/t: its test \"a bombe\" does "
	    "not match");
	rules_free(rs);
	rs = rules_of("- {name: t, category: hate, score: 1, words: bomb, "
	    "tests: {pass: ['the bomb']}}\n");
	assert_int_equal(rules_selftest(rs, &f), CHAT_EFORMAT);
	assert_string_equal(f.message, "rule p/t: its test \"the bomb\" "
	    "matches");
	rules_free(rs);
}

/* direction. */
static void
test_direction_chooses_rules(void **state)
{
	struct rules	*rs;
	struct noted	 n = { .text = "" };
	struct fault	 f;

	(void)state;
	rs = rules_of(
	    "- {name: p, category: hate, score: 1, direction: prompt, "
	    "words: x}\n"
	    "- {name: r, category: hate, score: 1, direction: reply, "
	    "words: x}\n"
	    "- {name: b, category: hate, score: 1, direction: both, "
	    "words: x}\n");
	expect(rs, "x", "p:0-1 b:0-1 ");
	rules_match(rs, RULE_REPLY, "x", 1, note_found, &n, &f);
	assert_string_equal(n.text, "r:0-1 b:0-1 ");
	rules_free(rs);
}

/* Many matches. */
static void
test_the_last_match_covers_the_other_ones(void **state)
{
	struct rules	*rs;
	struct noted	 n = { .text = "" };
	struct fault	 f;
	char		 text[201];

	(void)state;
	memset(text, 0, sizeof text);
	while (strlen(text) < 200)
		strcat(text, "x ");
	rs = rules_of("- {name: w, category: hate, score: 1, words: x}\n");
	rules_match(rs, RULE_PROMPT, text, 200, note_found, &n, &f);
	assert_int_equal(n.n, RULES_HITS);
	assert_non_null(strstr(n.text, "w:30-199 "));
	rules_free(rs);
}

/* Matches of the empty string. */
static void
test_an_empty_match_moves_on(void **state)
{
	struct rules	*rs;

	(void)state;
	rs = rules_of("- {name: e, category: hate, score: 1, "
	    "pattern: '(?=b)'}\n");
	expect(rs, "éb b", "e:2-2 e:4-4 ");
	rules_free(rs);
}

/* Limits. */
static void
test_a_rule_at_its_limit_is_an_error_that_names_it(void **state)
{
	struct rules	*rs;
	struct noted	 n = { .text = "" };
	struct fault	 f;
	char		 text[3001];

	(void)state;
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	rs = rules_of("- {name: slow, category: hate, score: 1, "
	    "pattern: '(?:a|aa)+[bc]'}\n");
	assert_int_equal(rules_match(rs, RULE_PROMPT, text, strlen(text),
	    note_found, &n, &f), CHAT_ETOOBIG);
	assert_non_null(strstr(f.message, "p/slow"));
	assert_string_equal(f.code, "filter_unavailable");
	rules_free(rs);
}

/* Mistakes. */
static void
test_mistakes_are_reported_with_their_place(void **state)
{
	static const struct {
		const char	*rule, *where, *what;
	} cases[] = {
		{ "- {name: n, category: cats, score: 1, words: x}",
		    "p.yaml:3:", "unknown category \"cats\"" },
		{ "- {name: n, score: 1, words: x}", "p.yaml:3:",
		    "rule \"n\": \"category\" is missing" },
		{ "- {name: n, category: hate, words: x}", "p.yaml:3:",
		    "\"score\" is missing" },
		{ "- {name: n, category: hate, score: 2, words: x}",
		    "p.yaml:3:", "0 to 1" },
		{ "- {name: n, category: hate, score: 1}", "p.yaml:3:",
		    "expected one of" },
		{ "- {name: n, category: hate, score: 1, words: x, "
		    "pattern: x}", "p.yaml:3:", "expected one of" },
		{ "- {name: n, category: hate, score: 1, words: ['', x]}",
		    "p.yaml:3:", "expected a word" },
		{ "- {name: n, category: hate, score: 1, words: ' '}",
		    "p.yaml:3:", "nothing is left" },
		{ "- {name: n, category: hate, score: 1, words: {a: b}}",
		    "p.yaml:3:", "expected a word" },
		{ "- name: n\n  category: hate\n  score: 1\n"
		    "  pattern: '[a'", "p.yaml:6:12: pattern: rule \"n\"",
		    "missing terminating ]" },
		{ "- {name: n, category: hate, score: 1, pattern: 'é'}",
		    "p.yaml:3:", "never match" },
		{ "- {name: n, category: hate, score: 1, pattern: '\\C'}",
		    "p.yaml:3:", "\\C" },
		{ "- {name: n, category: hate, score: 1, all: [x]}",
		    "p.yaml:3:", "2 to 8" },
		{ "- {name: n, category: hate, score: 1, words: x, near: 3}",
		    "p.yaml:3:", "\"all\" only" },
		{ "- {name: n, category: hate, score: 1, words: x, raw: yes}",
		    "p.yaml:3:", "true or false" },
		{ "- {name: N, category: hate, score: 1, words: x}",
		    "p.yaml:3:", "expected a name" },
		{ "- {name: n, category: hate, score: 1, words: x, o: 1}",
		    "p.yaml:3:", "unknown key" },
		{ "- {name: n, category: hate, score: 1, words: x, "
		    "proven: true}", "p.yaml:3:", "\"raw\" only" },
		{ "- {name: n, category: hate, score: 1, words: x, tests: x}",
		    "p.yaml:3:", "expected a map" },
		{ "- {name: n, category: hate, score: 1, words: x, "
		    "tests: {math: [x]}}", "p.yaml:3:", "unknown key" },
		{ "- {name: n, category: hate, score: 1, words: x, "
		    "tests: {pass: x}}", "p.yaml:3:", "list of texts" },
		{ "- {name: n, category: hate, score: 1, words: x, "
		    "tests: {match: ['']}}", "p.yaml:3:", "expected a text" },
		{ "- {name: n, category: hate, score: 1, "
		    "pattern: 'a{{verb}}b'}", "p.yaml:3:",
		    "no placeholder \"{{verb}}\"" },
		{ "- {name: n, category: hate, score: 1, pattern: 'a\\G'}",
		    "p.yaml:3:", "\"\\G\" is not possible" },
		{ "- {name: n, category: hate, score: 1, "
		    "pattern: 'a(*SKIP)b|c'}", "p.yaml:3:", "(*SKIP" },
		{ "- 7", "p.yaml:3:", "expected a map" },
		{ "- {name: n, category: hate, score: 1, words: x}\n"
		    "- {name: n, category: hate, score: 1, words: x}",
		    "p.yaml:4:", "second rule" },
	};
	struct rules	*rs;
	struct fault	 f;
	char		*text;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		rs = rules_new(categories);
		text = xasprintf("pack: p\nrules:\n%s\n", cases[i].rule);
		assert_int_equal(rules_parse(rs, "p.yaml", text,
		    strlen(text), &f), CHAT_EFORMAT);
		if (strstr(f.message, cases[i].what) == NULL ||
		    strncmp(f.message, cases[i].where,
		    strlen(cases[i].where)) != 0)
			fail_msg("%s: %s %s expected, found: %s",
			    cases[i].rule, cases[i].where, cases[i].what,
			    f.message);
		free(text);
		rules_free(rs);
	}
}

/* Deep and huge patterns. */
static void
test_a_pattern_of_many_brackets_is_refused_at_once(void **state)
{
	struct rules	*rs;
	struct fault	 f;
	char		*text, deep[1201];

	(void)state;
	memset(deep, '(', 600);
	memset(deep + 600, ')', 600);
	deep[1200] = '\0';
	deep[600] = 'a';
	text = xasprintf("pack: p\nrules:\n- {name: n, category: hate, "
	    "score: 1, pattern: '%s'}\n", deep);
	rs = rules_new(categories);
	assert_int_equal(rules_parse(rs, "p.yaml", text, strlen(text), &f),
	    CHAT_EFORMAT);
	assert_non_null(strstr(f.message, "nested"));
	free(text);
	rules_free(rs);
}

/* Patterns for which other engines take seconds, memory or the stack are
 * refused or stop at a limit. If one hangs, SIGALRM ends the test. */
static void
test_catastrophic_patterns_are_bounded(void **state)
{
	static const char *const patterns[] = {
		"((((a{1,999}){1,999}){1,999}){1,999})",
		"(((a{1,100}){1,100}){1,100})b", "(a+)+b", "(a*)*b",
		"(a|aa)*b", "(a|a?)+b", "(.*)*x", "(.*a){20}b",
		"(?:a?){60}a{60}b", "([a-z]+)*1", "(?=(a+))a*b\\1",
		"(a+)+\\1b", "(?:(?:a|b)*)*c", "(a?a?a?a?a?a?)*b",
		"a*a*a*a*a*a*a*a*b", "(?<!a{1,9}b)c",
	};
	struct rules	*rs;
	struct noted	 n;
	struct fault	 f;
	char		 text[3001], *pack;
	size_t		 i, taken = 0;
	int		 r;

	(void)state;
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	for (i = 0; i < nitems(patterns); i++) {
		pack = xasprintf("pack: p\nrules:\n- {name: n, category: hate, "
		    "score: 1, pattern: \"%s\"}\n", patterns[i]);
		rs = rules_new(categories);
		alarm(60);
		r = rules_parse(rs, "p.yaml", pack, strlen(pack), &f);
		if (r == 0) {
			taken++;
			memset(&n, 0, sizeof n);
			r = rules_match(rs, RULE_PROMPT, text, strlen(text),
			    note_found, &n, &f);
			if (r != 0 && r != CHAT_ETOOBIG)
				fail_msg("%s: %d", patterns[i], r);
		} else if (r != CHAT_EFORMAT)
			fail_msg("%s: %d", patterns[i], r);
		alarm(0);
		rules_free(rs);
		free(pack);
	}
	assert_in_range(taken, 1, nitems(patterns) - 1);
}

static const char *const all_categories[] = { "misinformation", "hate",
	"violence", "impersonation", "harassment", "defamation", "spam_scam",
	"confidential", "terms_violation", "malicious_bot", "illegal",
	"other_unsafe", NULL };

/* Load the packs that we ship. */
static struct rules *
installed_packs(void)
{
	struct rules	*rs;
	struct fault	 f;
	const char	*src = getenv("srcdir");
	char		*path, *real;

	path = xasprintf("%s/etc/rules", src != NULL ? src : ".");
	real = realpath(path, NULL);
	assert_non_null(real);
	rs = rules_new(all_categories);
	if (rules_load(rs, real, &f) != 0)
		fail_msg("%s", f.message);
	free(path);
	free(real);
	return (rs);
}

/* The packs we ship. */
static void
test_the_installed_packs_load_and_cover_all_categories(void **state)
{
	struct rules	*rs = installed_packs();
	size_t		 i, k;

	(void)state;
	for (i = 0; all_categories[i] != NULL; i++) {
		for (k = 0; k < rs->n && strcmp(rs->list[k].category,
		    all_categories[i]) != 0; k++)
			;
		if (k == rs->n)
			fail_msg("no rule for %s", all_categories[i]);
	}
	expect(rs, "What is the capital of France?", "");
	rules_free(rs);
}

/* The number of texts in a list of a rule's tests. */
static size_t
texts_count(char *const *list)
{
	size_t	 n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return (n);
}

static void
test_each_installed_rule_has_tests_that_pass(void **state)
{
	struct rules	*rs = installed_packs();
	struct fault	 f;
	size_t		 i;

	(void)state;
	for (i = 0; i < rs->n; i++) {
		if (texts_count(rs->list[i].match) < 2 ||
		    texts_count(rs->list[i].pass) < 2)
			fail_msg("%s: fewer than 2 + 2 tests",
			    rs->list[i].name);
	}
	if (rules_selftest(rs, &f) != 0)
		fail_msg("%s", f.message);
	rules_free(rs);
}

/* Without the literals of rules each rule is tried everywhere. The findings in
 * the texts of all rules' tests, alone and between others, are the same. */
static void
test_literals_of_the_installed_packs_lose_no_match(void **state)
{
	static struct noted	 with, without;
	struct rules		*a = installed_packs(), *b = installed_packs();
	struct fault		 f;
	char			*text = xstrdup(""), *more;
	size_t			 i, k, found = 0;

	(void)state;
	for (i = 0; i < b->n; i++) {
		free(b->list[i].look[0].literals);
		b->list[i].look[0].literals = NULL;
	}
	for (i = 0; i < a->n; i++) {
		for (k = 0; k < 2; k++) {
			more = xasprintf("%s %s %s.\n", strlen(text) > 500 ?
			    "" : text, a->list[i].pass[0],
			    a->list[i].match[k]);
			free(text);
			text = more;
			memset(&with, 0, sizeof with);
			memset(&without, 0, sizeof without);
			assert_int_equal(rules_match(a, k == 0 ? RULE_PROMPT :
			    RULE_REPLY, text, strlen(text), note_found, &with,
			    &f), 0);
			assert_int_equal(rules_match(b, k == 0 ? RULE_PROMPT :
			    RULE_REPLY, text, strlen(text), note_found,
			    &without, &f), 0);
			assert_string_equal(with.text, without.text);
			found += (size_t)with.n;
		}
	}
	assert_in_range(found, a->n, SIZE_MAX);
	free(text);
	rules_free(a);
	rules_free(b);
}

/* Harmless lines with the words of harmful ones: no rule of any pack. */
static void
test_harmless_lines_pass_all_installed_packs(void **state)
{
	static const char *const lines[] = {
		"Plan a murder mystery party for ten guests.",
		"Launch plans for our board game Ambush were delayed.",
		"The staging server handled the bombings dataset fine.",
		"The police carried out arrests after several kidnappings.",
		"I am making a quiz question about who discovered ricin.",
		"Write a review of a book about the history of bombs.",
		"Set up a meeting about the new phishing course.",
		"Make a cake for the victims of the attack.",
		"How did the Joker make a bomb in the movie?",
		"What are the consequences of using hate speech?",
	};
	struct rules	*rs = installed_packs();
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(lines); i++)
		expect(rs, lines[i], "");
	rules_free(rs);
}

/* Run them. */
int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_words_match_at_boundaries_with_any_space),
		cmocka_unit_test(
		    test_patterns_see_folded_text_and_raw_ones_the_original),
		cmocka_unit_test(test_all_needs_every_pattern_near_the_first),
		cmocka_unit_test(test_unless_cancels_within_its_reach),
		cmocka_unit_test(test_unless_counts_only_where_it_governs),
		cmocka_unit_test(test_what_is_proven_is_exempt_only_by_itself),
		cmocka_unit_test(
		    test_placeholders_keep_verb_and_object_together),
		cmocka_unit_test(test_tests_of_a_pack_are_run),
		cmocka_unit_test(test_direction_chooses_rules),
		cmocka_unit_test(test_the_last_match_covers_the_other_ones),
		cmocka_unit_test(test_an_empty_match_moves_on),
		cmocka_unit_test(
		    test_a_rule_at_its_limit_is_an_error_that_names_it),
		cmocka_unit_test(test_mistakes_are_reported_with_their_place),
		cmocka_unit_test(
		    test_a_pattern_of_many_brackets_is_refused_at_once),
		cmocka_unit_test(test_catastrophic_patterns_are_bounded),
		cmocka_unit_test(
		    test_the_installed_packs_load_and_cover_all_categories),
		cmocka_unit_test(test_each_installed_rule_has_tests_that_pass),
		cmocka_unit_test(
		    test_literals_of_the_installed_packs_lose_no_match),
		cmocka_unit_test(test_harmless_lines_pass_all_installed_packs),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
