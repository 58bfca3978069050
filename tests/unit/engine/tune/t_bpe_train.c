/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training of tokenizers: the merges are those of the reference library, and
 * the file is one that the engine reads.
 */
#include "bpe_train.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine_data.h"
#include "path.h"
#include "tokenizer.h"

#define VOCAB	900

/* The text of a file of tests/data/tune. Owned. */
static char *
text_of(const char *name, size_t *n)
{
	char	*path = data_path(name), *text;

	assert_int_equal(path_read(path, 1 << 20, &text, n), 0);
	free(path);
	return (text);
}

/* Train on text.txt. Owned. */
static char *
train(void)
{
	struct bpe_train	*t = bpe_train_new();
	size_t			 n;
	char			*text = text_of("tune/text.txt", &n), *json;

	bpe_train_text(t, text, n);
	json = bpe_train_json(t, VOCAB);
	bpe_train_free(t);
	free(text);
	return (json);
}

static void
test_merges_are_those_of_the_reference(void **state)
{
	char	*json = train(), *want, *s, *save;
	json_t	*root = json_loads(json, 0, NULL), *merges;
	size_t	 n, i = 0;

	(void)state;
	want = text_of("tune/merges.txt", &n);
	merges = json_object_get(json_object_get(root, "model"), "merges");
	for (s = strtok_r(want, "\n", &save); s != NULL;
	    s = strtok_r(NULL, "\n", &save))
		assert_string_equal(s, json_string_value(
		    json_array_get(merges, i++)));
	assert_int_equal(i, json_array_size(merges));
	assert_true(i > 500);
	json_decref(root);
	free(want);
	free(json);
}

static void
test_the_engine_reads_the_file(void **state)
{
	static const char	 text[] = "The Lion and  the Mouse\n12 "
				    "caf\xc3\xa9";
	char			*json = train();
	struct tokenizer	*t;
	struct idbuf		 id = { 0 };
	struct fault		 f;
	size_t			 i, n, at = 0;
	const char		*s;

	(void)state;
	if (tokenizer_parse("trained", json, strlen(json), &t, &f) != 0)
		fail_msg("%s", f.message);
	assert_int_equal(tokenizer_size(t), VOCAB);
	tokenizer_encode(t, text, strlen(text), 0, &id);
	for (i = 0; i < id.n; i++, at += n) {
		s = tokenizer_bytes(t, id.id[i], &n);
		assert_true(at + n <= strlen(text));
		assert_memory_equal(s, text + at, n);
	}
	assert_int_equal(at, strlen(text));
	assert_true(id.n < strlen(text) / 2);
	assert_true(tokenizer_special(t, 0));
	idbuf_clear(&id);
	tokenizer_free(t);
	free(json);
}

static void
test_few_words_give_few_tokens(void **state)
{
	struct bpe_train	*t = bpe_train_new();
	char			*json;
	struct tokenizer	*tok;
	struct fault		 f;

	(void)state;
	bpe_train_text(t, "ab ab", 5);
	json = bpe_train_json(t, VOCAB);
	assert_int_equal(tokenizer_parse("few", json, strlen(json), &tok,
	    &f), 0);
	/* "a" + "b", and " " + "ab" */
	assert_int_equal(tokenizer_size(tok), BPE_TRAIN_LEAST + 2);
	tokenizer_free(tok);
	free(json);
	bpe_train_free(t);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merges_are_those_of_the_reference),
		cmocka_unit_test(test_the_engine_reads_the_file),
		cmocka_unit_test(test_few_words_give_few_tokens)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
