/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The classifier: its sums do not depend on how a text is cut, a damaged model
 * is refused, and training gives the same model each time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "train.h"
#include "xmalloc.h"

#define TEXT_MAX	8000
#define SCORES_MAX	2000

/* Pieces of random texts: words of the rows below, and what may be read
 * otherwise if a text is cut there. */
static const char *const atoms[] = {
	"bomb", "bombs", "make", "build", "a ", "bake", "cake", "photo", "not ",
	"don't ", "dogs' ", "'quoted' ", "\"", "“", "”", "gay ", "people ",
	"people of ", "colour ", "b0mb", "$", "1", "12345 ", "\xcc\x81",
	"\xe2\x80\x8b", "é", "ﬁ", "Ｂ", "𝐛", "中", "か\xe3\x82\x99", "👩‍👧",
	"🇩🇪", "😀", "क्षि", "ß", "rоpе ", "_", "-", "\t", " ", " ", " ", " ",
	" ", ". ", "! ", "? ", "\n", "\r\n", ", ", "(", ") ", "[URL] ",
	"@user ",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "#tag ",
	"<human>: ", "во", "ромб ", "’s ", "`", "don", "'", "t",
	"b o m b ", "m-a-k-e ", "make_a_bomb_", "bmob ", "b*mb", "h0w ", "d0 ",
	"howtobuildabomb ", "buuuuild ", "b  ",
};

static const char recipe[] =
	"epochs: 8\nmin_rows: 1\nnoise: 0.2\ngates: 300\nnames: 60\n"
	"sources:\n  odd: 0\n"
	"folds:\n  X:\n    rotate: true\n    benign: [x]\n    harmful: [x]\n";

static const char classes[] = "# words of like meaning\nbake cook roast\n"
	"bomb bombs grenade\n";

static const char groups[] = "list groups\ngay people\n~ people of colour\n";

static uint64_t	seed = 7;

/* A random number below n. */
static size_t
draw(size_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return ((size_t)(seed >> 33) % n);
}

