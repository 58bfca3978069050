/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of look-alikes: it has the letters that role tags and folding need,
 * and every entry is found.
 */
#include "confusable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "utf8.h"
#include "xmalloc.h"

/* Each look-alike in text can be read as the letter. */
static const struct { const char *text; char latin; } alike[] = {
	{ "аαᴀɑᎪ4", 'a' }, { "βвьᏴᏏʙƀɓ", 'b' }, { "сҫ", 'c' }, { "ԁ", 'd' },
	{ "εеҽ3", 'e' }, { "ք", 'f' }, { "ɡց", 'g' }, { "һнհᏂᎻηʜɦħ", 'h' },
	{ "ıɩιі1!", 'i' }, { "ј", 'j' }, { "κк", 'k' }, { "ӏ", 'l' },
	{ "мμᎷᴍɱ", 'm' }, { "нпոռηνɴŋ", 'n' }, { "οσоօᴏø0", 'o' },
	{ "ρр", 'p' }, { "ԛգզ", 'q' }, { "г", 'r' }, { "ѕ5$", 's' },
	{ "τтᎢᴛŧƭ7", 't' }, { "ʋυսᴜ", 'u' }, { "νѵ", 'v' },
	{ "ωѡԝա", 'w' }, { "χх", 'x' }, { "ʏуү", 'y' },
};

/* Does the list above have c for this letter? */
static int
expected(uint32_t c, char latin)
{
	const char	*s;
	uint32_t	 k;
	size_t		 i;
	int		 n;

	for (i = 0; i < nitems(alike); i++) {
		if (alike[i].latin != latin)
			continue;
		for (s = alike[i].text; *s != '\0'; s += n) {
			n = utf8_decode(s, strlen(s), &k);
			assert_true(n > 0);
			if (k == c)
				return (1);
		}
	}
	return (0);
}

/* Every character against every letter. */
static void
test_the_table_has_these_look_alikes_and_no_others(void **state)
{
	uint32_t	 c;
	char		 latin;

	(void)state;
	for (c = 0; c < 0x20000; c++) {
		for (latin = 'a'; latin <= 'z'; latin++) {
			if (confusable_passes(c, latin) !=
			    expected(c, latin))
				fail_msg("U+%04X as %c: got %d", (unsigned)c,
				    latin, confusable_passes(c, latin));
		}
	}
}

/* Folding takes one letter, which is among those that c can be read as. */
static void
test_the_closest_letter_is_one_that_passes(void **state)
{
	uint32_t	 c, latin;

	(void)state;
	for (c = 0; c < 0x20000; c++) {
		if ((latin = confusable_latin(c)) != 0)
			assert_int_equal(confusable_passes(c, (char)latin), 1);
	}
	assert_int_equal(confusable_latin(0x3bd), 'v');
	assert_int_equal(confusable_latin(0x3b7), 'n');
	assert_int_equal(confusable_latin(0x43d), 'h');
	assert_int_equal(confusable_latin('a'), 0);
	assert_int_equal(confusable_latin(0x436), 0);
}

/* Run them. */
int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_the_table_has_these_look_alikes_and_no_others),
		cmocka_unit_test(test_the_closest_letter_is_one_that_passes),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
