/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generated dialogues: a seed gives the same document again; training never
 * gets what is held out and tests get nothing else; the answers of tasks are in
 * their texts; a mistake in a template is reported with its place.
 */
#include "gen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine_data.h"
#include "xmalloc.h"

#define TEMPLATES	"../../engine/mini/templates"
#define DOCUMENTS	400

static struct gen	*gen;

/* Open the templates of etc/mini.yaml, without a corpus. */
static int
setup(void **state)
{
	char		*path = data_path(TEMPLATES);
	struct fault	 f;
	int		 r = gen_open(path, NULL, &gen, &f);

	(void)state;
	if (r != 0)
		fprintf(stderr, "%s\n", f.message);
	free(path);
	return (r);
}

/* Close them. */
static int
teardown(void **state)
{
	(void)state;
	gen_free(gen);
	return (0);
}

/* A folder with one template file. Owned; discard removes it. */
static char *
folder(const char *text)
{
	char	*dir = xstrdup("/tmp/t_gen.XXXXXX"), *path;
	FILE	*f;

	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/a.txt", dir);
	assert_non_null(f = fopen(path, "w"));
	fputs(text, f);
	fclose(f);
	free(path);
	return (dir);
}

/* Remove it. */
static void
discard(char *dir)
{
	char	*path = xasprintf("%s/a.txt", dir);

	unlink(path);
	rmdir(dir);
	free(path);
	free(dir);
}

/* Does a document have this text? */
static int
has(const struct gen_doc *doc, const char *s)
{
	size_t	 i;

	for (i = 0; i < doc->n; i++)
		if (strstr(doc->turn[i].text, s) != NULL)
			return (1);
	return (0);
}

static void
test_a_seed_gives_the_same_document(void **state)
{
	struct gen_doc	 a, b;
	uint64_t	 i;
	size_t		 k;

	(void)state;
	for (i = 0; i < 50; i++) {
		gen_document(gen, i, 600, 0, &a);
		gen_document(gen, i, 600, 0, &b);
		assert_int_equal(a.n, b.n);
		assert_true(a.n > 1);
		for (k = 0; k < a.n; k++)
			assert_string_equal(a.turn[k].text, b.turn[k].text);
		gen_doc_clear(&a);
		gen_doc_clear(&b);
	}
}

static void
test_training_and_tests_share_no_phrasing(void **state)
{
	static const char text[] =
	    "@talk tell-x 1\n\n> seen {name:X}\n~ > held {name:X}\n< ok\n"
	    "@talk ask-x 1\nif X\n\n> seen?\n~ > held?\n< {$X}\n"
	    "@talk other 1\n\n> other\n< yes\n";
	char		*dir = folder(text);
	struct gen	*g;
	struct gen_doc	 doc;
	struct fault	 f;
	const char	*family;
	uint64_t	 i;
	size_t		 k;

	(void)state;
	if (gen_open(dir, NULL, &g, &f) != 0)
		fail_msg("%s", f.message);
	for (i = 0; i < DOCUMENTS; i++) {
		gen_document(g, i, 100, 0, &doc);
		assert_false(has(&doc, "held"));
		gen_doc_clear(&doc);
		assert_int_equal(gen_test(g, "memory", i, &doc, &family), 0);
		assert_false(has(&doc, "seen"));
		k = doc.n - 1;
		assert_int_equal(doc.turn[k].role, GEN_REPLY);
		assert_true(gen_held(doc.turn[k].text));
		gen_doc_clear(&doc);
	}
	gen_free(g);
	discard(dir);
}

