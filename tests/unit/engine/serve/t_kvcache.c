/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of the KV cache: each one is held or free, and a full block is found
 * by its owner and its content.
 */
#include "kvcache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend.h"

/* Make the tokens of a block from a number. */
static const int32_t *
tokens(int32_t n)
{
	static int32_t	 t[KV_BLOCK];
	int		 i;

	for (i = 0; i < KV_BLOCK; i++)
		t[i] = n * 100 + i;
	return (t);
}

static void
cache_blocks_are_taken_once(void **state)
{
	struct kvcache	*kv = kvcache_new(10);
	int32_t		 a[10], b[4], seen[10] = { 0 };
	int		 i;

	(void)state;
	assert_int_equal(kvcache_take(kv, b, 0, 4), 0);
	assert_int_equal(kvcache_take(kv, a, 0, 7), CHAT_ENOMEM);
	assert_int_equal(kvcache_available(kv), 6);
	assert_int_equal(kvcache_take(kv, a, 0, 6), 0);
	kvcache_give(kv, b, 4);
	assert_int_equal(kvcache_take(kv, a, 6, 4), 0);
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

/* A block is the same only after the same beginning. */
static void
full_blocks_are_found_by_all_tokens_before(void **state)
{
	struct kvcache	*kv = kvcache_new(8);
	int32_t		 a[3];
	kvcache_chain	 chain = KVCACHE_START, other;

	(void)state;
	assert_int_equal(kvcache_take(kv, a, 0, 3), 0);
	kvcache_fill(kv, 1, a[0], &chain, tokens(1));
	kvcache_fill(kv, 1, a[1], &chain, tokens(2));
	other = KVCACHE_START;
	assert_int_equal(kvcache_find(kv, 1, &other, tokens(2)), -1);
	assert_int_equal(other, KVCACHE_START);
	assert_int_equal(kvcache_find(kv, 1, &other, tokens(1)), a[0]);
	assert_int_equal(kvcache_find(kv, 1, &other, tokens(1)), -1);
	assert_int_equal(kvcache_find(kv, 1, &other, tokens(2)), a[1]);
	assert_int_equal(other, chain);
	/* held twice: after one give they are still held */
	kvcache_give(kv, a, 3);
	assert_int_equal(kvcache_available(kv), 6);
	kvcache_give(kv, a, 2);
	assert_int_equal(kvcache_available(kv), 8);
	kvcache_free(kv);
}

/* A block of one adapter is not found with another one, nor without any, and
 * what follows it neither. */
static void
a_block_is_found_with_its_adapter_only(void **state)
{
	struct kvcache	*kv = kvcache_new(8);
	int32_t		 a[6];
	kvcache_chain	 chain, other;
	int		 i, k;

	(void)state;
	assert_int_equal(kvcache_take(kv, a, 0, 6), 0);
	for (i = 0; i < 3; i++) {
		chain = KVCACHE_ADAPTER(i);
		for (k = 0; k < 3; k++) {
			other = KVCACHE_ADAPTER(k);
			if (k >= i)
				assert_int_equal(kvcache_find(kv, 1, &other,
				    tokens(1)), -1);
		}
		kvcache_fill(kv, 1, a[2 * i], &chain, tokens(1));
		kvcache_fill(kv, 1, a[2 * i + 1], &chain, tokens(2));
	}
	for (i = 0; i < 3; i++) {
		other = KVCACHE_ADAPTER(i);
		assert_int_equal(kvcache_find(kv, 1, &other, tokens(1)),
		    a[2 * i]);
		assert_int_equal(kvcache_find(kv, 1, &other, tokens(2)),
		    a[2 * i + 1]);
	}
	kvcache_free(kv);
}

/* A block that one account has filled is not found by another. */
static void
a_block_is_found_by_its_owner_only(void **state)
{
	static const int64_t	 owners[] = { 0, 2, 7, KVCACHE_COMMON };
	struct kvcache		*kv = kvcache_new(8);
	int32_t			 a[2], b[1];
	kvcache_chain		 chain = KVCACHE_START, other;
	size_t			 i;

	(void)state;
	assert_int_equal(kvcache_take(kv, a, 0, 2), 0);
	kvcache_fill(kv, 1, a[0], &chain, tokens(1));
	kvcache_fill(kv, 1, a[1], &chain, tokens(2));
	for (i = 0; i < sizeof owners / sizeof *owners; i++) {
		other = KVCACHE_START;
		assert_int_equal(kvcache_find(kv, owners[i], &other,
		    tokens(1)), -1);
	}
	/* the same tokens of another account: another block and another
	 * chain */
	other = KVCACHE_START;
	assert_int_equal(kvcache_take(kv, b, 0, 1), 0);
	kvcache_fill(kv, 2, b[0], &other, tokens(1));
	assert_int_not_equal(other, KVCACHE_START);
	assert_int_equal(kvcache_find(kv, 2, &other, tokens(2)), -1);
	other = KVCACHE_START;
	assert_int_equal(kvcache_find(kv, 2, &other, tokens(1)), b[0]);
	other = KVCACHE_START;
	assert_int_equal(kvcache_find(kv, 1, &other, tokens(1)), a[0]);
	kvcache_give(kv, (int32_t[]){ a[0], a[1], a[0], b[0], b[0] }, 5);
	assert_int_equal(kvcache_available(kv), 8);
	kvcache_free(kv);
}

/* After a common beginning, each account has its own blocks. */
static void
accounts_separate_after_common_tokens(void **state)
{
	struct kvcache	*kv = kvcache_new(8);
	int32_t		 a[2], b[2];
	kvcache_chain	 x = KVCACHE_START, y = KVCACHE_START;

	(void)state;
	assert_int_equal(kvcache_take(kv, a, 0, 2), 0);
	kvcache_fill(kv, KVCACHE_COMMON, a[0], &x, tokens(1));
	b[0] = kvcache_find(kv, KVCACHE_COMMON, &y, tokens(1));
	assert_int_equal(b[0], a[0]);
	assert_int_equal(x, y);
	kvcache_fill(kv, 1, a[1], &x, tokens(2));
	assert_int_equal(kvcache_find(kv, 2, &y, tokens(2)), -1);
	assert_int_equal(kvcache_take(kv, b, 1, 1), 0);
	kvcache_fill(kv, 2, b[1], &y, tokens(2));
	assert_int_not_equal(x, y);
	kvcache_give(kv, a, 2);
	kvcache_give(kv, b, 2);
	assert_int_equal(kvcache_available(kv), 8);
	kvcache_free(kv);
}

/* If two sequences compute the same block at once, both keep theirs. One of
 * them is found, and later blocks follow either. */
static void
the_same_block_twice_is_one_chain(void **state)
{
	struct kvcache	*kv = kvcache_new(4);
	int32_t		 a[2], b[2];
	kvcache_chain	 x = KVCACHE_START, y = KVCACHE_START;

	(void)state;
	assert_int_equal(kvcache_take(kv, a, 0, 2), 0);
	assert_int_equal(kvcache_take(kv, b, 0, 2), 0);
	kvcache_fill(kv, 1, a[0], &x, tokens(1));
	kvcache_fill(kv, 1, b[0], &y, tokens(1));
	assert_int_equal(x, y);
	kvcache_fill(kv, 1, b[1], &y, tokens(2));
	kvcache_give(kv, b, 2);
	x = KVCACHE_START;
	assert_int_equal(kvcache_find(kv, 1, &x, tokens(1)), a[0]);
	assert_int_equal(kvcache_find(kv, 1, &x, tokens(2)), b[1]);
	kvcache_give(kv, a, 2);
	kvcache_give(kv, (int32_t[]){ a[0], b[1] }, 2);
	assert_int_equal(kvcache_available(kv), 4);
	kvcache_free(kv);
}

/* Empty blocks are reused first, then the sequence that was used longest ago,
 * from its end. */
static void
the_oldest_goes_first(void **state)
{
	struct kvcache	*kv = kvcache_new(5);
	int32_t		 a[2], b[2], c[4];
	kvcache_chain	 x = KVCACHE_START, y = KVCACHE_START;

	(void)state;
	assert_int_equal(kvcache_take(kv, a, 0, 2), 0);
	kvcache_fill(kv, 1, a[0], &x, tokens(1));
	kvcache_fill(kv, 1, a[1], &x, tokens(2));
	assert_int_equal(kvcache_take(kv, b, 0, 2), 0);
	kvcache_fill(kv, 1, b[0], &y, tokens(3));
	kvcache_fill(kv, 1, b[1], &y, tokens(4));
	kvcache_give(kv, a, 2);
	kvcache_give(kv, b, 2);
	assert_int_equal(kvcache_take(kv, c, 0, 2), 0);
	assert_int_equal(c[0], a[1]);		/* and the empty one */
	x = KVCACHE_START;
	assert_int_equal(kvcache_find(kv, 1, &x, tokens(1)), a[0]);
	assert_int_equal(kvcache_find(kv, 1, &x, tokens(2)), -1);
	kvcache_give(kv, a, 1);		/* used again, so b is older now */
	assert_int_equal(kvcache_take(kv, c, 2, 1), 0);
	assert_int_equal(c[2], b[1]);
	y = KVCACHE_START;
	assert_int_equal(kvcache_find(kv, 1, &y, tokens(3)), b[0]);
	kvcache_give(kv, b, 1);
	kvcache_give(kv, c, 3);
	assert_int_equal(kvcache_available(kv), 5);
	kvcache_free(kv);
}

/* If possible, the blocks of a sequence are consecutive in memory. */
static void
blocks_lie_in_a_row(void **state)
{
	struct kvcache	*kv = kvcache_new(12);
	kvcache_chain	 chain = KVCACHE_START;
	int32_t		 a[6], b[6], c[12];
	int		 i;

	(void)state;
	assert_int_equal(kvcache_take(kv, a, 0, 3), 0);
	assert_int_equal(kvcache_take(kv, b, 0, 3), 0);
	kvcache_give(kv, a, 3);
	/* not the last one given back, but the following one */
	assert_int_equal(kvcache_take(kv, b, 3, 2), 0);
	for (i = 1; i < 5; i++)
		assert_int_equal(b[i], b[i - 1] + 1);
	/* full blocks are emptied from the end, and used from the beginning */
	for (i = 0; i < 5; i++)
		kvcache_fill(kv, 1, b[i], &chain, tokens(i));
	kvcache_give(kv, b, 5);
	assert_int_equal(kvcache_take(kv, c, 0, 7), 0);
	assert_int_equal(kvcache_take(kv, c, 7, 5), 0);
	for (i = 8; i < 12; i++)
		assert_int_equal(c[i], c[i - 1] + 1);
	kvcache_give(kv, c, 12);
	assert_int_equal(kvcache_available(kv), 12);
	kvcache_free(kv);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(cache_blocks_are_taken_once),
		cmocka_unit_test(
		    full_blocks_are_found_by_all_tokens_before),
		cmocka_unit_test(a_block_is_found_with_its_adapter_only),
		cmocka_unit_test(a_block_is_found_by_its_owner_only),
		cmocka_unit_test(accounts_separate_after_common_tokens),
		cmocka_unit_test(the_same_block_twice_is_one_chain),
		cmocka_unit_test(the_oldest_goes_first),
		cmocka_unit_test(blocks_lie_in_a_row),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
