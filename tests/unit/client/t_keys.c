/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of several terminals; sequences that mean nothing.
 */
#include "repl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xmalloc.h"

static const struct keys_case {
	const char	*bytes;
	enum key	 key;
} cases[] = {
	/* xterm, tmux, kitty: normal and application mode */
	{ "\033[A", KEY_UP }, { "\033OA", KEY_UP },
	{ "\033[B", KEY_DOWN }, { "\033[C", KEY_RIGHT },
	{ "\033[D", KEY_LEFT }, { "\033OD", KEY_LEFT },
	{ "\033[H", KEY_HOME }, { "\033OH", KEY_HOME },
	{ "\033[F", KEY_END }, { "\033OF", KEY_END },
	{ "\033[1;5D", KEY_PREV_WORD }, { "\033[1;5C", KEY_NEXT_WORD },
	{ "\033[1;3D", KEY_PREV_WORD }, { "\033[1;3C", KEY_NEXT_WORD },
	{ "\033[1;2D", KEY_LEFT }, { "\033[1;6C", KEY_NEXT_WORD },
	{ "\033[1;5H", KEY_HOME }, { "\033[1;1F", KEY_END },
	{ "\033[3~", KEY_DELETE }, { "\033[3;5~", KEY_DELETE_WORD },
	{ "\033[3;2~", KEY_DELETE },
	/* Linux console, screen, PuTTY */
	{ "\033[1~", KEY_HOME }, { "\033[4~", KEY_END },
	/* rxvt */
	{ "\033[7~", KEY_HOME }, { "\033[8~", KEY_END },
	{ "\033Od", KEY_PREV_WORD }, { "\033Oc", KEY_NEXT_WORD },
	{ "\033[d", KEY_LEFT }, { "\033[3^", KEY_DELETE_WORD },
	/* kitty */
	{ "\033[97;5u", (enum key)1 }, { "\033[13u", KEY_ENTER },
	{ "\033[27u", KEY_NONE }, { "\033[97;5:1u", (enum key)1 },
	{ "\033[57399u", KEY_NONE }, { "\033[1;5:1D", KEY_PREV_WORD },
	/* the keypad, and a paste */
	{ "\033OM", KEY_ENTER }, { "\033[200~", KEY_PASTE },
	/* no meaning here: page up and down, insert, F1 to F12, focus, mouse,
	 * answers of the terminal */
	{ "\033[5~", KEY_NONE }, { "\033[6~", KEY_NONE },
	{ "\033[6;5~", KEY_NONE }, { "\033[2~", KEY_NONE },
	{ "\033OP", KEY_NONE }, { "\033[[A", KEY_NONE },
	{ "\033[11~", KEY_NONE }, { "\033[15;2~", KEY_NONE },
	{ "\033[24~", KEY_NONE }, { "\033[1;2P", KEY_NONE },
	{ "\033[I", KEY_NONE }, { "\033[O", KEY_NONE },
	{ "\033[<0;10;10m", KEY_NONE }, { "\033[?1;2c", KEY_NONE },
	{ "\033[201~", KEY_NONE }, { "\033[Z", KEY_NONE },
	{ "\033[99999999999999999999~", KEY_NONE },
};

/* Each sequence is one key, whatever follows it. */
static void
each_sequence_is_one_key(void **state)
{
	enum key	 key;
	char		 more[64];
	size_t		 i, n, k;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		n = strlen(cases[i].bytes);
		snprintf(more, sizeof more, "%sx;5D", cases[i].bytes);
		for (k = 2; k < n; k++)
			assert_int_equal(keys_read(more, k, &key), 0);
		if (keys_read(more, strlen(more), &key) != n ||
		    key != cases[i].key)
			fail_msg("ESC%s: expected %d, found %d",
			    cases[i].bytes + 1, (int)cases[i].key, (int)key);
	}
}

/* Alt and a letter: ESC, then the letter. */
static void
alt_is_a_key_before_its_letter(void **state)
{
	enum key	 key;

	(void)state;
	assert_int_equal(keys_read("\033", 1, &key), 0);
	assert_int_equal(keys_read("\033b", 2, &key), 1);
	assert_int_equal((int)key, 27);
	assert_int_equal(keys_read("\033\177", 2, &key), 1);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(each_sequence_is_one_key),
		cmocka_unit_test(alt_is_a_key_before_its_letter),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