static void
test_answers_are_in_their_texts(void **state)
{
	static const char *const tasks[] = { "spans", "table" };
	struct gen_doc	 doc;
	const char	*family, *s, *end;
	char		*cell;
	uint64_t	 i;
	size_t		 t, k;

	(void)state;
	for (t = 0; t < nitems(tasks); t++)
		for (i = 0; i < DOCUMENTS; i++) {
			assert_int_equal(gen_test(gen, tasks[t], i, &doc,
			    &family), 0);
			for (k = 1; k < doc.n; k++) {
				s = doc.turn[k].text;
				if (doc.turn[k].role != GEN_REPLY ||
				    s[strlen(s) - 1] == '.')
					continue;	/* a summary */
				if (s[0] != '|') {
					if (strncmp(s, "When", 4) != 0 &&
					    strstr(s, " to ") == NULL &&
					    strstr(s, " at ") == NULL)
						cell = xstrdup(s);
					else
						cell = xstrndup(s,
						    strcspn(s, " "));
				} else {
					/* The first cell of the last row. */
					s = strrchr(s, '\n') + 3;
					end = strstr(s, " |");
					cell = xstrndup(s,
					    (size_t)(end - s));
				}
				/* Rows that the text counts have a number. */
				if (strstr(doc.turn[0].text, cell) == NULL &&
				    strstr(cell, " ") == NULL &&
				    (cell[0] > '9' || cell[1] != '\0'))
					fail_msg("\"%s\" is not in: %s",
					    cell, doc.turn[0].text);
				free(cell);
			}
			gen_doc_clear(&doc);
		}
}

/* Lists that tasks draw from. */
#define FORMS	"@list text-and-question\n{$text} {$ask}\n" \
	"@list text-alone\n{$text}\n@list text-read\nRead.\n" \
	"@list question-more\n{$ask}\n@list filler\nNothing.\n" \
	"@list table-form\n{$text} {$count}: {$numbered}; {$columns}\n"

/* A feeling, and the lists that it needs, without one of them. */
#define FEELINGS "@list feeling-two\n{$text}\n@list feeling-three\n{$text}\n" \
	"@list feeling-more\n{$text}\n@list shot-head\nLabel.\n" \
	"@feeling negative\nsay Bad.\n"

static void
test_an_article_answers_with_its_sentences(void **state)
{
	static const char text[] = FORMS "@list thing\nape\n"
	    "@article a\nsay It is {a thing:x}.\nmore It eats.\n"
	    "q What is it? = {$said}\nnext How? = {$why}\n";
	char		*dir = folder(text);
	struct gen	*g;
	struct gen_doc	 doc;
	struct fault	 f;
	const char	*family;
	uint64_t	 i;
	size_t		 k, asked = 0;

	(void)state;
	if (gen_open(dir, NULL, &g, &f) != 0)
		fail_msg("%s", f.message);
	for (i = 0; i < DOCUMENTS; i++) {
		if (gen_test(g, "spans", i, &doc, &family) == 0)
			for (k = 0; k + 3 < doc.n; k++) {
				if (strstr(doc.turn[k].text, "What") == NULL)
					continue;
				assert_string_equal(family, "article");
				assert_string_equal(doc.turn[k + 1].text,
				    "It is an ape.");
				assert_string_equal(doc.turn[k + 3].text,
				    "It eats.");
				asked++;
			}
		gen_doc_clear(&doc);
	}
	assert_true(asked > DOCUMENTS / 20);
	gen_free(g);
	discard(dir);
}

static void
test_a_cell_has_other_words_in_the_text(void **state)
{
	static const char text[] = FORMS "@table t\nthings t\n"
	    "col ID = {$row} => {$nth}\ncol New = {Yes => with|No => no}\n"
	    "row The {$1} has {$2} it.\n";
	char		*dir = folder(text), *want;
	struct gen	*g;
	struct gen_doc	 doc;
	struct fault	 f;
	const char	*family;
	uint64_t	 i;
	int		 yes;

	(void)state;
	if (gen_open(dir, NULL, &g, &f) != 0)
		fail_msg("%s", f.message);
	for (i = 0; i < 50; i++) {
		assert_int_equal(gen_test(g, "table", i, &doc, &family), 0);
		assert_true(has(&doc, "two: (1) ID, (2) New; ID and New"));
		yes = has(&doc, "The second has with it.");
		assert_int_not_equal(yes, has(&doc, "The second has no it."));
		want = xasprintf("\n| 2 | %s |", yes ? "Yes" : "No");
		assert_true(has(&doc, want));
		free(want);
		gen_doc_clear(&doc);
	}
	gen_free(g);
	discard(dir);
}

