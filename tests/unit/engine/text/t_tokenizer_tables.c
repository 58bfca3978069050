/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tokenizer that is restored from its tables is equal to the original.
 * Malformed tables are refused with a message, or they make a tokenizer that
 * keeps its guarantees.
 */
#include "tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "engine_data.h"
#include "xmalloc.h"

#define HEAD	52	/* bytes before the entries of the 256 bytes */

/* A tokenizer and its tables. */
struct saved {
	struct tokenizer	*t;		/* owned */
	uint8_t			*bytes;		/* owned */
	size_t			 n;
};

static struct saved	big, tiny;

/* Restore tables from memory that ends exactly after them. */
static int
restore(const uint8_t *bytes, size_t n, struct tokenizer **out,
    struct fault *f)
{
	uint8_t	*copy = xmalloc(n > 0 ? n : 1);
	int	 r;

	memcpy(copy, bytes, n);
	*out = NULL;
	*f = (struct fault){ .code = NULL };
	r = tokenizer_restore("some/file", copy, n, out, f);
	free(copy);
	return (r);
}

/* Encode a text with both. Return 1 if the ids differ. */
static int
differ(const struct tokenizer *t, const struct tokenizer *want, const char *s,
    size_t n, int special)
{
	struct idbuf	 a = { NULL, 0, 0 }, b = { NULL, 0, 0 };
	int		 bad;

	tokenizer_encode(t, s, n, special, &a);
	tokenizer_encode(want, s, n, special, &b);
	bad = data_ids_differ(s, &a, &b);
	idbuf_clear(&a);
	idbuf_clear(&b);
	return (bad);
}

/* Compare every text of list, which has the ids of the reference. */
static void
check_texts(const struct saved *s, const struct tokenizer *t,
    const json_t *list)
{
	const json_t	*v, *text;
	struct idbuf	 got = { NULL, 0, 0 }, want;
	size_t		 i;
	int		 bad = 0;

	json_array_foreach(list, i, v) {
		text = json_object_get(v, "text");
		if (!json_is_string(text))
			continue;
		want = data_ids(json_object_get(v, "ids"));
		got.n = 0;
		tokenizer_encode(t, json_string_value(text),
		    json_string_length(text), 1, &got);
		bad += data_ids_differ(json_string_value(text), &got, &want);
		bad += differ(t, s->t, json_string_value(text),
		    json_string_length(text), 0);
		idbuf_clear(&want);
	}
	idbuf_clear(&got);
	assert_int_equal(bad, 0);
}

/* The tables of a tokenizer, and a list of texts: everything is equal, also
 * after saving a second time. */
static void
check_saved(const struct saved *s, const json_t *list)
{
	struct tokenizer	*t;
	struct fault		 f;
	uint8_t			*again;
	size_t			 n;

	if (restore(s->bytes, s->n, &t, &f) != 0)
		fail_msg("%s", f.message);
	assert_int_equal(data_tokens_differ(t, s->t), 0);
	check_texts(s, t, list);
	tokenizer_save(t, &again, &n);
	assert_int_equal(n, s->n);
	assert_memory_equal(again, s->bytes, n);
	free(again);
	tokenizer_free(t);
}

/* The published tokenizer, on all vectors. */
static void
the_20b_tokenizer_survives_its_tables(void **state)
{
	json_t	*list = data_lines("gpt-neox-20b/tokenizer-vectors.jsonl");

	(void)state;
	check_saved(&big, list);
	json_decref(list);
}

/* The tokenizer of neox-tiny. */
static void
the_tiny_tokenizer_survives_its_tables(void **state)
{
	json_t	*root = data_json("neox-tiny/expected.json");

	(void)state;
	check_saved(&tiny, json_object_get(root, "sequences"));
	json_decref(root);
}

