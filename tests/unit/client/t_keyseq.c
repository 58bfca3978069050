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

static const struct keyseq_case {
	const char	*bytes;
	enum keyseq	 key;
} cases[] = {
	/* xterm, tmux, kitty: normal and application mode */
	{ "\033[A", KEYSEQ_UP }, { "\033OA", KEYSEQ_UP },
	{ "\033[B", KEYSEQ_DOWN }, { "\033[C", KEYSEQ_RIGHT },
	{ "\033[D", KEYSEQ_LEFT }, { "\033OD", KEYSEQ_LEFT },
	{ "\033[H", KEYSEQ_HOME }, { "\033OH", KEYSEQ_HOME },
	{ "\033[F", KEYSEQ_END }, { "\033OF", KEYSEQ_END },
	{ "\033[1;5D", KEYSEQ_PREV_WORD }, { "\033[1;5C", KEYSEQ_NEXT_WORD },
	{ "\033[1;3D", KEYSEQ_PREV_WORD }, { "\033[1;3C", KEYSEQ_NEXT_WORD },
	{ "\033[1;2D", KEYSEQ_LEFT }, { "\033[1;6C", KEYSEQ_NEXT_WORD },
	{ "\033[1;5H", KEYSEQ_HOME }, { "\033[1;1F", KEYSEQ_END },
	{ "\033[3~", KEYSEQ_DELETE }, { "\033[3;5~", KEYSEQ_DELETE_WORD },
	{ "\033[3;2~", KEYSEQ_DELETE },
	/* Linux console, screen, PuTTY */
	{ "\033[1~", KEYSEQ_HOME }, { "\033[4~", KEYSEQ_END },
	/* rxvt */
	{ "\033[7~", KEYSEQ_HOME }, { "\033[8~", KEYSEQ_END },
	{ "\033Od", KEYSEQ_PREV_WORD }, { "\033Oc", KEYSEQ_NEXT_WORD },
	{ "\033[d", KEYSEQ_LEFT }, { "\033[3^", KEYSEQ_DELETE_WORD },
	/* kitty */
	{ "\033[97;5u", (enum keyseq)1 }, { "\033[13u", KEYSEQ_ENTER },
	{ "\033[27u", KEYSEQ_NONE }, { "\033[97;5:1u", (enum keyseq)1 },
	{ "\033[57399u", KEYSEQ_NONE }, { "\033[1;5:1D", KEYSEQ_PREV_WORD },
	/* the keypad, and a paste */
	{ "\033OM", KEYSEQ_ENTER }, { "\033[200~", KEYSEQ_PASTE },
	/* no meaning here: page up and down, insert, F1 to F12, focus, mouse,
	 * answers of the terminal */
	{ "\033[5~", KEYSEQ_NONE }, { "\033[6~", KEYSEQ_NONE },
	{ "\033[6;5~", KEYSEQ_NONE }, { "\033[2~", KEYSEQ_NONE },
	{ "\033OP", KEYSEQ_NONE }, { "\033[[A", KEYSEQ_NONE },
	{ "\033[11~", KEYSEQ_NONE }, { "\033[15;2~", KEYSEQ_NONE },
	{ "\033[24~", KEYSEQ_NONE }, { "\033[1;2P", KEYSEQ_NONE },
	{ "\033[I", KEYSEQ_NONE }, { "\033[O", KEYSEQ_NONE },
	{ "\033[<0;10;10m", KEYSEQ_NONE }, { "\033[?1;2c", KEYSEQ_NONE },
	{ "\033[201~", KEYSEQ_NONE }, { "\033[Z", KEYSEQ_NONE },
	{ "\033[99999999999999999999~", KEYSEQ_NONE },
};

/* Each sequence is one key, whatever follows it. */
static void
each_sequence_is_one_key(void **state)
{
	enum keyseq	 key;
	char		 more[64];
	size_t		 i, n, k;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		n = strlen(cases[i].bytes);
		snprintf(more, sizeof more, "%sx;5D", cases[i].bytes);
		for (k = 2; k < n; k++)
			assert_int_equal(keyseq_read(more, k, &key), 0);
		if (keyseq_read(more, strlen(more), &key) != n ||
		    key != cases[i].key)
			fail_msg("ESC%s: expected %d, found %d",
			    cases[i].bytes + 1, (int)cases[i].key, (int)key);
	}
}

/* Alt and a letter: ESC, then the letter. */
static void
alt_is_a_key_before_its_letter(void **state)
{
	enum keyseq	 key;

	(void)state;
	assert_int_equal(keyseq_read("\033", 1, &key), 0);
	assert_int_equal(keyseq_read("\033b", 2, &key), 1);
	assert_int_equal((int)key, 27);
	assert_int_equal(keyseq_read("\033\177", 2, &key), 1);
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