static void
test_a_message_has_other_phrasings(void **state)
{
	static const char text[] = "@vary x\n= Where is *?\n> I seek *.\n"
	    "~ > Show me *?\n\n@list before\nplease\n@list after\nnow\n";
	char		*dir = folder(text), *s;
	struct gen	*g;
	struct fault	 f;
	uint64_t	 i;
	int		 said = 0, other = 0;

	(void)state;
	if (gen_open(dir, NULL, &g, &f) != 0)
		fail_msg("%s", f.message);
	for (i = 0; i < DOCUMENTS; i++) {
		s = gen_vary(g, i, 0, "where is the cat");
		said += strcmp(s, "I seek the cat.") == 0;
		other += strcmp(s, "where is the cat") == 0;
		assert_null(strstr(s, "how me"));
		free(s);
		s = gen_vary(g, i, 1, "WHERE IS the cat??");
		assert_string_equal(s, "Show me the cat?");
		free(s);
		assert_null(gen_vary(g, i, 1, "Where goes the cat?"));
		assert_null(gen_vary(g, i, 1, "Where is?"));
	}
	assert_true(said > 0 && other > 0);
	gen_free(g);
	discard(dir);
}

static void
test_a_feeling_has_a_label(void **state)
{
	struct gen_doc	 doc;
	const char	*family, *s;
	int		 count[3] = { 0, 0, 0 };
	uint64_t	 i;

	(void)state;
	for (i = 0; i < DOCUMENTS; i++) {
		assert_int_equal(gen_test(gen, "sentiment", i, &doc,
		    &family), 0);
		s = doc.turn[doc.n - 1].text;
		if (strcasecmp(s, "negative") == 0)
			count[0]++;
		else if (strcasecmp(s, "neutral") == 0)
			count[1]++;
		else if (strcasecmp(s, "positive") == 0)
			count[2]++;
		else
			fail_msg("\"%s\" is no label", s);
		gen_doc_clear(&doc);
	}
	assert_true(count[0] > DOCUMENTS / 10 && count[1] > DOCUMENTS / 10 &&
	    count[2] > DOCUMENTS / 10);
}

static void
test_mistakes_are_reported(void **state)
{
	static const struct {
		const char	*text, *message;
	} cases[] = {
		{ "@talk a\n\n> {nothere}\n< b\n", "no list \"nothere\"" },
		{ "@talk a\n\n> {open\n< b\n", "a brace is not closed" },
		{ "@song a\n", "a.txt:1: not @KIND NAME [WEIGHT]: \"song\"" },
		{ "@talk a x\n", "a.txt:1: not a weight: \"x\"" },
		{ "# c\nword\n", "a.txt:2: before any section: \"word\"" },
		{ "@talk a\nword\n", "a.txt:2: not KEY TEXT: \"word\"" },
		{ "@talk a\nafter (\n", "a.txt:2: not a regular expression" },
		{ "@list a\nb\n@talk a\n\n~ > b\n~ > c\n< d\n",
		    "a.txt:3: @talk a: all ways to say \"b\" are held out" },
		{ "@list a\n~ b\n", "a.txt:1: @list a: all items are held "
		    "out" },
		{ "@talk task-song\n", "@talk task-song: there is no such "
		    "task" },
		{ "@talk task-table\n", "needs a section \"@table\"" },
		{ "@fact a\nvalue b\nsay c\n~ ask d\n", "@fact a: needs a "
		    "line \"ask\" that is not held out" },
		{ "@fact a\nvalue b\nask d\n", "a line \"say\"" },
		{ "@fact a\nsay c\nask d\n", "a line \"value\"" },
		{ "@fact a\nvalue b\nsay c\nask d\n", "@fact a: needs a list "
		    "\"text-and-question\" with an item" },
		{ FORMS "@story a\n\n~ say b\n", "a line \"say\"" },
		{ FORMS "@story a\n\nsay b\nsum c\n", "\"summary-ask\"" },
		{ FORMS "@table a\ncol X = x\nrow {$1}\n", "a line "
		    "\"things\"" },
		{ FORMS "@table a\ncol X = x\nthings x\n", "a line \"row\"" },
		{ FORMS "@table a\ncol X = x\nthings x\nrow y\n", "@table a: "
		    "a row without a column: \"y\"" },
		{ FORMS "@table a\ncol X = x\nthings x\nrow {$2}\n",
		    "@table a: there is no column {$2}: \"{$2}\"" },
		{ FEELINGS "@list shot-item\n", "needs a list \"shot-item\"" },
		{ FEELINGS "@list shot-item\na\n@feeling neutral\nsay b\n"
		    "@feeling positive\n~ say c\n", "@feeling positive: "
		    "needs a line \"say\"" },
		{ FEELINGS "@list shot-item\na\n", "needs a section "
		    "\"@feeling neutral\", too" },
	};
	struct gen	*g;
	struct fault	 f;
	char		*dir;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		dir = folder(cases[i].text);
		assert_int_not_equal(gen_open(dir, NULL, &g, &f), 0);
		if (strstr(f.message, cases[i].message) == NULL)
			fail_msg("\"%s\": %s", cases[i].text, f.message);
		discard(dir);
	}
	assert_int_not_equal(gen_open("/nonexistent", NULL, &g, &f), 0);
	assert_non_null(strstr(f.message, "/nonexistent: No such file"));
}

