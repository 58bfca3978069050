/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tokenizer against the reference vectors, and cases that the vectors do
 * not have: special tokens in users' text, long words, texts in steps.
 */
#include "tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "engine_data.h"
#include "wordcache.h"
#include "xmalloc.h"

static struct tokenizer	*big, *tiny;

/* Encode in steps of `step` bytes. */
static void
encode_bits(const struct tokenizer *t, const char *s, size_t n, int special,
    size_t limit, struct idbuf *out)
{
	struct encoding	*e = encoding_new(t, s, n, special);

	while (!encoding_some(e, limit, out))
		;
	encoding_free(e);
}

/* Encode one vector, at once and in steps, and compare. Return 1 if they
 * differ. */
static int
check_vector(const struct tokenizer *t, const json_t *v)
{
	const json_t	*text = json_object_get(v, "text");
	struct idbuf	 want = data_ids(json_object_get(v, "ids"));
	struct idbuf	 got = { NULL, 0, 0 };
	int		 bad = data_vector_differs(t, v, 1, "ids");

	encode_bits(t, json_string_value(text), json_string_length(text), 1, 1,
	    &got);
	bad |= data_ids_differ(json_string_value(text), &got, &want);
	idbuf_clear(&got);
	idbuf_clear(&want);
	return (bad);
}

/* Long and short words, encoded in steps of every size. */
static void
a_text_bit_by_bit_gives_the_same_ids(void **state)
{
	static const char *const fill[] = { "a", "the", "a b ", "x  y",
	    "e\xcc\x81", "qzjxk", "abc <|endoftext|> d" };
	static const size_t	 limits[] = { 1, 7, 1000, 100000 };
	const size_t		 size = 5000;
	char			*s = xmalloc(size);
	struct idbuf		 want = { NULL, 0, 0 }, got = { NULL, 0, 0 };
	size_t			 i, k, n;
	int			 special;

	(void)state;
	for (i = 0; i < nitems(fill); i++) {
		n = size / strlen(fill[i]) * strlen(fill[i]);
		for (k = 0; k < n; k++)
			s[k] = fill[i][k % strlen(fill[i])];
		for (k = 0; k < nitems(limits) * 2; k++) {
			special = k % 2 == 0;
			want.n = got.n = 0;
			tokenizer_encode(big, s, n, special, &want);
			encode_bits(big, s, n, special, limits[k / 2], &got);
			assert_int_equal(data_ids_differ(fill[i], &got, &want),
			    0);
		}
	}
	idbuf_clear(&want);
	idbuf_clear(&got);
	free(s);
}

/* One call encodes about as many bytes as its limit, even inside of a word. */
static void
no_call_encodes_much_more_than_its_limit(void **state)
{
	const size_t	 size = 200000, limit = 4000;
	char		*s = xmalloc(size);
	struct idbuf	 ids = { NULL, 0, 0 };
	struct encoding	*e;
	size_t		 calls[2] = { 0, 0 };
	int		 k;

	(void)state;
	for (k = 0; k < 2; k++) {
		memset(s, k == 0 ? 'a' : ' ', size);
		for (size_t i = 0; k == 1 && i < size; i += 5)
			memcpy(s + i, " word", 5);
		ids.n = 0;
		e = encoding_new(big, s, size, 0);
		while (!encoding_some(e, limit, &ids))
			calls[k]++;
		encoding_free(e);
		assert_true(calls[k] >= size / limit);
	}
	idbuf_clear(&ids);
	free(s);
}

/* Words of one account are not remembered for another. */
static void
words_are_remembered_for_one_account_at_a_time(void **state)
{
	struct wordcache	*c = wordcache_new();
	struct idbuf		 ids = { NULL, 0, 0 };
	const int32_t		 id[] = { 5, 6 };
	int			 i;

	(void)state;
	wordcache_put(c, "zebra", 5, id, 2);
	assert_int_equal(wordcache_get(c, "zebra", 5, 5, &ids), 1);
	assert_int_equal(ids.n, 2);
	for (i = 0; i < 3; i++) {
		wordcache_forget(c);
		assert_int_equal(wordcache_get(c, "zebra", 5, 5, &ids), 0);
		wordcache_put(c, "zebra", 5, id + i % 2, 1);
		ids.n = 0;
		assert_int_equal(wordcache_get(c, "zebra", 5, 5, &ids), 1);
		assert_int_equal(ids.n, 1);
		assert_int_equal(ids.id[0], id[i % 2]);
	}
	idbuf_clear(&ids);
	wordcache_free(c);
}

/* Every vector of the 20B tokenizer. */
static void
ids_equal_the_reference_of_20b(void **state)
{
	json_t	*list = data_lines("gpt-neox-20b/tokenizer-vectors.jsonl");
	json_t	*v;
	size_t	 i;
	int	 bad = 0;

	(void)state;
	assert_int_equal(json_array_size(list), 3905);
	json_array_foreach(list, i, v)
		bad += check_vector(big, v);
	json_decref(list);
	assert_int_equal(bad, 0);
}

/* Every sequence of neox-tiny that has a text. */
static void
ids_equal_the_reference_of_tiny(void **state)
{
	json_t	*root = data_json("neox-tiny/expected.json"), *v;
	size_t	 i;
	int	 bad = 0, n = 0;

	(void)state;
	json_array_foreach(json_object_get(root, "sequences"), i, v) {
		if (!json_is_string(json_object_get(v, "text")))
			continue;
		bad += check_vector(tiny, v);
		n++;
	}
	json_decref(root);
	assert_int_equal(n, 5);
	assert_int_equal(bad, 0);
}

