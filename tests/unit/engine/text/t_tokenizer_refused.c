/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenizer.json files that are malformed, contradict themselves or need what
 * is not supported: each is refused, and the message names the error.
 */
#include "tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine_data.h"
#include "xmalloc.h"

static json_t	*base;		/* a valid file, which tests change */

/* Parse a text and return the result of tokenizer_parse. */
static int
open_text(const char *text, struct fault *f)
{
	struct tokenizer	*t = NULL;
	int			 r;

	r = tokenizer_parse("file", text, strlen(text), &t, f);
	tokenizer_free(t);
	return (r);
}

#define PARTS "\"normalizer\":{\"type\":\"NFC\"},\"decoder\":{\"type\":" \
	"\"ByteLevel\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\"," \
	"\"add_prefix_space\":false}"

/* Each malformed file is refused, and the message names the error. */
static void
broken_files_are_refused(void **state)
{
	static const struct { const char *text, *says; } cases[] = {
		{ "", "line" },
		{ "{", "line" },
		{ "[]", "a JSON object" },
		{ "{}", "model" },
		{ "{\"model\":{}}", "pre_tokenizer" },
		{ "{" PARTS ",\"model\":{}}", "model.vocab" },
		{ "{" PARTS ",\"model\":{\"vocab\":{\"a\":-1}}}", "its id" },
		{ "{" PARTS ",\"model\":{\"vocab\":{\"a\":2000000}}}",
		    "its id" },
		{ "{" PARTS ",\"model\":{\"vocab\":{\"a\":1.5}}}", "its id" },
		{ "{" PARTS ",\"model\":{\"vocab\":{\"a\":3,\"b\":3}}}",
		    "two tokens" },
		{ "{" PARTS ",\"model\":{\"vocab\":{\"a\":3}}}",
		    "model.merges" },
		{ "{" PARTS ",\"added_tokens\":[{\"id\":1,\"content\":\"\"}],"
		    "\"model\":{\"vocab\":{\"a\":3},\"merges\":[]}}",
		    "added token" },
		{ "{" PARTS ",\"added_tokens\":{},\"model\":{\"vocab\":"
		    "{\"a\":3},\"merges\":[]}}", "added_tokens" },
		{ "{" PARTS ",\"model\":{\"vocab\":{\"a\":3},\"merges\":[],"
		    "\"unk_token\":\"u\"}}", "unk_token" },
	};
	struct fault	 f;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		f.message[0] = '\0';
		assert_true(open_text(cases[i].text, &f) < 0);
		assert_string_equal(f.code, "bad_model");
		if (strstr(f.message, cases[i].says) == NULL)
			fail_msg("%s: %s does not say %s", cases[i].text,
			    f.message, cases[i].says);
	}
}

/* A merge that is not a pair, or that has unknown tokens, is named. */
static void
bad_merges_are_refused(void **state)
{
	static const struct { const char *merge, *says; } cases[] = {
		{ "\"ab\"", "merges[0] is not a pair" },
		{ "7", "merges[0] is not a pair" },
		{ "[\"a\"]", "merges[0] is not a pair" },
		{ "\"a b c\"", "merges[0] is not a pair" },
		{ "\"a \"", "merges[0] is not a pair" },
		{ "\"a zz\"", "\"zz\" is not in" },
		{ "[\"z\",\"q\"]", "\"zq\" is not in" },
		{ "[\"a\",\"n\"]", "merges[1] is not a pair" },
	};
	json_t		*root = data_json("neox-tiny/tokenizer.json"), *list;
	struct fault	 f;
	char		*text;
	size_t		 i;

	(void)state;
	list = json_object_get(json_object_get(root, "model"), "merges");
	for (i = 0; i < nitems(cases); i++) {
		json_array_set_new(list, 0, json_loads(cases[i].merge,
		    JSON_DECODE_ANY, NULL));
		text = json_dumps(root, 0);
		assert_true(open_text(text, &f) < 0);
		if (strstr(f.message, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].merge, f.message);
		free(text);
	}
	json_decref(root);
}

