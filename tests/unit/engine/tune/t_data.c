/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents as tokens: which of them are learnt, and how rows of files become
 * documents.
 */
#include "data.h"

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

/* A recipe with one file of rows. Its path is owned by the recipe. */
static void
recipe_of(struct recipe *r, enum recipe_kind kind, const char *rows)
{
	char	 path[] = "/tmp/t_data.XXXXXX";
	int	 fd = mkstemp(path);
	FILE	*f = fdopen(fd, "w");

	assert_non_null(f);
	fputs(rows, f);
	fclose(f);
	recipe_defaults(r);
	r->source = xcalloc(1, sizeof *r->source);
	r->sources = 1;
	r->source[0].kind = kind;
	r->source[0].path = xstrdup(path);
	r->source[0].share = 1;
	r->length = 512;
}

/* Remove the file and the recipe. */
static void
discard(struct recipe *r)
{
	unlink(r->source[0].path);
	recipe_clear(r);
}

/* The first document of a recipe: its text, with the learnt parts in [ ]. The
 * rejected reply comes after "/". Owned. */
static char *
shown(struct recipe *r)
{
	struct data	*d;
	struct data_doc	 doc = { .id = { 0 } };
	struct textbuf	 b = { 0 };
	struct fault	 f;
	const char	*s;
	size_t		 i, n;
	int		 in = 0;

	if (data_open(r, NULL, &d, &f) != 0)
		fail_msg("%s", f.message);
	data_set_tokenizer(d, data_tok);
	data_document(d, 7, DATA_LEARNT, &doc);
	for (i = 0; i < doc.id.n; i++) {
		if ((doc.weight[i] > 0) != in)
			textbuf_puts(&b, in ? "]" : "[");
		in = doc.weight[i] > 0;
		if (i == doc.split)
			textbuf_puts(&b, "/");
		s = tokenizer_bytes(data_tok, doc.id.id[i], &n);
		textbuf_add(&b, s, n);
	}
	textbuf_puts(&b, in ? "]" : "");
	textbuf_add(&b, "", 1);
	data_doc_clear(&doc);
	data_free(d);
	return (b.s);
}

/* Compare a document. */
static void
expect(struct recipe *r, const char *want)
{
	char	*got = shown(r);

	assert_string_equal(got, want);
	free(got);
}

static void
test_replies_and_their_ends_are_learnt(void **state)
{
	struct recipe	 r;

	(void)state;
	recipe_of(&r, DATA_DIALOGUES,
	    "{\"turns\": [\"Hi\", \"Hello.\", \"Bye\", \" See you \"]}\n");
	expect(&r, "<human>: Hi\n<bot>:[ Hello.\n<human>:] Bye\n<bot>:"
	    "[ See you\n<human>:]");
	r.objective = RECIPE_LM;
	expect(&r, "[<human>: Hi\n<bot>: Hello.\n<human>: Bye\n<bot>: See you"
	    "\n<human>:]");
	discard(&r);
}

static void
test_all_forms_of_dialogues_are_equal(void **state)
{
	static const char *const rows[] = {
		"{\"turns\": [\"A b\", \"C d\"]}\n",
		("{\"messages\": [{\"role\": \"user\", \"content\": \"A b\"}, "
		"{\"role\": \"assistant\", \"content\": \"C d\"}]}\n"),
		"{\"text\": \"<human>: A b\\n<bot>: C d\"}\n",
		"\n{\"text\": \"<human>: A b\\n<bot>: C d\\n\"}\n"
	};
	struct recipe	 r;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(rows); i++) {
		recipe_of(&r, DATA_DIALOGUES, rows[i]);
		expect(&r, "<human>: A b\n<bot>:[ C d\n<human>:]");
		discard(&r);
	}
}

static void
test_text_without_roles_has_its_own_weight(void **state)
{
	struct recipe	 r;

	(void)state;
	recipe_of(&r, DATA_TEXT, "{\"text\": \"Plain text.\"}\n");
	expect(&r, "[Plain text.\n]");
	r.plain = 0;
	expect(&r, "Plain text.\n");
	discard(&r);
}

static void
test_a_preference_has_both_replies(void **state)
{
	struct recipe	 r;

	(void)state;
	recipe_of(&r, DATA_PREFERENCE, "{\"prompt\": \"<human>: A\\n<bot>:\", "
	    "\"chosen\": \" Yes\", \"rejected\": \" No\"}\n");
	r.objective = RECIPE_DPO;
	expect(&r, "<human>: A\n<bot>:[ Yes\n<human>:]/<human>: A\n<bot>:"
	    "[ No\n<human>:]");
	discard(&r);
}

static void
test_a_pair_of_messages_is_read(void **state)
{
	struct recipe	 r;

	(void)state;
	recipe_of(&r, DATA_PREFERENCE, "{\"prompt\": [{\"role\": \"system\", "
	    "\"content\": \"Be kind.\"}, {\"role\": \"user\", \"content\": "
	    "\"A\"}], \"chosen\": [{\"role\": \"assistant\", \"content\": "
	    "\"Yes\"}], \"rejected\": [{\"role\": \"assistant\", "
	    "\"content\": \"No\"}]}\n");
	r.objective = RECIPE_DPO;
	r.prompt = 0.5;		/* only replies are compared */
	expect(&r, "Be kind.\n<human>: A\n<bot>:[ Yes\n<human>:]/"
	    "Be kind.\n<human>: A\n<bot>:[ No\n<human>:]");
	discard(&r);
}

