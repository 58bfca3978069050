/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokenizers of GGUF files: the text made from one gives the ids of the
 * original tokenizer.json, and malformed ones are refused.
 */
#include "gguf.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine_data.h"
#include "gguf_files.h"
#include "tokenizer.h"
#include "xmalloc.h"

#define MODEL	"tokenizer.ggml.model"
#define PRE	"tokenizer.ggml.pre"
#define TOKENS	"tokenizer.ggml.tokens"
#define KINDS	"tokenizer.ggml.token_type"
#define MERGES	"tokenizer.ggml.merges"

/* Bytes of a string as in files. */
#define S(n, s)	n "\0\0\0\0\0\0\0" s

/* Read the tokenizer of tests/data/FOLDER through the GGUF file of a model with
 * `vocab` ids. */
static struct tokenizer *
through_gguf(const char *folder, int vocab)
{
	char		*name = xasprintf("%s/tokenizer.json", folder);
	char		*path = data_path(name);
	struct gguf_file pieces;
	struct gguf	 g;
	struct fault	 f;
	struct tokenizer *t;

	gguf_file_frame(&pieces, NULL, vocab);
	gguf_file_tokenizer(&pieces, path, vocab);
	if (gguf_file_read(&pieces, &g, &f) != GGUF_OK)
		fail_msg("%s", f.message);
	assert_true(g.split_qkv);
	assert_int_equal(strlen(g.tokenizer), g.tokenizer_len);
	if (tokenizer_parse(path, g.tokenizer, g.tokenizer_len, &t, &f) != 0)
		fail_msg("%s", f.message);
	gguf_clear(&g);
	free(path);
	free(name);
	return (t);
}

/* Encode each text of a list and compare. Return how many had ids. */
static int
check_ids(const struct tokenizer *t, json_t *list)
{
	json_t	*v;
	size_t	 i;
	int	 n = 0, bad = 0;

	json_array_foreach(list, i, v) {
		if (!json_is_string(json_object_get(v, "text")))
			continue;
		bad += data_vector_differs(t, v, 1, "ids");
		n++;
	}
	assert_int_equal(bad, 0);
	return (n);
}

/* The 20B tokenizer: 155 ids of its model have no text. */
static void
ids_equal_the_reference_of_20b(void **state)
{
	struct tokenizer *t = through_gguf("gpt-neox-20b", 50432);
	struct tokenizer *want = data_tokenizer("gpt-neox-20b");
	json_t		*list = data_lines("gpt-neox-20b/tokenizer-vectors"
			    ".jsonl");

	(void)state;
	assert_int_equal(check_ids(t, list), 3905);
	assert_int_equal(data_tokens_differ(t, want), 0);
	json_decref(list);
	tokenizer_free(want);
	tokenizer_free(t);
}

/* The tokenizer of neox-tiny. In a user's text, the names of its special tokens
 * are ordinary text. */
static void
ids_equal_the_reference_of_tiny(void **state)
{
	struct tokenizer *t = through_gguf("neox-tiny", 320);
	struct tokenizer *want = data_tokenizer("neox-tiny");
	json_t		*root = data_json("neox-tiny/expected.json");
	struct idbuf	 ids = data_encode(t, "<|endoftext|>", 0);

	(void)state;
	assert_int_equal(check_ids(t, json_object_get(root, "sequences")), 5);
	assert_int_equal(data_tokens_differ(t, want), 0);
	assert_true(ids.n > 1);
	idbuf_clear(&ids);
	json_decref(root);
	tokenizer_free(want);
	tokenizer_free(t);
}

/* Make all valid keys except `without`. */
static void
put_sound(struct gguf_file *g, const char *without)
{
	gguf_file_frame(g, NULL, 8);
	if (strcmp(without, MODEL) != 0)
		gguf_file_string(g, MODEL, "gpt2");
	if (strcmp(without, PRE) != 0)
		gguf_file_string(g, PRE, "gpt-2");
	if (strcmp(without, TOKENS) != 0)
		gguf_file_array(g, TOKENS, PUT_STRING, 4, S("\1", "a")
		    S("\1", "b") S("\2", "ab") S("\2", "  "), 4 * 8 + 6);
	if (strcmp(without, KINDS) != 0)
		gguf_file_array(g, KINDS, PUT_I32, 4, "\1\0\0\0\1\0\0\0"
		    "\1\0\0\0\4\0\0\0", 16);
	if (strcmp(without, MERGES) != 0)
		gguf_file_array(g, MERGES, PUT_STRING, 1, S("\3", "a b"), 11);
}