/* Print how long both take, for the reader. */
static void
restoring_takes_a_small_part_of_parsing(void **state)
{
	struct tokenizer	*t;
	struct fault		 f;
	clock_t			 begin = clock(), parsed, restored;

	(void)state;
	t = data_tokenizer("gpt-neox-20b");
	parsed = clock() - begin;
	tokenizer_free(t);
	begin = clock();
	assert_int_equal(tokenizer_restore("x", big.bytes, big.n, &t, &f), 0);
	restored = clock() - begin;
	tokenizer_free(t);
	print_message("parsed in %.1f ms, restored in %.1f ms\n",
	    (double)parsed * 1000 / CLOCKS_PER_SEC,
	    (double)restored * 1000 / CLOCKS_PER_SEC);
	assert_true(restored * 3 < parsed);
}

/* Bytes after the tables are allowed. */
static void
bytes_after_the_tables_are_ignored(void **state)
{
	struct tokenizer	*t;
	struct fault		 f;
	uint8_t			*padded = xcalloc(tiny.n + 63, 1);

	(void)state;
	memcpy(padded, tiny.bytes, tiny.n);
	assert_int_equal(restore(padded, tiny.n + 63, &t, &f), 0);
	assert_int_equal(data_tokens_differ(t, tiny.t), 0);
	tokenizer_free(t);
	free(padded);
}

/* A message has the file and the error, in one line. */
static void
check_fault(int r, const struct tokenizer *t, const struct fault *f)
{
	assert_true(r == CHAT_EFORMAT || r == CHAT_EUNSUPPORTED);
	assert_null(t);
	assert_string_equal(f->code, "bad_model");
	assert_int_equal(strncmp(f->message, "some/file: ", 11), 0);
	assert_null(strchr(f->message, '\n'));
}

/* Every tokenizer keeps its guarantees: ids are tokens, and a user's text has
 * no special token. */
static void
check_promises(const struct tokenizer *t)
{
	static const char	 sample[] = "Hello <|endoftext|>  it's "
				    "<x> aab e\xcc\x81\t\xe2\x80\x83 <unk>\n"
				    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct idbuf	 ids = { NULL, 0, 0 };
	size_t		 i, n;

	tokenizer_encode(t, sample, sizeof sample - 1, 1, &ids);
	for (i = 0; i < ids.n; i++)
		tokenizer_bytes(t, ids.id[i], &n);
	ids.n = 0;
	tokenizer_encode(t, sample, sizeof sample - 1, 0, &ids);
	for (i = 0; i < ids.n; i++) {
		assert_in_range(ids.id[i], 0, tokenizer_size(t) - 1);
		assert_false(tokenizer_special(t, ids.id[i]));
	}
	idbuf_clear(&ids);
}

/* Cut at any byte, the tables are refused. */
static void
cut_tables_are_refused(void **state)
{
	struct tokenizer	*t;
	struct fault		 f;
	size_t			 n;
	int			 r;

	(void)state;
	for (n = 0; n < tiny.n; n++) {
		r = restore(tiny.bytes, n, &t, &f);
		check_fault(r, t, &f);
	}
	for (n = 1; n < big.n; n *= 2) {
		r = restore(big.bytes, big.n - n, &t, &f);
		check_fault(r, t, &f);
	}
}

/* Change one byte, rounds times. */
static void
flip(const struct saved *s, int rounds, int *refused)
{
	struct tokenizer	*t;
	struct fault		 f;
	uint32_t		 seed = 7;
	uint8_t			*at, was;
	int			 i, r;

	for (i = 0; i < rounds; i++) {
		seed = seed * 1664525 + 1013904223;
		at = &s->bytes[(seed >> 3) % s->n];
		was = *at;
		seed = seed * 1664525 + 1013904223;
		*at ^= (uint8_t)(1 + (seed >> 16) % 255);
		if ((r = restore(s->bytes, s->n, &t, &f)) == 0)
			check_promises(t);
		else {
			check_fault(r, t, &f);
			(*refused)++;
		}
		tokenizer_free(t);
		*at = was;
	}
}

