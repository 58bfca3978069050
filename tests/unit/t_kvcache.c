/*
 * The list of free cache blocks.
 */
#include "kvcache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "backend.h"

/* The block list: all different, none lost, none invented. */
static void
cache_blocks_are_taken_once(void **state)
{
	struct kvcache	*kv = kvcache_new(10);
	int32_t		 a[10], b[4], seen[10] = { 0 };
	int		 i;

	(void)state;
	assert_int_equal(kvcache_take(kv, b, 4), 0);
	assert_int_equal(kvcache_take(kv, a, 7), CHAT_ENOMEM);
	assert_int_equal(kvcache_available(kv), 6);
	assert_int_equal(kvcache_take(kv, a, 6), 0);
	kvcache_give(kv, b, 4);
	assert_int_equal(kvcache_take(kv, a + 6, 4), 0);
	for (i = 0; i < 10; i++)
		seen[a[i]]++;
	for (i = 0; i < 10; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(kvcache_blocks(0), 0);
	assert_int_equal(kvcache_blocks(1), 1);
	assert_int_equal(kvcache_blocks(KV_BLOCK), 1);
	assert_int_equal(kvcache_blocks(KV_BLOCK + 1), 2);
	kvcache_free(kv);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(cache_blocks_are_taken_once),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
