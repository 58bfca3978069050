/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From tokens back to text: the reference vectors, and the same text however
 * the bytes are cut.
 */
#include "detok.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine_data.h"
#include "utf8.h"
#include "xmalloc.h"

#define BAD "\xef\xbf\xbd"

/* Every vector of the 20B tokenizer. */
static void
text_equals_the_reference(void **state)
{
	struct tokenizer	*t = data_tokenizer("gpt-neox-20b");
	struct textbuf		 text = { NULL, 0, 0 };
	struct idbuf		 ids;
	json_t			*list, *v, *want;
	size_t			 i;

	(void)state;
	list = data_lines("gpt-neox-20b/detokenizer-vectors.jsonl");
	assert_int_equal(json_array_size(list), 758);
	json_array_foreach(list, i, v) {
		ids = data_ids(json_object_get(v, "ids"));
		want = json_object_get(v, "text");
		text.n = 0;
		detok_ids(t, ids.id, ids.n, json_is_true(json_object_get(v,
		    "skip_special_tokens")), &text);
		if (text.n != json_string_length(want) || (text.n > 0 &&
		    memcmp(text.s, json_string_value(want), text.n) != 0))
			fail_msg("case %zu: got \"%.*s\", want \"%s\"", i,
			    (int)text.n, text.s, json_string_value(want));
		idbuf_clear(&ids);
	}
	textbuf_clear(&text);
	json_decref(list);
	tokenizer_free(t);
}

static const struct { const char *in, *out; } cases[] = {
	{ "", "" },
	{ "abc", "abc" },
	{ "\xf0\x9f\x98\x80!", "\xf0\x9f\x98\x80!" },
	{ "\xe4\xbd\xa0\xe5\xa5\xbd", "\xe4\xbd\xa0\xe5\xa5\xbd" },
	{ "\x80", BAD }, { "\x80\x80", BAD BAD }, { "\xff" "a", BAD "a" },
	{ "\xe4\xbd", BAD }, { "\xe4\xbd" "a", BAD "a" },
	{ "\xf0\x9f\x98", BAD }, { "\xf0\x9f\x98\xf0\x9f\x98\x80",
	    BAD "\xf0\x9f\x98\x80" },
	{ "\xe4\xe4\xbd\xa0", BAD "\xe4\xbd\xa0" },
	{ "\xed\xa0\x80", BAD BAD BAD },
	{ "\xf0\x80\x80\x80", BAD BAD BAD BAD },
	{ "\xc0\xaf", BAD BAD }, { "\xf4\x90\x80\x80", BAD BAD BAD BAD },
};

/* Each case, cut in two at every byte, and byte by byte. */
static void
cuts_make_no_difference(void **state)
{
	struct detok	 d = { { 0 }, 0 };
	struct textbuf	 out = { NULL, 0, 0 };
	size_t		 i, cut, n;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		n = strlen(cases[i].in);
		for (cut = 0; cut <= n; cut++) {
			out.n = 0;
			detok_add(&d, cases[i].in, cut, &out);
			assert_true(utf8_valid(out.s, out.n));
			detok_add(&d, cases[i].in + cut, n - cut, &out);
			detok_end(&d, &out);
			textbuf_add(&out, "", 1);
			assert_string_equal(out.s, cases[i].out);
		}
	}
	textbuf_clear(&out);
}

/* No part of a character is emitted before its last byte. */
static void
characters_come_out_whole(void **state)
{
	struct detok	 d = { { 0 }, 0 };
	struct textbuf	 out = { NULL, 0, 0 };

	(void)state;
	detok_add(&d, "\xf0\x9f\x98", 3, &out);
	assert_int_equal(out.n, 0);
	detok_add(&d, "\x80", 1, &out);
	assert_int_equal(out.n, 4);
	detok_end(&d, &out);
	assert_int_equal(out.n, 4);
	textbuf_clear(&out);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(text_equals_the_reference),
		cmocka_unit_test(cuts_make_no_difference),
		cmocka_unit_test(characters_come_out_whole),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