/* Parts that are not supported are refused by name. */
static void
other_parts_are_refused(void **state)
{
	static const struct { const char *patch, *says; int r; } cases[] = {
		{ "{\"normalizer\":{\"type\":\"NFKC\"}}",
		    "normalizer.type: \"NFKC\"", CHAT_EUNSUPPORTED },
		{ "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["
		    "{\"type\":\"NFC\"},{\"type\":\"Lowercase\"}]}}",
		    "normalizer.type: \"Lowercase\"", CHAT_EUNSUPPORTED },
		{ "{\"normalizer\":{\"type\":\"Sequence\"}}",
		    "normalizer.normalizers", CHAT_EFORMAT },
		{ "{\"normalizer\":7}", "normalizer: expected", CHAT_EFORMAT },
		{ "{\"pre_tokenizer\":null}", "pre_tokenizer",
		    CHAT_EUNSUPPORTED },
		{ "{\"pre_tokenizer\":{\"type\":\"Metaspace\"}}",
		    "pre_tokenizer.type: \"Metaspace\"", CHAT_EUNSUPPORTED },
		{ "{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{"
		    "\"Regex\":\"(a*)*b\"}}}", "\"Split\"",
		    CHAT_EUNSUPPORTED },
		{ "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\""
		    ":[]}}", "Sequence of 0", CHAT_EUNSUPPORTED },
		{ "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\""
		    ":[{\"type\":\"ByteLevel\"},{\"type\":\"ByteLevel\"}]}}",
		    "Sequence of 2", CHAT_EUNSUPPORTED },
		{ "{\"pre_tokenizer\":{\"add_prefix_space\":null}}",
		    "add_prefix_space", CHAT_EFORMAT },
		{ "{\"pre_tokenizer\":{\"use_regex\":1}}", "use_regex",
		    CHAT_EFORMAT },
		{ "{\"post_processor\":{\"type\":\"RobertaProcessing\"}}",
		    "\"RobertaProcessing\"", CHAT_EUNSUPPORTED },
		{ "{\"post_processor\":{\"type\":\"TemplateProcessing\","
		    "\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},"
		    "{\"Sequence\":{\"id\":\"A\"}}]}}", "adds tokens",
		    CHAT_EUNSUPPORTED },
		{ "{\"decoder\":null}", "decoder", CHAT_EUNSUPPORTED },
		{ "{\"decoder\":{\"type\":\"Metaspace\"}}",
		    "decoder.type: \"Metaspace\"", CHAT_EUNSUPPORTED },
		{ "{\"model\":{\"type\":\"Unigram\"}}",
		    "model.type: \"Unigram\"", CHAT_EUNSUPPORTED },
		{ "{\"model\":{\"dropout\":0.1}}", "dropout",
		    CHAT_EUNSUPPORTED },
		{ "{\"model\":{\"end_of_word_suffix\":\"</w>\"}}",
		    "end_of_word_suffix", CHAT_EUNSUPPORTED },
		{ "{\"model\":{\"continuing_subword_prefix\":\"##\"}}",
		    "continuing_subword_prefix", CHAT_EUNSUPPORTED },
		{ "{\"model\":{\"ignore_merges\":\"yes\"}}", "ignore_merges",
		    CHAT_EFORMAT },
		{ "{\"model\":{\"unk_token\":7}}", "unk_token", CHAT_EFORMAT },
		{ "{\"version\":\"2.0\"}", "version: \"2.0\"",
		    CHAT_EUNSUPPORTED },
		{ "{\"wordpieces\":[]}", "\"wordpieces\"",
		    CHAT_EUNSUPPORTED },
	};
	json_t		*root, *patch;
	struct fault	 f;
	char		*text;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		struct tokenizer	*t = NULL;

		root = json_deep_copy(base);
		patch = json_loads(cases[i].patch, 0, NULL);
		json_object_update_recursive(root, patch);
		text = json_dumps(root, 0);
		assert_int_equal(tokenizer_parse("some/file", text,
		    strlen(text), &t, &f), cases[i].r);
		assert_null(t);
		if (strstr(f.message, cases[i].says) == NULL ||
		    strncmp(f.message, "some/file: ", 11) != 0)
			fail_msg("%s: %s", cases[i].patch, f.message);
		free(text);
		json_decref(patch);
		json_decref(root);
	}
}