static void
test_a_task_that_lacks_something_is_not_there(void **state)
{
	static const char text[] = "@talk tell-x\n\n> I am {name:X}\n< ok\n"
	    "@talk ask-x\nif X\n\n> who?\n< {$X}\n";
	static const char *const tasks[] = { "memory", "sentiment", "opinion",
		"table" };
	char		*dir = folder(text);
	struct gen	*g;
	struct gen_doc	 doc;
	struct fault	 f;
	const char	*family;
	size_t		 t;
	uint64_t	 i;

	(void)state;
	if (gen_open(dir, NULL, &g, &f) != 0)
		fail_msg("%s", f.message);
	for (t = 0; t < nitems(tasks); t++)
		for (i = 0; i < 20; i++) {
			assert_int_equal(gen_test(g, tasks[t], i, &doc,
			    &family), CHAT_ENOTFOUND);
			gen_doc_clear(&doc);
		}
	gen_free(g);
	discard(dir);
}

static void
test_only_letters_become_small(void **state)
{
	static const char text[] = "@list before\nplease\n@list after\nnow\n"
	    "@talk a\n\n> @anna is here\n> [see] this\n> \303\211mile?\n"
	    "> Where?\n< ok\n";
	char		*dir = folder(text);
	struct gen	*g;
	struct gen_doc	 doc;
	struct fault	 f;
	uint64_t	 i;
	int		 small = 0;

	(void)state;
	if (gen_open(dir, NULL, &g, &f) != 0)
		fail_msg("%s", f.message);
	for (i = 0; i < DOCUMENTS; i++) {
		gen_document(g, i, 300, 0, &doc);
		assert_false(has(&doc, "`anna"));
		assert_false(has(&doc, "{see"));
		assert_false(has(&doc, "\343"));
		small += has(&doc, "please where");
		gen_doc_clear(&doc);
	}
	assert_true(small > 0);
	gen_free(g);
	discard(dir);
}

static void
test_training_finds_the_one_item_that_is_not_held_out(void **state)
{
	struct textbuf	 b = { 0 };
	struct gen	*g;
	struct gen_doc	 doc;
	struct fault	 f;
	char		*dir;
	uint64_t	 i;

	(void)state;
	textbuf_puts(&b, "@list a\nseen\n");
	for (i = 0; i < 200; i++)
		textbuf_puts(&b, "~ held\n");
	textbuf_puts(&b, "@talk a\n\n> x\n< {a}\n");
	dir = folder(gen_ended(&b));
	textbuf_clear(&b);
	if (gen_open(dir, NULL, &g, &f) != 0)
		fail_msg("%s", f.message);
	for (i = 0; i < DOCUMENTS; i++) {
		gen_document(g, i, 60, 0, &doc);
		assert_false(has(&doc, "held"));
		gen_doc_clear(&doc);
	}
	gen_free(g);
	discard(dir);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_seed_gives_the_same_document),
		cmocka_unit_test(test_training_and_tests_share_no_phrasing),
		cmocka_unit_test(test_answers_are_in_their_texts),
		cmocka_unit_test(test_an_article_answers_with_its_sentences),
		cmocka_unit_test(test_a_cell_has_other_words_in_the_text),
		cmocka_unit_test(test_a_message_has_other_phrasings),
		cmocka_unit_test(test_a_feeling_has_a_label),
		cmocka_unit_test(test_mistakes_are_reported),
		cmocka_unit_test(
		    test_a_task_that_lacks_something_is_not_there),
		cmocka_unit_test(test_only_letters_become_small),
		cmocka_unit_test(
		    test_training_finds_the_one_item_that_is_not_held_out)
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
