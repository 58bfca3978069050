/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of bytes as text for people.
 */
#include "bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xmalloc.h"

static const struct {
	int64_t		 n;
	const char	*words;
} cases[] = {
	{ 0, "0 bytes" }, { 1023, "1023 bytes" }, { 1024, "1.0 KiB" },
	{ 1536, "1.5 KiB" }, { 1 << 20, "1.0 MiB" }, { 1 << 30, "1.0 GiB" },
	{ 41109203684, "38.3 GiB" }, { (int64_t)1 << 40, "1.0 TiB" },
	{ INT64_MAX, "8388608.0 TiB" }
};

/* Each unit, and the ends. */
static void
each_number_has_its_unit(void **state)
{
	char	 buf[BYTES_TEXT];
	size_t	 i;

	(void)state;
	for (i = 0; i < nitems(cases); i++)
		assert_string_equal(bytes_text(cases[i].n, buf),
		    cases[i].words);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_number_has_its_unit)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
