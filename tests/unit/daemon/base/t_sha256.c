/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256: the examples of FIPS 180-2, appendix B, and files.
 */
#include "sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "err.h"
#include "xmalloc.h"

static const struct {
	const char	*text;
	int		 times;
	const char	*digest;
} examples[] = {
	{ "", 1, "e3b0c44298fc1c149afbf4c8996fb924"
	    "27ae41e4649b934ca495991b7852b855" },
	{ "abc", 1, "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
	    "248d6a61d20638b8e5c026930c3e6039"
	    "a33ce45964ff2167f6ecedd419db06c1" },
	{ "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67"
	    "f1809a48a497200e046d39ccc7112cd0" },
};

/* Digests of texts, added in one piece or in many. */
static void
test_the_digest_is_that_of_the_standard(void **state)
{
	struct sha256	 s;
	char		 hex[SHA256_HEX];
	size_t		 i;
	int		 k;

	(void)state;
	for (i = 0; i < nitems(examples); i++) {
		sha256_init(&s);
		for (k = 0; k < examples[i].times; k++)
			sha256_add(&s, examples[i].text,
			    strlen(examples[i].text));
		sha256_hex(&s, hex);
		assert_string_equal(hex, examples[i].digest);
	}
}

/* A file is read from its start, wherever its offset stands. */
static void
test_a_file_has_the_digest_of_its_bytes(void **state)
{
	char	 hex[SHA256_HEX];
	FILE	*f = tmpfile();
	int	 k;

	(void)state;
	assert_non_null(f);
	for (k = 0; k < examples[3].times; k++)
		fputc('a', f);
	assert_int_equal(fflush(f), 0);
	assert_int_equal(sha256_file(fileno(f), hex), 0);
	assert_string_equal(hex, examples[3].digest);
	fclose(f);
	assert_int_equal(sha256_file(-1, hex), CHAT_ESYSTEM);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_the_digest_is_that_of_the_standard),
		cmocka_unit_test(test_a_file_has_the_digest_of_its_bytes),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