/* Write a file into the current folder. */
static void
put(const char *path, const char *text)
{
	FILE	*f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Train on rows that tell bombs from cakes, and hate from praise. */
static struct linear *
train(uint64_t order)
{
	static const char *const harmful[] = { "make a bomb", "build bombs",
		"how do I build a bomb", "bomb the school" };
	static const char *const benign[] = { "make a cake", "bake bread",
		"how do I bake a cake", "take a photo" };
	struct recipe		 rc;
	struct rows		 rows;
	struct groups		 gs, cs;
	struct corpus		 corpus;
	struct features_words	 words = { NULL, 0, NULL, 0 };
	struct fault		 f = { .message = "" };
	struct linear		*m;
	FILE			*out;
	unsigned char		 left[4] = { 0 };
	char			 name[60];
	int			 i;

	snprintf(name, sizeof name, "t_classifier.%ld", (long)getpid());
	memset(&rows, 0, sizeof rows);
	memset(&gs, 0, sizeof gs);
	memset(&cs, 0, sizeof cs);
	put(name, recipe);
	assert_int_equal(train_recipe_load(name, &rc, &f), 0);
	put(name, groups);
	assert_int_equal(groups_load(&gs, name, &f), 0);
	groups_sort(&gs);
	assert_int_equal(gs.n, 2);
	words.groups = gs.hash;
	words.groups_n = gs.n;
	put(name, classes);
	assert_int_equal(classes_load(&cs, name, &f), 0);
	groups_sort(&cs);
	assert_int_equal(cs.n, 6);
	words.clusters = cs.hash;
	words.clusters_n = cs.n;
	assert_non_null(out = fopen(name, "we"));
	for (i = 0; i < 64; i++) {
		fprintf(out, "{\"id\": \"%d\", \"text\": \"%s %d\", "
		    "\"category\": \"%s\", \"kind\": \"request\", "
		    "\"source\": \"x\", \"fold\": \"train\"}\n", i,
		    (i & 1 ? harmful : benign)[i / 2 % 4], i,
		    i & 1 ? "violence" : "benign");
		fprintf(out, "{\"id\": \"c%d\", \"text\": \"gay people %s\", "
		    "\"category\": \"%s\", \"source\": \"y\"}\n", i,
		    i & 1 ? "are scum" : "are great",
		    i & 1 ? "hate" : "benign");
	}
	fprintf(out, "{\"text\": \"make a cake\", \"category\": \"illegal\", "
	    "\"source\": \"odd\"}\n");
	assert_int_equal(fclose(out), 0);
	assert_int_equal(textrows_load(&rows, name, &f), 0);
	assert_int_equal(rows.n, 129);
	unlink(name);
	rc.seed = (double)order;
	textrows_mark(&rows, &rc);
	corpus_build(&corpus, &rows, &rc, &words);
	m = learn_linear(&corpus, &rows, &rc, &words, left, 1);
	corpus_clear(&corpus);
	textrows_clear(&rows);
	train_recipe_clear(&rc);
	free(gs.hash);
	free(cs.hash);
	return (m);
}

/* Keep the last score, without its borrowed parts. */
static void
keep(void *arg, const struct linear_score *s)
{
	struct linear_score	*out = arg;

	*out = *s;
	out->half[0] = out->half[1] = NULL;
}

/* Score a whole text. */
static struct linear_score
score(const struct linear *m, const char *text)
{
	struct linear_score	 s;
	struct linear_text	 t;

	memset(&s, 0, sizeof s);
	memset(&t, 0, sizeof t);
	linear_read(m, &t, text, strlen(text), 0, 1, 0, keep, &s);
	return (s);
}

static void
test_training_learns_what_the_rows_have_in_common(void **state)
{
	struct linear		*m = train(1);
	struct linear_score	 bad = score(m, "Can you build a bomb?");
	struct linear_score	 good = score(m, "Can you bake a cake?");

	(void)state;
	assert_true(bad.gate[HEAD_REQUEST] > 0.5);
	assert_true(good.gate[HEAD_REQUEST] < 0.5);
	assert_true(bad.category[HEAD_REQUEST][2] > 0.5);	/* violence */
	bad = score(m, "Gay people are scum");
	good = score(m, "gay people are great");
	assert_true(bad.gate[HEAD_CONTENT] > 0.5);
	assert_true(good.gate[HEAD_CONTENT] < 0.5);
	assert_true(bad.category[HEAD_CONTENT][1] > 0.5);	/* hate */
	linear_free(m);
}

static void
test_the_names_of_groups_are_one_token(void **state)
{
	struct linear		*m = train(1);
	struct linear_score	 a = score(m, "gay people are scum");
	struct linear_score	 b = score(m, "People of Colour are scum");
	struct linear_score	 c = score(m, "trees of wood are scum");

	(void)state;
	assert_true(a.gate[HEAD_CONTENT] == b.gate[HEAD_CONTENT]);
	assert_true(a.gate[HEAD_CONTENT] != c.gate[HEAD_CONTENT]);
	linear_free(m);
}

static void
test_a_word_that_no_row_has_is_judged_by_its_class(void **state)
{
	struct linear		*m = train(1);
	struct linear_score	 a = score(m, "xyzzy a grenade");
	struct linear_score	 b = score(m, "xyzzy a folder");
	struct linear_score	 c = score(m, "xyzzy a roast");

	(void)state;
	assert_true(a.gate[HEAD_REQUEST] > b.gate[HEAD_REQUEST]);
	assert_true(b.gate[HEAD_REQUEST] > c.gate[HEAD_REQUEST]);
	linear_free(m);
}

static void
test_training_gives_the_same_bytes_each_time(void **state)
{
	struct linear	*a = train(1), *b = train(1), *c = train(2);
	size_t		 la, lb, lc;
	char		*da = linear_write(a, &la), *db = linear_write(b, &lb);
	char		*dc = linear_write(c, &lc);

	(void)state;
	assert_int_equal(la, lb);
	assert_memory_equal(da, db, la);
	assert_int_equal(la, lc);
	assert_true(memcmp(da, dc, la) != 0);
	free(da);
	free(db);
	free(dc);
	linear_free(a);
	linear_free(b);
	linear_free(c);
}

/* All scores of a text. */
struct scores {
	struct linear_score	 list[SCORES_MAX];
	size_t			 n;
};

/* Keep a score. */
static void
collect(void *arg, const struct linear_score *s)
{
	struct scores	*out = arg;

	assert_true(out->n < SCORES_MAX);
	keep(&out->list[out->n++], s);
}

static void
test_scores_do_not_depend_on_how_a_text_is_cut(void **state)
{
	struct linear		*m = train(1);
	struct linear_text	 t;
	struct scores		*whole = xcalloc(1, sizeof *whole);
	struct scores		*cut = xcalloc(1, sizeof *cut);
	char			 text[TEXT_MAX];
	size_t			 n, at, from, round, i, atoms_n;

	(void)state;
	for (round = 0; round < 400; round++) {
		atoms_n = 1 + draw(round % 4 == 0 ? 400 : 20);
		for (n = i = 0; i < atoms_n && n < TEXT_MAX - 100; i++)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s",
			    atoms[draw(nitems(atoms))]);
		whole->n = cut->n = 0;
		memset(&t, 0, sizeof t);
		linear_read(m, &t, text, n, 0, 1, 1, collect, whole);
		memset(&t, 0, sizeof t);
		for (at = 0; at < n;) {
			at += 1 + draw(round % 3 == 0 ? 60 : 5);
			while (at < n && (text[at] & 0xc0) == 0x80)
				at++;
			at = at < n ? at : n;
			/* the context that a plugin gets, or all */
			from = round & 1 && t.done > LINEAR_WINDOW ?
			    t.done - LINEAR_WINDOW : 0;
			while (from > 0 && (text[from] & 0xc0) == 0x80)
				from--;
			linear_read(m, &t, text + from, at - from, from,
			    at == n, 1, collect, cut);
			assert_true(at == n || t.done <= at);
		}
		if (whole->n != cut->n || memcmp(whole->list, cut->list,
		    whole->n * sizeof *whole->list) != 0)
			fail_msg("round %zu: %zu and %zu scores of \"%s\"",
			    round, whole->n, cut->n, text);
	}
	free(whole);
	free(cut);
	linear_free(m);
}

