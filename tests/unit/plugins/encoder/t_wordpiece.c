/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokens of the texts in tests/data/encoder/tiny.json, which has what the
 * reference library makes of them; and the bytes that each token came from.
 */
#include "wordpiece.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "encoder_fixture.h"
#include "xmalloc.h"

static struct encoder	*tiny;

/* The text of a token. */
static const char *
token(uint32_t id)
{
	return (tiny->words.text + tiny->words.at[id]);
}

/* The reference. */
static void
test_tokens_are_those_of_the_reference(void **state)
{
	struct wordpiece_token	 out[512];
	json_t			*root, *cases, *c, *want;
	const char		*text;
	char			*path = encfix_path("tiny.json");
	size_t			 i, k, n;

	(void)state;
	root = json_load_file(path, JSON_ALLOW_NUL, NULL);
	assert_non_null(root);
	cases = json_object_get(root, "cases");
	assert_true(json_array_size(cases) > 30);
	json_array_foreach(cases, i, c) {
		text = json_string_value(json_object_get(c, "text"));
		want = json_object_get(c, "tokens");
		n = wordpiece_cut(&tiny->words, text, json_string_length(
		    json_object_get(c, "text")), out, 512);
		for (k = 0; k < n && k < json_array_size(want); k++)
			if (strcmp(token(out[k].id), json_string_value(
			    json_array_get(want, k))) != 0)
				fail_msg("\"%s\": token %zu is %s, not %s",
				    text, k, token(out[k].id),
				    json_string_value(json_array_get(want,
				    k)));
		if (n != json_array_size(want))
			fail_msg("\"%s\": %zu tokens, not %zu", text, n,
			    json_array_size(want));
	}
	json_decref(root);
	free(path);
}

/* Spans. */
static void
test_tokens_know_their_bytes(void **state)
{
	static const char	 text[] = "unaffordable  caf\xc3\xa9, "
				    "\xf0\x9f\x98\x80!";
	struct wordpiece_token	 out[32];
	size_t			 n;

	(void)state;
	n = wordpiece_cut(&tiny->words, text, strlen(text), out, 32);
	assert_int_equal(n, 13);
	assert_string_equal(token(out[0].id), "un");
	assert_int_equal(out[0].start, 0);
	assert_int_equal(out[0].end, 2);
	assert_int_equal(out[n - 4].end, 19);	/* two bytes of an e */
	assert_string_equal(token(out[n - 2].id), "[UNK]");
	assert_int_equal(out[n - 2].start, 21);
	assert_int_equal(out[n - 2].end, 25);
}

/* A full list. */
static void
test_cutting_stops_when_the_list_is_full(void **state)
{
	struct wordpiece_token	 out[4];

	(void)state;
	out[3].id = 12345;
	assert_int_equal(wordpiece_cut(&tiny->words, "a b c d e", 9, out, 3),
	    3);
	assert_int_equal(out[3].id, 12345);
	assert_int_equal(wordpiece_cut(&tiny->words, "xyz", 3, out, 2), 2);
}

/* Emoji. */
static void
test_an_emoji_is_read_as_its_name(void **state)
{
	static const char	 text[] = "a\xf0\x9f\x98\x80\xef\xb8\x8f"
				    "b\xf0\x9f\x8f\xbd";
	static const uint32_t	 row[] = { 0x1f600, 0, 2 };
	uint32_t		 ids[2];
	struct wordpiece	 w = tiny->words;
	struct wordpiece_token	 out[8];

	(void)state;
	wordpiece_cut(&w, "hello face", 10, out, 8);
	ids[0] = out[0].id;
	ids[1] = out[1].id;
	w.emoji = row;
	w.emoji_n = 1;
	w.emoji_ids = ids;
	assert_int_equal(wordpiece_cut(&w, text, strlen(text), out, 8), 4);
	assert_string_equal(token(out[0].id), "a");
	assert_string_equal(token(out[1].id), "hello");
	assert_string_equal(token(out[2].id), "face");
	assert_int_equal(out[2].start, 1);
	assert_int_equal(out[2].end, 5);
	assert_string_equal(token(out[3].id), "b");
}

/* Run the tests. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_tokens_are_those_of_the_reference),
		cmocka_unit_test(test_tokens_know_their_bytes),
		cmocka_unit_test(test_cutting_stops_when_the_list_is_full),
		cmocka_unit_test(test_an_emoji_is_read_as_its_name),
	};
	int	 r;

	tiny = encfix_encoder("plain");
	r = cmocka_run_group_tests(tests, NULL, NULL);
	encoder_free(tiny);
	return (r);
}