/* Added tokens that contradict the vocabulary are refused. */
static void
contradictions_are_refused(void **state)
{
	static const struct { const char *added, *says; } cases[] = {
		{ "{\"id\":999,\"content\":\"<x>\"}", "its id is not" },
		{ "{\"id\":97,\"content\":\"<x>\"}", "its id is not" },
		{ "{\"id\":98,\"content\":\"a\"}", "its id is not 97" },
		{ "{\"id\":97,\"content\":\"a\"},{\"id\":97,\"content\":"
		    "\"a\"}", "in the file twice" },
		{ "{\"id\":97,\"content\":\"a\",\"special\":true}",
		    "byte 0x61 is special" },
		{ "{\"id\":97,\"content\":\"a\",\"lstrip\":1}",
		    "lstrip is not" },
		{ "{\"content\":\"a\"}", "its id is not 97" },
		{ "{\"id\":97}", "an added token" },
		{ "7", "an added token" },
	};
	json_t		*root, *list;
	struct fault	 f;
	char		*text;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		root = json_deep_copy(base);
		text = xasprintf("[%s]", cases[i].added);
		list = json_loads(text, 0, NULL);
		json_object_set_new(root, "added_tokens", list);
		f.message[0] = '\0';
		assert_null(data_parse(root, &f));
		if (strstr(f.message, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].added, f.message);
		free(text);
		json_decref(root);
	}
}

/* Two contents that are equal after NFC are refused, because they are
 * ambiguous. */
static void
equal_normalised_tokens_are_refused(void **state)
{
	json_t		*root = json_deep_copy(base), *list;
	struct fault	 f = { .message = "" };
	int		 n = (int)json_object_size(json_object_get(
			     json_object_get(base, "model"), "vocab"));

	(void)state;
	list = json_pack("[{s:i,s:s,s:b},{s:i,s:s,s:b}]",
	    "id", n, "content", "x\xc3\xa9", "normalized", 1,
	    "id", n + 1, "content", "xe\xcc\x81", "normalized", 1);
	json_object_set_new(root, "added_tokens", list);
	assert_null(data_parse(root, &f));
	assert_non_null(strstr(f.message, "the same text"));
	json_decref(root);
}

/* A name from the file can't break the one line of a message. */
static void
faults_are_one_line(void **state)
{
	json_t		*root = json_deep_copy(base);
	struct fault	 f = { .message = "" };

	(void)state;
	json_object_set_new(root, "a\nb\x7f\x1b[2J", json_null());
	assert_null(data_parse(root, &f));
	assert_non_null(strstr(f.message, "a?b??[2J"));
	json_decref(root);
}

/* Read the base of the vectors. */
static int
setup(void **state)
{
	json_t	*lines = data_lines("tokenizer-flags/vectors.jsonl");

	(void)state;
	base = json_incref(json_object_get(json_array_get(lines, 0), "base"));
	json_decref(lines);
	return (base == NULL);
}

/* Release it. */
static int
teardown(void **state)
{
	(void)state;
	json_decref(base);
	return (0);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(broken_files_are_refused),
		cmocka_unit_test(bad_merges_are_refused),
		cmocka_unit_test(other_parts_are_refused),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(equal_normalised_tokens_are_refused),
		cmocka_unit_test(faults_are_one_line),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