static void
test_a_long_text_is_judged_by_its_worst_window(void **state)
{
	struct linear		*m = train(1);
	struct scores		*s = xcalloc(1, sizeof *s);
	struct linear_text	 t;
	char			 text[TEXT_MAX] = "";
	double			 top = 0;
	size_t			 i;

	(void)state;
	for (i = 0; i < 150; i++)
		strcat(text, i == 40 ? "build a bomb build bombs " : "cake ");
	memset(&t, 0, sizeof t);
	linear_read(m, &t, text, strlen(text), 0, 1, 0, collect, s);
	assert_true(s->n >= 4);
	for (i = 0; i < s->n; i++)
		if (s->list[i].gate[0] > top)
			top = s->list[i].gate[0];
	assert_true(top > s->list[s->n - 1].gate[0]);
	assert_true(s->list[s->n - 1].from > 0);
	free(s);
	linear_free(m);
}

static void
test_what_spoke_is_named(void **state)
{
	struct linear		*m = train(1);
	struct linear_score	 s;
	struct linear_text	 t;
	struct linear_half	 half;
	const struct linear_top	*top[2 * LINEAR_TOP];
	const char		*text = "please build a bomb";

	(void)state;
	memset(&t, 0, sizeof t);
	memset(&s, 0, sizeof s);
	linear_read(m, &t, text, strlen(text), 0, 1, 0, keep, &s);
	half = t.half[1];
	s.half[1] = &half;
	assert_true(linear_explain(&s, HEAD_REQUEST, top) > 0);
	assert_non_null(memmem(top[0]->text, top[0]->len, "b", 1));
	assert_true(top[0]->to <= strlen(text));
	assert_true(linear_odds(m, &s, HEAD_REQUEST, top[0]->weight) > 0);
	linear_free(m);
}

static void
test_a_model_survives_writing_and_reading(void **state)
{
	struct linear		*m = train(1), *back;
	struct fault		 f;
	size_t			 n;
	char			*data = linear_write(m, &n);
	struct linear_score	 a, b;

	(void)state;
	assert_int_equal(linear_parse("m", data, n, &back, &f), 0);
	a = score(m, "how do I build a bomb");
	b = score(back, "how do I build a bomb");
	assert_memory_equal(&a, &b, sizeof a);
	assert_int_equal(linear_features(m), linear_features(back));
	free(data);
	linear_free(m);
	linear_free(back);
}

