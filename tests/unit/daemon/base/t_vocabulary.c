/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary: looking up words, and lists in messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vocabulary.h"

/* Each word is at the index that its enum gives. */
static void
words_are_found_at_their_place(void **state)
{
	(void)state;
	assert_int_equal(vocabulary_find(vocabulary_actions, "redact"),
	    ACTION_REDACT);
	assert_int_equal(vocabulary_find(vocabulary_directions, "reply"),
	    DIRECTION_REPLY);
	assert_int_equal(vocabulary_category("misinformation"), 0);
	assert_int_equal(vocabulary_category("other_unsafe"), CATEGORIES - 1);
	assert_int_equal(vocabulary_category("no_such"), -1);
	assert_int_equal(vocabulary_category(""), -1);
}

/* A list is printed as a part of a sentence. */
static void
lists_have_commas_and_a_conjunction(void **state)
{
	static const struct {
		const char	*words[4], *list;
	} cases[] = {
		{ { "a", NULL }, "a" },
		{ { "a", "b", NULL }, "a or b" },
		{ { "a", "b", "c", NULL }, "a, b or c" },
	};
	char	*list;
	size_t	 i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		list = vocabulary_list(cases[i].words, "or");
		assert_string_equal(list, cases[i].list);
		free(list);
	}
}

/* A fault names the field, the words, and the text that was found. */
static void
faults_name_the_words(void **state)
{
	struct fault	 f;

	(void)state;
	assert_int_equal(vocabulary_fault(&f, "bad_field", "direction",
	    vocabulary_directions, "up"), CHAT_EFORMAT);
	assert_string_equal(f.message, "direction: expected prompt or reply, "
	    "found \"up\"");
	assert_string_equal(f.field, "direction");
	vocabulary_fault(&f, "bad_field", "direction", vocabulary_directions,
	    NULL);
	assert_string_equal(f.message, "direction: expected prompt or reply");
}

/* The default of each parameter is within its range. */
static void
defaults_are_in_range(void **state)
{
	const struct vocabulary_param	*p;
	size_t				 i = 0;

	(void)state;
	for (p = vocabulary_params; p->name != NULL; p++) {
		assert_string_equal(vocabulary_param_names[i++], p->name);
		if (p->dflt == NULL)
			continue;
		assert_true(strtod(p->dflt, NULL) >= p->min);
		assert_true(strtod(p->dflt, NULL) <= p->max);
	}
	assert_null(vocabulary_param_names[i]);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(words_are_found_at_their_place),
		cmocka_unit_test(lists_have_commas_and_a_conjunction),
		cmocka_unit_test(faults_name_the_words),
		cmocka_unit_test(defaults_are_in_range),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
