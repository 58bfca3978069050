/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of tokenizer.json and the flags of added tokens, compared with
 * the reference tokenizer (tests/data/tokenizer-flags).
 */
#include "tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "detok.h"
#include "engine_data.h"
#include "utf8.h"
#include "xmalloc.h"

static json_t	*lines, *base;

/* The tokenizer of a variant. */
static struct tokenizer *
flags_variant(const json_t *v)
{
	json_t			*root = json_deep_copy(base), *vocab, *s;
	struct tokenizer	*t;
	struct fault		 f;
	size_t			 i;

	json_object_update_recursive(root, json_object_get(v, "patch"));
	vocab = json_object_get(json_object_get(root, "model"), "vocab");
	json_array_foreach(json_object_get(v, "drop"), i, s)
		json_object_del(vocab, json_string_value(s));
	if ((t = data_parse(root, &f)) == NULL)
		fail_msg("%s: %s", json_string_value(json_object_get(v,
		    "name")), f.message);
	json_decref(root);
	return (t);
}

/* Decode the ids of a case. Return 1 if the text differs from that of key. */
static int
flags_decode(const struct tokenizer *t, const json_t *c, int skip,
    const char *key)
{
	const json_t	*want = json_object_get(c, key);
	struct idbuf	 ids = data_ids(json_object_get(c, "ids"));
	struct textbuf	 got = { NULL, 0, 0 };
	int		 bad;

	detok_ids(t, ids.id, ids.n, skip, &got);
	bad = got.n != json_string_length(want) || (got.n > 0 &&
	    memcmp(got.s, json_string_value(want), got.n) != 0);
	if (bad)
		fprintf(stderr, "want %s got %.*s\n", json_string_value(want),
		    (int)got.n, got.s);
	idbuf_clear(&ids);
	textbuf_clear(&got);
	return (bad);
}

/* Encode and decode every text of a variant. Return the number of failures. */
static int
flags_run(const struct tokenizer *t, const json_t *v)
{
	const json_t	*c;
	size_t		 k;
	int		 bad = 0;

	json_array_foreach(json_object_get(v, "cases"), k, c) {
		bad += data_vector_differs(t, c, 1, "ids");
		bad += data_vector_differs(t, c, 0, json_object_get(c,
		    "user") == NULL ? "ids" : "user");
		bad += flags_decode(t, c, 0, "all");
		bad += flags_decode(t, c, 1, json_object_get(c,
		    "shown") == NULL ? "all" : "shown");
	}
	return (bad);
}

/* Replace a tokenizer by one that is restored from its tables. */
static struct tokenizer *
flags_restore(struct tokenizer *t)
{
	struct tokenizer	*other;
	struct fault		 f;
	uint8_t			*bytes;
	size_t			 n;

	tokenizer_save(t, &bytes, &n);
	tokenizer_free(t);
	if (tokenizer_restore("tables", bytes, n, &other, &f) != 0)
		fail_msg("%s", f.message);
	free(bytes);
	return (other);
}

/* Every variant, parsed and from tables. */
static void
every_flag_is_as_in_the_reference(void **state)
{
	struct tokenizer	*t;
	const json_t		*v;
	size_t			 i;
	int			 bad = 0, was, n = 0;

	(void)state;
	json_array_foreach(lines, i, v) {
		if (i == 0)
			continue;
		t = flags_variant(v);
		was = bad;
		n += (int)json_array_size(json_object_get(v, "cases"));
		bad += flags_run(t, v);
		t = flags_restore(t);
		bad += flags_run(t, v);
		if (bad > was)
			fprintf(stderr, "in line %zu, %s\n", i + 1,
			    json_string_value(json_object_get(v, "name")));
		tokenizer_free(t);
	}
	assert_true(n > 1000);
	assert_int_equal(bad, 0);
}

/* A tokenizer of the base with an added token and a patch. */
static struct tokenizer *
flags_special(const char *patch)
{
	json_t			*root = json_deep_copy(base), *p;
	struct tokenizer	*t;
	struct fault		 f;

	assert_non_null(p = json_loads(patch, 0, NULL));
	json_object_update_recursive(root, p);
	if ((t = data_parse(root, &f)) == NULL)
		fail_msg("%s", f.message);
	json_decref(p);
	json_decref(root);
	return (t);
}

/* The id of a token of the base's vocabulary, as text. */
static int
flags_id(const char *name)
{
	return ((int)json_integer_value(json_object_get(json_object_get(
	    json_object_get(base, "model"), "vocab"), name)));
}

/* Encode a user's text: no id is special, and the ids decode to want. */
static void
flags_user_text(const struct tokenizer *t, const char *s, const char *want)
{
	struct idbuf	 ids = data_encode(t, s, 0);
	struct textbuf	 got = { NULL, 0, 0 };
	size_t		 i;

	for (i = 0; i < ids.n; i++)
		assert_false(tokenizer_special(t, ids.id[i]));
	detok_ids(t, ids.id, ids.n, 0, &got);
	textbuf_add(&got, "", 1);
	assert_string_equal(got.s, want);
	idbuf_clear(&ids);
	textbuf_clear(&got);
}