static void
test_a_damaged_model_is_refused(void **state)
{
	struct linear	*m = train(1), *back;
	struct fault	 f;
	size_t		 n, i;
	char		*data = linear_write(m, &n), *copy = xmalloc(n + 1);

	(void)state;
	for (i = 0; i < n; i += i < 300 ? 1 : 1 + draw(n / 50)) {
		memcpy(copy, data, n);
		copy[i] = (char)(copy[i] ^ (1 << draw(8)));
		f.message[0] = '\0';
		if (linear_parse("m", copy, n, &back, &f) == 0)
			fail_msg("byte %zu may change", i);
		assert_true(f.message[0] != '\0');
	}
	for (i = 0; i < n; i += i < 300 ? 1 : 1 + draw(n / 50))
		if (linear_parse("m", data, i, &back, &f) == 0)
			fail_msg("%zu of %zu bytes are a model", i, n);
	copy[n] = 0;
	memcpy(copy, data, n);
	assert_int_not_equal(linear_parse("m", copy, n + 1, &back, &f), 0);
	assert_int_not_equal(linear_load("/nonexistent", &back, &f), 0);
	free(data);
	free(copy);
	linear_free(m);
}

static void
test_figures_of_known_scores(void **state)
{
	struct point	 p[] = { { .9, 1, 1 }, { .8, 1, 0 }, { .7, 1, 1 },
				 { .6, 1, 0 }, { .5, 1, 0 } };
	double		 at, b;

	(void)state;
	assert_true(measure_auprc(p, 5) > 0.8332 &&
	    measure_auprc(p, 5) < 0.8335);	/* (1 + 2/3) / 2 */
	assert_true(measure_auc(p, 5) > 0.833 && measure_auc(p, 5) < 0.834);
	assert_true(measure_f1(p, 5, &at) > 0.799 && at == .7);
	assert_true(measure_recall(p, 5, 0.1, &at) == 0.5 && at == .9);
	assert_true(measure_recall(p, 5, 0.4, &at) == 1 && at == .7);
	assert_true(measure_accuracy(p, 5, 0.6, &b) > 0.799);
}

static void
test_a_bad_recipe_is_refused_with_its_place(void **state)
{
	static const struct { const char *text, *why; } cases[] = {
		{ "epochs: none\n", ":1:" },
		{ "\nrate: 0\n", ":2:" },
		{ "speed: 1\n", "unknown key" },
		{ "sources:\n  x: -1\n", ":2:" },
		{ "folds:\n  A:\n    benign: [[x]]\n", "not a source" },
	};
	struct recipe	 rc;
	struct fault	 f;
	char		 name[60];
	size_t		 i;

	(void)state;
	snprintf(name, sizeof name, "t_classifier.%ld", (long)getpid());
	for (i = 0; i < nitems(cases); i++) {
		put(name, cases[i].text);
		assert_int_not_equal(train_recipe_load(name, &rc, &f), 0);
		assert_non_null(strstr(f.message, cases[i].why));
		train_recipe_clear(&rc);
	}
	unlink(name);
}

static void
test_a_bad_row_is_refused_with_its_place(void **state)
{
	static const char *const cases[] = { "{\"text\": \"x\"}\n",
		"{\"text\": \"x\", \"category\": \"bad\"}\n", "[1]\n",
		"{\"text\": \"x\", \"category\": \"hate\", \"also\": [1]}\n" };
	struct rows	 rows;
	struct fault	 f;
	char		 name[60], text[200];
	size_t		 i;

	(void)state;
	snprintf(name, sizeof name, "t_classifier.%ld", (long)getpid());
	for (i = 0; i < nitems(cases); i++) {
		memset(&rows, 0, sizeof rows);
		snprintf(text, sizeof text, "\n%s", cases[i]);
		put(name, text);
		assert_int_not_equal(textrows_load(&rows, name, &f), 0);
		assert_non_null(strstr(f.message, ":2:"));
		textrows_clear(&rows);
	}
	unlink(name);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(
		    test_training_learns_what_the_rows_have_in_common),
		cmocka_unit_test(test_the_names_of_groups_are_one_token),
		cmocka_unit_test(
		    test_a_word_that_no_row_has_is_judged_by_its_class),
		cmocka_unit_test(test_training_gives_the_same_bytes_each_time),
		cmocka_unit_test(
		    test_scores_do_not_depend_on_how_a_text_is_cut),
		cmocka_unit_test(
		    test_a_long_text_is_judged_by_its_worst_window),
		cmocka_unit_test(test_what_spoke_is_named),
		cmocka_unit_test(test_a_model_survives_writing_and_reading),
		cmocka_unit_test(test_a_damaged_model_is_refused),
		cmocka_unit_test(test_figures_of_known_scores),
		cmocka_unit_test(test_a_bad_recipe_is_refused_with_its_place),
		cmocka_unit_test(test_a_bad_row_is_refused_with_its_place),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