/* Random damage. */
static void
flipped_bytes_are_refused_or_harmless(void **state)
{
	int	 refused = 0;

	(void)state;
	flip(&tiny, 5000, &refused);
	flip(&big, 100, &refused);
	print_message("%d of 5100 refused\n", refused);
	assert_true(refused > 1000);
}

/* Replace number i of the head. */
static void
head_put(uint8_t *bytes, int i, uint32_t v)
{
	int	 k;

	for (k = 0; k < 4; k++)
		bytes[8 + i * 4 + k] = (uint8_t)(v >> 8 * k);
}

/* Change each number of the head, and the special tokens. */
static void
errors_in_tables_are_named(void **state)
{
	static const struct {
		int		 at;	/* index in the head; -1: see off */
		size_t		 off;
		uint32_t	 v;
		int		 r;
		const char	*says;
	} cases[] = {
		{ 0, 0, 2, CHAT_EUNSUPPORTED, "tables of version 1" },
		{ 1, 0, 0xffffffff, CHAT_EFORMAT, "expected" },
		{ 2, 0, 0x20, CHAT_EFORMAT, "options 0x20" },
		{ 3, 0, 0, CHAT_EFORMAT, "0 tokens" },
		{ 3, 0, 0xffffffff, CHAT_EFORMAT, "4294967295 tokens" },
		{ 4, 0, 0xfffffff0, CHAT_EFORMAT, "expected" },
		{ 5, 0, 0x7fffffff, CHAT_EFORMAT, "unknown token" },
		{ 6, 0, 1 << 21, CHAT_EFORMAT, "merges" },
		{ 7, 0, 1 << 21, CHAT_EFORMAT, "words" },
		{ 8, 0, 4097, CHAT_EFORMAT, "added" },
		{ 9, 0, 0xffffffff, CHAT_EFORMAT, "added" },
		{ 10, 0, 0x80000000, CHAT_EFORMAT, "expected" },
		{ -1, HEAD, 3, CHAT_EFORMAT, "byte 0x00" },
		{ -1, HEAD + 4, 0x7fffffff, CHAT_EFORMAT, "is not a token" },
		{ -1, HEAD + 256 * 12, 0xfffffffe, CHAT_EFORMAT, "token 0" },
	};
	struct tokenizer	*t;
	struct fault		 f;
	uint8_t			*copy = xmalloc(tiny.n);
	size_t			 i;
	int			 r;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		memcpy(copy, tiny.bytes, tiny.n);
		head_put(copy, cases[i].at >= 0 ? cases[i].at :
		    (int)(cases[i].off - 8) / 4, cases[i].v);
		r = restore(copy, tiny.n, &t, &f);
		check_fault(r, t, &f);
		assert_int_equal(r, cases[i].r);
		if (strstr(f.message, cases[i].says) == NULL)
			fail_msg("%s does not say %s", f.message,
			    cases[i].says);
	}
	free(copy);
}

/* Open both tokenizers once. */
static int
setup(void **state)
{
	(void)state;
	big.t = data_tokenizer("gpt-neox-20b");
	tiny.t = data_tokenizer("neox-tiny");
	tokenizer_save(big.t, &big.bytes, &big.n);
	tokenizer_save(tiny.t, &tiny.bytes, &tiny.n);
	return (0);
}

/* And release them. */
static int
teardown(void **state)
{
	(void)state;
	tokenizer_free(big.t);
	tokenizer_free(tiny.t);
	free(big.bytes);
	free(tiny.bytes);
	return (0);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(the_20b_tokenizer_survives_its_tables),
		cmocka_unit_test(the_tiny_tokenizer_survives_its_tables),
		cmocka_unit_test(restoring_takes_a_small_part_of_parsing),
		cmocka_unit_test(bytes_after_the_tables_are_ignored),
		cmocka_unit_test(cut_tables_are_refused),
		cmocka_unit_test(flipped_bytes_are_refused_or_harmless),
		cmocka_unit_test(errors_in_tables_are_named),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