/* A key that replaces a valid one. */
static const struct {
	enum gguf_error	 error;
	const char	*key;
	uint32_t	 elem;
	uint64_t	 count;
	size_t		 n;
	const char	*value, *words;
} cases[] = {
	{ GGUF_OK, KINDS, PUT_I32, 4, 16,
	    "\1\0\0\0\2\0\0\0\3\0\0\0\5\0\0\0", "" },
	{ GGUF_OK, MERGES, PUT_STRING, 0, 0, "", "" },
	{ GGUF_WRONG_TYPE, TOKENS, PUT_I32, 0, 0, "",
	    TOKENS ": expected an array of a string, found an array of int" },
	{ GGUF_WRONG_TYPE, KINDS, PUT_F32, 0, 0, "", "found an array of fl" },
	{ GGUF_WRONG_TYPE, MERGES, PUT_I32, 0, 0, "", MERGES },
	{ GGUF_TOKEN, TOKENS, PUT_STRING, 9, 9 * 9, S("\1", "a") S("\1", "b")
	    S("\1", "c") S("\1", "d") S("\1", "e") S("\1", "f") S("\1", "g")
	    S("\1", "h") S("\1", "i"),
	    "at most the 8 of token_embd.weight, found 9" },
	{ GGUF_TOKEN, TOKENS, PUT_STRING, 4, 4 * 8 + 3, S("\1", "a")
	    S("\0", "") S("\1", "c") S("\1", "d"),
	    "element 1: expected 1 to 4096 bytes, found 0" },
	{ GGUF_TOKEN, TOKENS, PUT_STRING, 4, 4 * 8 + 5, S("\1", "a")
	    S("\2", "\303b") S("\1", "c") S("\1", "d"),
	    "element 1: expected UTF-8" },
	{ GGUF_TOKEN, TOKENS, PUT_STRING, 4, 4 * 8 + 5, S("\1", "a")
	    S("\2", "b\0") S("\1", "c") S("\1", "d"), "expected UTF-8" },
	{ GGUF_TOKEN, KINDS, PUT_I32, 3, 12, "\1\0\0\0\1\0\0\0\1\0\0\0",
	    KINDS ": expected one for each of 4 tokens, found 3" },
	{ GGUF_TOKEN, KINDS, PUT_I32, 4, 16,
	    "\1\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0", "token 2: expected 1 to 5" },
	{ GGUF_TOKEN, KINDS, PUT_I32, 4, 16,
	    "\1\0\0\0\1\0\0\0\6\0\0\0\1\0\0\0", "found 6" },
	{ GGUF_TOKEN, KINDS, PUT_I32, 4, 16,
	    "\1\0\0\0\1\0\0\0\377\377\377\377\1\0\0\0", "found -1" },
	{ GGUF_TOKEN, MERGES, PUT_STRING, 1, 10, S("\2", "ab"),
	    MERGES ": element 0: expected 3 to 8193 bytes, found 2" },
	{ GGUF_TOKEN, MERGES, PUT_STRING, 1, 11, S("\3", "a \377"),
	    MERGES ": element 0: expected UTF-8" }
};

/* Each has its error. */
static void
tokenizers_are_checked(void **state)
{
	struct gguf_file pieces;
	struct gguf	 g;
	struct fault	 f;
	enum gguf_error	 e;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		put_sound(&pieces, cases[i].key);
		gguf_file_array(&pieces, cases[i].key, cases[i].elem,
		    cases[i].count, cases[i].value, cases[i].n);
		e = gguf_file_read(&pieces, &g, &f);
		if (e != cases[i].error || (e != GGUF_OK &&
		    strstr(f.message, cases[i].words) == NULL))
			fail_msg("case %zu: expected %d \"%s\", found %d %s", i,
			    cases[i].error, cases[i].words, e,
			    e == GGUF_OK ? "" : f.message);
		if (e == GGUF_OK)
			gguf_clear(&g);
	}
}

/* Required keys; without the tokenizer's model there is no tokenizer. */
static void
missing_keys_are_named(void **state)
{
	static const char *const names[] = { TOKENS, KINDS, MERGES };
	struct gguf_file pieces;
	struct gguf	 g;
	struct fault	 f;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(names); i++) {
		put_sound(&pieces, names[i]);
		assert_int_equal(gguf_file_read(&pieces, &g, &f), GGUF_MISSING);
		assert_string_equal(f.field, names[i]);
	}
	put_sound(&pieces, MODEL);
	assert_int_equal(gguf_file_read(&pieces, &g, &f), GGUF_OK);
	assert_null(g.tokenizer);
	assert_true(g.split_qkv);
	gguf_clear(&g);
}

/* Names of a tokenizer, or of a way to split texts. */
static const struct {
	enum gguf_error	 error;
	const char	*key, *word, *words;
} kinds[] = {
	{ GGUF_OK, PRE, "olmo", "" },
	{ GGUF_OK, PRE, "default", "" },
	{ GGUF_TOKENIZER, PRE, "llama-bpe", "found llama-bpe" },
	{ GGUF_TOKENIZER, PRE, "", PRE ": expected a split of texts" },
	{ GGUF_TOKENIZER, MODEL, "llama", MODEL ": expected gpt2, found lla" },
	{ GGUF_TOKENIZER, MODEL, "gpt2\n", "found (no text)" }
};