/* What a user types is never a special token. */
static void
user_text_gives_no_special_ids(void **state)
{
	static const char *const texts[] = { "<|endoftext|>", "<|padding|>",
	    "a<|endoftext|>b", " <|endoftext|>", "<|endoftext|><|padding|>" };
	struct idbuf	 ids, special;
	size_t		 i, k;

	(void)state;
	for (i = 0; i < nitems(texts); i++) {
		ids = data_encode(big, texts[i], 0);
		special = data_encode(big, texts[i], 1);
		assert_true(special.n < ids.n);
		for (k = 0; k < ids.n; k++)
			assert_false(tokenizer_special(big, ids.id[k]));
		idbuf_clear(&ids);
		idbuf_clear(&special);
	}
}

/* Bytes of tokens, and of ids without a text. */
static void
bytes_of_a_token_are_its_text(void **state)
{
	static const struct { int32_t id; const char *bytes; } cases[] = {
		{ 0, "<|endoftext|>" }, { 13961, "human" }, { 32056, ">:" },
		{ 187, "\n" }, { 50276, "  " }, { 50277, "" }, { 50431, "" },
		{ -1, "" }, { 1 << 30, "" },
	};
	const char	*s;
	size_t		 i, n;

	(void)state;
	assert_int_equal(tokenizer_size(big), 50277);
	for (i = 0; i < nitems(cases); i++) {
		s = tokenizer_bytes(big, cases[i].id, &n);
		assert_int_equal(n, strlen(cases[i].bytes));
		assert_memory_equal(s, cases[i].bytes, n);
	}
	assert_true(tokenizer_special(big, 0));
	assert_true(tokenizer_special(big, 1));
	assert_false(tokenizer_special(big, 50276));
}

/* Return the seconds of processor time for encoding n bytes. */
static double
encode_time(const char *s, size_t n)
{
	struct idbuf	 ids = { NULL, 0, 0 };
	clock_t		 start = clock();

	tokenizer_encode(big, s, n, 0, &ids);
	idbuf_clear(&ids);
	return ((double)(clock() - start) / CLOCKS_PER_SEC);
}

/* One word of 60,000 and more letters: the time does not grow as the square.
 * Quadratic merging would need minutes for the longer one. */
static void
long_words_merge_in_n_log_n(void **state)
{
	enum { LONG = 1000000 };
	char	*s = xmalloc(LONG);
	size_t	 i;
	double	 a, b;

	(void)state;
	for (i = 0; i < LONG; i++)
		s[i] = "abcdefghijklmnopqrstuvwxyz"[(i * i + i / 7) % 26];
	a = encode_time(s, 60000);
	b = encode_time(s, LONG);
	print_message("60,000 letters %.3f s, %d letters %.3f s\n", a, LONG,
	    b);
	assert_true(b < 20);
	free(s);
}

/* A run of combining marks in the worst order does not take quadratic time
 * either. */
static void
combining_marks_sort_in_n_log_n(void **state)
{
	enum { MARKS = 200000 };
	char	*s = xmalloc(MARKS * 2 + 1);
	size_t	 i;
	double	 t;

	(void)state;
	s[0] = 'a';
	for (i = 0; i < MARKS; i++)
		memcpy(s + 1 + i * 2, i % 2 ? "\xcc\x96" : "\xcc\x81", 2);
	t = encode_time(s, MARKS * 2 + 1);
	print_message("%d marks %.3f s\n", MARKS, t);
	assert_true(t < 20);
	free(s);
}

/* Merges can be written as pairs, as in newer files. */
static void
merges_may_be_pairs(void **state)
{
	json_t		*root = data_json("neox-tiny/tokenizer.json");
	json_t		*list, *v;
	struct tokenizer *t;
	struct fault	 f = { .message = "" };
	char		*text, *space;
	size_t		 i;

	(void)state;
	list = json_object_get(json_object_get(root, "model"), "merges");
	json_array_foreach(list, i, v) {
		text = xstrdup(json_string_value(v));
		space = strchr(text, ' ');
		*space = '\0';
		json_array_set_new(list, i, json_pack("[ss]", text,
		    space + 1));
		free(text);
	}
	if ((t = data_parse(root, &f)) == NULL)
		fail_msg("%s", f.message);
	tokenizer_free(t);
	json_decref(root);
}

/* Open both tokenizers once. */
static int
setup(void **state)
{
	(void)state;
	big = data_tokenizer("gpt-neox-20b");
	tiny = data_tokenizer("neox-tiny");
	return (0);
}

/* And release them. */
static int
teardown(void **state)
{
	(void)state;
	tokenizer_free(big);
	tokenizer_free(tiny);
	return (0);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(ids_equal_the_reference_of_20b),
		cmocka_unit_test(a_text_bit_by_bit_gives_the_same_ids),
		cmocka_unit_test(no_call_encodes_much_more_than_its_limit),
		cmocka_unit_test(
		    words_are_remembered_for_one_account_at_a_time),
		cmocka_unit_test(ids_equal_the_reference_of_tiny),
		cmocka_unit_test(user_text_gives_no_special_ids),
		cmocka_unit_test(bytes_of_a_token_are_its_text),
		cmocka_unit_test(long_words_merge_in_n_log_n),
		cmocka_unit_test(combining_marks_sort_in_n_log_n),
		cmocka_unit_test(merges_may_be_pairs),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