static void
test_only_the_completion_of_a_prompt_is_learnt(void **state)
{
	struct recipe	 r;

	(void)state;
	recipe_of(&r, DATA_DIALOGUES, "{\"prompt\": \"Be kind.\\n<human>: A\\n"
	    "<bot>: B\\n<human>: C\\n<bot>:\", \"completion\": \" D\"}\n");
	r.plain = 0;
	expect(&r, "Be kind.\n<human>: A\n<bot>: B\n<human>: C\n<bot>:[ D\n"
	    "<human>:]");
	discard(&r);
}

static void
test_long_documents_are_cut(void **state)
{
	struct recipe	 r;
	struct data	*d;
	struct data_doc	 doc = { .id = { 0 } };
	struct fault	 f;

	(void)state;
	recipe_of(&r, DATA_TEXT, "{\"text\": \"one two three four five six "
	    "seven eight nine ten eleven twelve\"}\n");
	r.length = 5;
	assert_int_equal(data_open(&r, NULL, &d, &f), 0);
	data_set_tokenizer(d, data_tok);
	data_document(d, 0, DATA_LEARNT, &doc);
	assert_int_equal(doc.id.n, 5);
	data_doc_clear(&doc);
	data_free(d);
	discard(&r);
}

/* A row of a preference after `turns` turns. Owned. */
static char *
preference(size_t turns, const char *chosen, const char *rejected)
{
	json_t	*list = json_array(), *row;
	size_t	 i;
	char	*s, *line;

	for (i = 0; i < turns; i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "role",
		    i % 2 == 0 ? "user" : "assistant", "content", "a"));
	row = json_pack("{s:o, s:s, s:s}", "prompt", list, "chosen", chosen,
	    "rejected", rejected);
	s = json_dumps(row, 0);
	line = xasprintf("%s\n", s);
	free(s);
	json_decref(row);
	return (line);
}

/* "no no no ...". Owned. */
static char *
long_reply(void)
{
	char	*s = xcalloc(3 * 3000 + 1, 1);
	int	 i;

	for (i = 0; i < 3000; i++)
		memcpy(s + 3 * i, "no ", 3);
	return (s);
}

static void
test_both_replies_of_a_preference_are_cut(void **state)
{
	struct recipe	 r;
	struct data	*d;
	struct data_doc	 doc = { .id = { 0 } };
	struct fault	 f;
	char		*reply = long_reply(), *row;
	int		 i;

	(void)state;
	for (i = 0; i < 2; i++) {
		row = preference(1, i == 0 ? "yes" : reply, i == 1 ? "yes" :
		    reply);
		recipe_of(&r, DATA_PREFERENCE, row);
		r.objective = RECIPE_DPO;
		r.length = 16;
		assert_int_equal(data_open(&r, NULL, &d, &f), 0);
		data_set_tokenizer(d, data_tok);
		data_document(d, 0, DATA_COMPARED, &doc);
		assert_true(doc.split > 2 && doc.split <= 16);
		assert_true(doc.id.n > doc.split + 2);
		assert_true(doc.id.n - doc.split <= 16);
		assert_int_equal(i == 0 ? doc.id.n - doc.split : doc.split,
		    16);
		assert_true(doc.weight[doc.split] == 0);
		assert_true(doc.weight[doc.id.n - 1] > 0);
		data_doc_clear(&doc);
		data_free(d);
		discard(&r);
		free(row);
	}
	free(reply);
}

static void
test_a_preference_after_many_turns_has_both_replies(void **state)
{
	struct recipe	 r;
	char		*row = preference(99, "yes", "no"), *got, *other;

	(void)state;
	recipe_of(&r, DATA_PREFERENCE, row);
	r.objective = RECIPE_DPO;
	r.length = 4096;
	got = shown(&r);
	assert_non_null(other = strstr(got, "[ yes\n<human>:]/<human>: a"));
	assert_non_null(strstr(other, "[ no\n<human>:]"));
	free(got);
	discard(&r);
	free(row);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies_and_their_ends_are_learnt),
		cmocka_unit_test(test_all_forms_of_dialogues_are_equal),
		cmocka_unit_test(test_text_without_roles_has_its_own_weight),
		cmocka_unit_test(test_a_preference_has_both_replies),
		cmocka_unit_test(test_a_pair_of_messages_is_read),
		cmocka_unit_test(
		    test_only_the_completion_of_a_prompt_is_learnt),
		cmocka_unit_test(test_long_documents_are_cut),
		cmocka_unit_test(test_both_replies_of_a_preference_are_cut),
		cmocka_unit_test(
		    test_a_preference_after_many_turns_has_both_replies)
	};

	return (cmocka_run_group_tests(tests, data_setup_20b,
	    data_teardown));
}