/* Each has its result. */
static void
other_kinds_are_refused(void **state)
{
	struct gguf_file pieces;
	struct gguf	 g;
	struct fault	 f;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(kinds); i++) {
		put_sound(&pieces, kinds[i].key);
		gguf_file_string(&pieces, kinds[i].key, kinds[i].word);
		f.message[0] = '\0';
		assert_int_equal(gguf_file_read(&pieces, &g, &f),
		    kinds[i].error);
		if (kinds[i].error == GGUF_OK)
			gguf_clear(&g);
		else if (strstr(f.message, kinds[i].words) == NULL)
			fail_msg("%s: %s", kinds[i].word, f.message);
	}
}

/* A file without the name of its split was written before query_key_value's
 * rows were reordered. */
static void
older_files_have_their_rows_as_they_were(void **state)
{
	struct gguf_file pieces;
	struct gguf	 g;
	struct fault	 f;

	(void)state;
	put_sound(&pieces, PRE);
	assert_int_equal(gguf_file_read(&pieces, &g, &f), GGUF_OK);
	assert_false(g.split_qkv);
	gguf_clear(&g);
}

/* Tokens that JSON must escape, of each kind. */
static void
tokens_come_out_as_they_are(void **state)
{
	struct gguf_file pieces;
	struct gguf	 g;
	struct fault	 f;
	json_t		*root, *added, *vocab;

	(void)state;
	put_sound(&pieces, TOKENS);
	gguf_file_array(&pieces, TOKENS, PUT_STRING, 4, S("\3", "\"\\\1")
	    S("\4", "\360\237\246\231") S("\1", "\177") S("\2", "\n\t"),
	    4 * 8 + 10);
	if (gguf_file_read(&pieces, &g, &f) != GGUF_OK)
		fail_msg("%s", f.message);
	root = json_loadb(g.tokenizer, g.tokenizer_len, JSON_REJECT_DUPLICATES,
	    NULL);
	assert_non_null(root);
	vocab = json_object_get(json_object_get(root, "model"), "vocab");
	assert_int_equal(json_object_size(vocab), 4);
	assert_int_equal(json_integer_value(json_object_get(vocab,
	    "\"\\\1")), 0);
	assert_int_equal(json_integer_value(json_object_get(vocab,
	    "\360\237\246\231")), 1);
	assert_non_null(json_object_get(vocab, "\177"));
	added = json_object_get(root, "added_tokens");
	assert_int_equal(json_array_size(added), 1);
	added = json_array_get(added, 0);
	assert_string_equal(json_string_value(json_object_get(added,
	    "content")), "\n\t");
	assert_true(json_is_true(json_object_get(added, "normalized")));
	assert_true(json_is_false(json_object_get(added, "special")));
	json_decref(root);
	gguf_clear(&g);
}

/* Add an array of n strings for key, each `size` times the byte c. */
static void
put_long(struct gguf_file *g, const char *key, uint64_t n, uint64_t size,
    int c)
{
	size_t	 one = 8 + (size_t)size, i;
	char	*all = xcalloc((size_t)n, one);

	for (i = 0; i < n; i++) {
		memcpy(all + i * one, &size, 8);
		memset(all + i * one + 8, c, (size_t)size);
	}
	gguf_file_array(g, key, PUT_STRING, n, all, (size_t)n * one);
	free(all);
}

/* Tokens and tokenizers that are too long; a control character takes six bytes
 * in JSON. */
static void
long_tokenizers_are_refused(void **state)
{
	struct gguf_file pieces;
	struct gguf	 g;
	struct fault	 f;

	(void)state;
	put_sound(&pieces, TOKENS);
	put_long(&pieces, TOKENS, 4, GGUF_TOKEN_MAX, 'a');
	assert_int_equal(gguf_file_read(&pieces, &g, &f), GGUF_OK);
	gguf_clear(&g);
	put_sound(&pieces, TOKENS);
	put_long(&pieces, TOKENS, 4, GGUF_TOKEN_MAX + 1, 'a');
	assert_int_equal(gguf_file_read(&pieces, &g, &f), GGUF_TOKEN);
	put_sound(&pieces, MERGES);
	put_long(&pieces, MERGES, 1000, GGUF_TOKEN_MAX, 1);
	assert_int_equal(gguf_file_read(&pieces, &g, &f), GGUF_TOO_BIG);
	assert_non_null(strstr(f.message, "at most 16777216"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_equal_the_reference_of_20b),
		cmocka_unit_test(ids_equal_the_reference_of_tiny),
		cmocka_unit_test(tokenizers_are_checked),
		cmocka_unit_test(missing_keys_are_named),
		cmocka_unit_test(other_kinds_are_refused),
		cmocka_unit_test(older_files_have_their_rows_as_they_were),
		cmocka_unit_test(tokens_come_out_as_they_are),
		cmocka_unit_test(long_tokenizers_are_refused)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