/* Merges that lead to a special token give its bytes in a user's text. */
static void
merges_give_no_special_token_to_users(void **state)
{
	struct tokenizer	*t;
	struct idbuf		 ids;
	char			*patch;
	int			 ab = flags_id("ab");

	(void)state;
	patch = xasprintf("{\"added_tokens\":[{\"id\":%d,\"content\":\"ab\","
	    "\"special\":true,\"single_word\":true}]}", ab);
	t = flags_special(patch);
	flags_user_text(t, "ab xab abc ab", "ab xab abc ab");
	ids = data_encode(t, "xab", 1);
	assert_int_equal(ids.n, 2);
	assert_int_equal(ids.id[1], ab);
	idbuf_clear(&ids);
	/* A merge to a special token is also replaced if it continues to
	 * another token. */
	ids = data_encode(t, "xabc", 0);
	assert_int_equal(ids.n, 2);
	assert_int_equal(ids.id[1], flags_id("abc"));
	idbuf_clear(&ids);
	tokenizer_free(t);
	free(patch);
}

/* A word that is a special token of the vocabulary is spelled, too. */
static void
whole_words_give_no_special_token_to_users(void **state)
{
	struct tokenizer	*t;

	(void)state;
	t = flags_special("{\"added_tokens\":[{\"id\":5000,\"content\":"
	    "\"\xc4\xa0zz\",\"special\":true}],"
	    "\"model\":{\"ignore_merges\":true,\"vocab\":{"
	    "\"\xc4\xa0zz\":5000}}}");
	flags_user_text(t, "a zz b", "a zz b");
	tokenizer_free(t);
}

/* A special token that is the unknown token is left out. */
static void
unknown_bytes_give_no_special_token_to_users(void **state)
{
	json_t			*root = json_deep_copy(base), *model;
	struct tokenizer	*t;
	struct fault		 f;

	(void)state;
	model = json_object_get(root, "model");
	json_object_del(json_object_get(model, "vocab"), "x");
	json_object_set_new(json_object_get(model, "vocab"), "<u>",
	    json_integer(5000));
	json_object_set_new(model, "unk_token", json_string("<u>"));
	json_array_append_new(json_object_get(root, "added_tokens"),
	    json_pack("{s:i,s:s,s:b}", "id", 5000, "content", "<u>",
	    "special", 1));
	if ((t = data_parse(root, &f)) == NULL)
		fail_msg("%s", f.message);
	flags_user_text(t, "axb <u>", "ab <u>");
	tokenizer_free(t);
	json_decref(root);
}

/* The token of a byte that no text has may be special. If it is also the
 * unknown token, and a merge makes another special token of it, the bytes of
 * that token leave it out. */
static void
spelling_gives_no_special_token_to_users(void **state)
{
	json_t			*root = json_deep_copy(base), *model;
	struct tokenizer	*t;
	struct fault		 f;

	(void)state;
	model = json_object_get(root, "model");
	json_object_del(json_object_get(model, "vocab"), "x");
	json_object_set_new(json_object_get(model, "vocab"), "\xc3\xb5" "a",
	    json_integer(5000));
	json_object_set_new(model, "unk_token", json_string("\xc3\xb5"));
	json_array_append_new(json_object_get(model, "merges"),
	    json_string("\xc3\xb5 a"));
	json_array_append_new(json_object_get(root, "added_tokens"),
	    json_pack("{s:i,s:s,s:b}", "id", flags_id("\xc3\xb5"), "content",
	    "\xc3\xb5", "special", 1));
	json_array_append_new(json_object_get(root, "added_tokens"),
	    json_pack("{s:i,s:s,s:b}", "id", 5000, "content", "\xc3\xb5" "a",
	    "special", 1));
	if ((t = data_parse(root, &f)) == NULL)
		fail_msg("%s", f.message);
	flags_user_text(t, "xa", "a");
	tokenizer_free(t);
	json_decref(root);
}

/* Earlier texts change nothing: a word from the cache gives the same ids, and
 * so does a short word inside of a long one. */
static void
ids_do_not_depend_on_earlier_texts(void **state)
{
	static const char alphabet[] = "ab helo'\xc3\xa9";
	struct tokenizer	*t, *fresh;
	struct idbuf		 a, b;
	char			 s[60];
	size_t			 i, n;
	unsigned		 x = 1;

	(void)state;
	t = flags_special("{}");
	for (i = 0; i < 3000; i++) {
		for (n = 0; n < 1 + i % 50; n++) {
			x = x * 1103515245 + 12345;
			s[n] = alphabet[x / 65536 % (sizeof alphabet - 1)];
		}
		s[n] = '\0';
		if (!utf8_valid(s, n))
			continue;
		a = data_encode(t, s, 0);
		b = data_encode(t, s, 0);
		assert_int_equal(data_ids_differ(s, &b, &a), 0);
		idbuf_clear(&b);
		if (i % 20 == 0) {
			fresh = flags_special("{}");
			b = data_encode(fresh, s, 0);
			assert_int_equal(data_ids_differ(s, &b, &a), 0);
			idbuf_clear(&b);
			tokenizer_free(fresh);
		}
		idbuf_clear(&a);
	}
	tokenizer_free(t);
}

/* Read the vectors. */
static int
setup(void **state)
{
	(void)state;
	lines = data_lines("tokenizer-flags/vectors.jsonl");
	base = json_object_get(json_array_get(lines, 0), "base");
	return (base == NULL);
}

/* Release them. */
static int
teardown(void **state)
{
	(void)state;
	json_decref(lines);
	return (0);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(every_flag_is_as_in_the_reference),
		cmocka_unit_test(merges_give_no_special_token_to_users),
		cmocka_unit_test(whole_words_give_no_special_token_to_users),
		cmocka_unit_test(unknown_bytes_give_no_special_token_to_users),
		cmocka_unit_test(spelling_gives_no_special_token_to_users),
		cmocka_unit_test(ids_do_not_depend_on_earlier_texts),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
