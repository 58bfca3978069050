/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256: the published examples, pieces of every size, and the processor's
 * own instructions compared with plain C.
 */
#include "sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "neox.h"
#include "sha256_impl.h"
#include "xmalloc.h"

#define RANDOM_MAX	5000	/* bytes of a random message */

/* Examples of FIPS 180-4 (abc and the two longer texts, the million times
 * a) and the empty message. */
static const struct {
	const char	*text;
	int		 times;
	const char	*hex;
} cases[] = {
	{ "", 1, "e3b0c44298fc1c149afbf4c8996fb924"
	    "27ae41e4649b934ca495991b7852b855" },
	{ "abc", 1, "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
	    "248d6a61d20638b8e5c026930c3e6039"
	    "a33ce45964ff2167f6ecedd419db06c1" },
	{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
	    "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu", 1,
	    "cf5b16a778af8380036ce59e7b049237"
	    "0b249b11e8f07a51afac45037afee9d1" },
	{ "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67"
	    "f1809a48a497200e046d39ccc7112cd0" }
};

/* Each example. */
static void
published_examples_come_out(void **state)
{
	struct sha256	 s;
	char		 hex[SHA256_HEX];
	size_t		 i;
	int		 n;

	(void)state;
	for (i = 0; i < 2 * nitems(cases); i++) {
		sha256_init(&s);
		if (i % 2 == 1)
			s.blocks = sha256_blocks_c;
		for (n = 0; n < cases[i / 2].times; n++)
			sha256_add(&s, cases[i / 2].text,
			    strlen(cases[i / 2].text));
		sha256_end(&s, hex);
		assert_string_equal(hex, cases[i / 2].hex);
	}
}

/* It does not matter where a message is cut, at and near every block. */
static void
pieces_give_the_same_as_the_whole(void **state)
{
	struct sha256	 s;
	uint8_t		 text[200];
	char		 whole[SHA256_HEX], hex[SHA256_HEX];
	size_t		 n, cut;

	(void)state;
	for (n = 0; n < sizeof text; n++)
		text[n] = (uint8_t)(n * 7);
	for (n = 0; n <= sizeof text; n++) {
		sha256_init(&s);
		sha256_add(&s, text, n);
		sha256_end(&s, whole);
		for (cut = 0; cut <= n; cut++) {
			sha256_init(&s);
			sha256_add(&s, text, cut);
			sha256_add(&s, text + cut, n - cut);
			sha256_end(&s, hex);
			assert_string_equal(hex, whole);
		}
	}
}

/* Random messages of random lengths, at any alignment. */
static void
both_ways_give_the_same(void **state)
{
	struct sha256	 s;
	uint8_t		*text;
	char		 fast[SHA256_HEX], plain[SHA256_HEX];
	uint64_t	 seed = 256;
	size_t		 n, at, i;
	int		 k;

	(void)state;
	sha256_init(&s);
	if (s.blocks == sha256_blocks_c)
		skip();
	text = xmalloc(RANDOM_MAX + 64);
	for (k = 0; k < 500; k++) {
		n = neox_random(&seed, RANDOM_MAX + 1);
		at = neox_random(&seed, 64);
		for (i = 0; i < n; i++)
			text[at + i] = (uint8_t)neox_random(&seed, 256);
		sha256_init(&s);
		sha256_add(&s, text + at, n);
		sha256_end(&s, fast);
		sha256_init(&s);
		s.blocks = sha256_blocks_c;
		sha256_add(&s, text + at, n);
		sha256_end(&s, plain);
		if (strcmp(fast, plain) != 0)
			fail_msg("%zu bytes: %s, in plain C %s", n, fast,
			    plain);
	}
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_examples_come_out),
		cmocka_unit_test(pieces_give_the_same_as_the_whole),
		cmocka_unit_test(both_ways_give_the_same)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
