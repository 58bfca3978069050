/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin "abuse": signatures, counting, and the bytes for the next process.
 */
#include "abuse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct abuse_limits limits = { 10, 3600, 20, 600, 60, 60, 6, 12 };

static struct abuse_sign
sign(const char *text)
{
	struct abuse_sign	 s;

	abuse_sign(&s, text, strlen(text));
	return (s);
}

static unsigned
distance(const char *a, const char *b)
{
	return ((unsigned)__builtin_popcountll(sign(a).text ^ sign(b).text));
}

static struct abuse_counts
count(struct abuse_seen *s, const char *text, uint64_t account, uint64_t now)
{
	struct abuse_sign	 sg = sign(text);
	struct abuse_counts	 c;

	abuse_seen_count(s, &limits, &sg, account, now, 1, &c);
	return (c);
}

#define MAIL	"Write a friendly mail to our customer that tells them to " \
		"confirm the account within a day, or else it will be closed"
#define TALE	"Tell me a bedtime tale about an old dragon who guards a " \
		"library and a small girl who wants to borrow a single book"

/* Case, look-alikes, numbers, links and punctuation make no difference. */
static void
test_what_mass_messages_vary_changes_no_signature(void **state)
{
	(void)state;
	assert_int_equal(distance(MAIL, "WRITE a friendly mail; to our "
	    "customer, that tells them to c\320\276nfirm the account within a "
	    "day -- or else it will be closed!!"), 0);
	assert_int_equal(distance("Pay order 17 at http://a.example/x now",
	    "Pay order 99 at www.b.example/y?z=1 now"), 0);
	assert_int_equal(distance("write to me@a.example today, please",
	    "write to other.one@b.example today, please"), 0);
	assert_true(distance(MAIL, TALE) > 14);
	assert_true(distance(MAIL, "Please " MAIL) <= 6);
}

/* Plain texts are read without libfold, to the same signature. An invisible
 * character at the end makes a text less plain. */
static void
test_plain_texts_are_folded_alike(void **state)
{
	static const char	 sign_of[] = "abcdefgABCDEFG 0134579@$!|+.,:/"
				    "'-_(){}[]<>%\t\n     ";
	char			 a[80], b[90];
	unsigned		 seed = 3;
	int			 n, i, len;

	(void)state;
	for (n = 0; n < 20000; n++) {
		len = n % 79;
		for (i = 0; i < len; i++) {
			seed = seed * 1664525 + 1013904223;
			a[i] = sign_of[(seed >> 8) % (sizeof sign_of - 1)];
		}
		a[len] = '\0';
		snprintf(b, sizeof b, "%s\342\200\213", a);
		struct abuse_sign x = sign(a), y = sign(b);
		assert_true(x.text == y.text && x.link == y.link &&
		    x.words == y.words && x.signs == y.signs);
	}
}

/* The signs of a message for many. */
static void
test_signs(void **state)
{
	(void)state;
	assert_int_equal(sign(TALE).signs, 0);
	assert_int_equal(sign(TALE).words, 24);
	assert_int_equal(sign("go to shop.example/sale").signs, ABUSE_LINK);
	assert_int_equal(sign("write to me@shop.example").signs, ABUSE_LINK);
	assert_int_equal(sign("the end.and then, and/or 3.5/4").signs, 0);
	assert_int_equal(sign("Dear {first name}, hello").signs, ABUSE_GAP);
	assert_int_equal(sign("Dear [NAME], hello").signs, ABUSE_GAP);
	assert_int_equal(sign("Dear {{name}}, hello").signs, ABUSE_GAP);
	assert_int_equal(sign("if (a[i] < b) { return 100 % c; }").signs, 0);
	assert_int_equal(sign("make 50 different versions").signs, ABUSE_MANY);
	assert_int_equal(sign("make 5 different versions").signs, 0);
	assert_int_equal(sign("in 2019 nobody read many of the posts").signs,
	    0);
	assert_true(sign("see http://a.example/x.").link ==
	    sign("(http://a.example/x)").link);
	assert_true(sign("see http://a.example/x").link !=
	    sign("see http://a.example/z").link);
}

/* A long text is cut at a character, and only its beginning counts. */
static void
test_only_the_beginning_of_a_long_text_counts(void **state)
{
	static char	 a[20000], b[20000];
	size_t		 i;

	(void)state;
	memset(a, 0, sizeof a);
	for (i = 1; i + 3 < sizeof a; i += 3)
		memcpy(a + i, "\342\202\254", 3);
	a[0] = 'x';
	memcpy(b, a, sizeof b);
	memset(b + 5000, 'z', 100);
	assert_true(sign(a).text == sign(b).text);
	assert_true(sign("").text == 0 && sign("").words == 0);
}

/* Accounts are counted once each, and only within the time. */
static void
test_accounts_with_nearly_equal_prompts(void **state)
{
	struct abuse_seen	*s = abuse_seen_new();
	struct abuse_counts	 c;
	uint64_t		 i;

	(void)state;
	for (i = 1; i <= 9; i++) {
		count(s, MAIL, i, 1000 + i);
		c = count(s, MAIL, i, 1000 + i);
		assert_int_equal(c.accounts, i);
		assert_int_equal(c.repeats, 2);
		c = count(s, TALE, 77, 1000 + i);
		assert_int_equal(c.accounts, 1);
		assert_int_equal(c.repeats, i);
	}
	assert_int_equal(abuse_seen_groups(s), 2);
	c = count(s, MAIL, 10, 1009 + 3600);	/* only the ninth is left */
	assert_int_equal(c.accounts, 2);
	assert_int_equal(c.repeats, 1);
	/* Short texts are alike too often. */
	for (i = 1; i <= 9; i++)
		c = count(s, "hello, what can you do?", i, 9000);
	assert_int_equal(c.accounts, 0);
	abuse_seen_free(s);
}

/* An account that sends often hides no others, and nothing overflows. */
static void
test_one_account_cannot_hide_others(void **state)
{
	struct abuse_seen	*s = abuse_seen_new();
	struct abuse_counts	 c;
	uint64_t		 i;

	(void)state;
	for (i = 1; i <= 12; i++)
		count(s, MAIL, i, 1000);
	for (i = 0; i < 500; i++)
		c = count(s, MAIL, 99, 1000);
	assert_int_equal(c.accounts, 13);
	assert_int_equal(c.repeats, 33);
	for (i = 100; i < 400; i++)
		c = count(s, MAIL, i, 1000);
	assert_true(c.accounts > 32 && c.accounts <= ABUSE_EVENTS + 1);
	abuse_seen_free(s);
}

/* The same link in different words. */
static void
test_links(void **state)
{
	struct abuse_seen	*s = abuse_seen_new();
	struct abuse_counts	 c;

	(void)state;
	c = count(s, "praise http://a.example/x", 1, 50);
	assert_int_equal(c.linked, 1);
	c = count(s, "tell everyone about HTTP://a.example/X !", 2, 51);
	assert_int_equal(c.linked, 2);
	c = count(s, "tell everyone about http://b.example/x", 3, 52);
	assert_int_equal(c.linked, 1);
	abuse_seen_free(s);
}

/* The rate is that of the last minute. */
static void
test_rate(void **state)
{
	struct abuse_seen	*s = abuse_seen_new();
	struct abuse_counts	 c;
	uint64_t		 i;

	(void)state;
	for (i = 0; i < 60; i++)
		c = count(s, "a", 5, 600 + i);
	assert_int_equal(c.rate, 60);
	assert_int_equal(count(s, "a", 6, 659).rate, 1);
	c = count(s, "a", 5, 690);	/* half of the minute before counts */
	assert_int_equal(c.rate, 31);
	assert_int_equal(count(s, "a", 5, 2000).rate, 1);
	abuse_seen_free(s);
}

/* Without "add" it is counted, and not remembered. */
static void
test_a_prompt_that_was_counted_before(void **state)
{
	struct abuse_seen	*s = abuse_seen_new();
	struct abuse_sign	 sg = sign(MAIL " http://a.example/");
	struct abuse_counts	 c;
	int			 i;

	(void)state;
	for (i = 0; i < 3; i++) {
		abuse_seen_count(s, &limits, &sg, 4, 10, 0, &c);
		assert_int_equal(c.repeats, 1);
		assert_int_equal(c.accounts, 1);
		assert_int_equal(c.linked, 1);
		assert_int_equal(c.rate, 1);
	}
	assert_int_equal(abuse_seen_groups(s), 0);
	abuse_seen_free(s);
}

/* A text of n words, which differs from all others. */
static void
words(char *out, size_t size, unsigned seed, int n)
{
	size_t	 at = 0;
	int	 i;

	for (i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		at += (size_t)snprintf(out + at, size - at, "%c%c%c%c ",
		    'a' + (int)(seed >> 8 & 15), 'a' + (int)(seed >> 13 & 15),
		    'a' + (int)(seed >> 18 & 15), 'a' + (int)(seed >> 23 & 15));
	}
}

/* The table stays of its size; what was used last stays. */
static void
test_the_oldest_go(void **state)
{
	struct abuse_seen	*s = abuse_seen_new();
	struct abuse_counts	 c;
	char			 text[400];
	unsigned		 i;

	(void)state;
	for (i = 0; i < 3 * ABUSE_GROUPS; i++) {
		words(text, sizeof text, i, 20);
		count(s, text, 1 + i % 7000, 1000);
		if (i % 1000 == 0)
			c = count(s, MAIL, 1 + i, 1000);
	}
	assert_int_equal(abuse_seen_groups(s), ABUSE_GROUPS);
	assert_int_equal(c.accounts, 13);
	words(text, sizeof text, 0, 20);
	assert_int_equal(count(s, text, 9, 1000).accounts, 1);
	words(text, sizeof text, i - 1, 20);
	assert_int_equal(count(s, text, 999999, 1000).accounts, 2);
	abuse_seen_free(s);
}

/* The next process counts on. */
static void
test_the_next_process_counts_on(void **state)
{
	static unsigned char	 blob[65536], again[65536];
	struct abuse_seen	*s = abuse_seen_new(), *t = abuse_seen_new();
	struct abuse_counts	 c;
	const char		*why;
	char			 text[400];
	size_t			 len;
	unsigned		 i;

	(void)state;
	for (i = 0; i < ABUSE_GROUPS; i++) {
		words(text, sizeof text, i, 20);
		count(s, text, 1 + i % 900, 1000);
	}
	for (i = 1; i <= 30; i++)
		count(s, MAIL, i % 8, 1000);
	count(s, "see http://a.example/", 1, 1000);
	len = abuse_seen_save(s, blob, sizeof blob);
	assert_true(len > 60000 && len <= sizeof blob);
	assert_int_equal(abuse_seen_restore(t, blob, len, &why), 0);
	assert_true(abuse_seen_groups(t) > 3000);
	assert_int_equal(abuse_seen_save(t, again, sizeof again), len);
	assert_int_equal(abuse_seen_groups(t) * 18 < len, 1);
	c = count(t, MAIL, 8, 1001);
	assert_int_equal(c.accounts, 9);
	c = count(t, "look at http://a.example", 2, 1001);
	assert_int_equal(c.linked, 2);
	assert_true(count(t, "a", 5, 1001).rate >= 5);
	assert_int_equal(abuse_seen_save(s, blob, 100), 0);
	abuse_seen_free(s);
	abuse_seen_free(t);
}

/* The checksum of a blob, made anew. */
static void
blob_seal(unsigned char *blob, size_t len)
{
	uint64_t	 h = UINT64_C(0xcbf29ce484222325);
	size_t		 i;

	for (i = 0; i < len - 8; i++)
		h = (h ^ blob[i]) * UINT64_C(0x100000001b3);
	for (i = len - 8; i < len; i++, h >>= 8)
		blob[i] = (unsigned char)h;
}

/* A damaged blob is refused and changes nothing, also with a right checksum. */
static void
test_damaged_blobs(void **state)
{
	static unsigned char	 good[65536], bad[65536];
	struct abuse_seen	*s = abuse_seen_new(), *t;
	const char		*why;
	unsigned		 seed = 1;
	size_t			 len, at, n;
	int			 i, taken = 0;

	(void)state;
	count(s, MAIL, 1, 1000);
	count(s, MAIL " http://a.example/", 2, 1001);
	count(s, TALE, 3, 1002);
	len = abuse_seen_save(s, good, sizeof good);
	abuse_seen_free(s);
	for (n = 0; n < len; n++) {
		t = abuse_seen_new();
		assert_int_equal(abuse_seen_restore(t, good, n, &why), -1);
		memcpy(bad, good, len);
		bad[n] ^= 0x40;
		assert_int_equal(abuse_seen_restore(t, bad, len, &why), -1);
		assert_int_equal(abuse_seen_groups(t), 0);
		if (n >= 20) {
			memcpy(bad, good, n);
			blob_seal(bad, n);
			assert_int_equal(abuse_seen_restore(t, bad, n, &why),
			    -1);
		}
		abuse_seen_free(t);
	}
	bad[7] = 2;
	t = abuse_seen_new();
	assert_int_equal(abuse_seen_restore(t, bad, len, &why), -1);
	assert_string_equal(why, "it is of another version");
	abuse_seen_free(t);
	for (i = 0; i < 3000; i++) {
		memcpy(bad, good, len);
		for (n = 0; n < 3; n++) {
			seed = seed * 1664525 + 1013904223;
			at = 8 + (seed >> 8) % (len - 16);
			bad[at] = (unsigned char)(seed >> 24);
		}
		blob_seal(bad, len);
		t = abuse_seen_new();
		if (abuse_seen_restore(t, bad, len, &why) == 0) {
			taken++;
			count(t, MAIL, 3, 1003);
			assert_true(abuse_seen_groups(t) <= 5);
		} else {
			assert_int_equal(abuse_seen_groups(t), 0);
		}
		abuse_seen_free(t);
	}
	assert_true(taken > 100);
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(
		    test_what_mass_messages_vary_changes_no_signature),
		cmocka_unit_test(test_plain_texts_are_folded_alike),
		cmocka_unit_test(test_signs),
		cmocka_unit_test(test_only_the_beginning_of_a_long_text_counts),
		cmocka_unit_test(test_accounts_with_nearly_equal_prompts),
		cmocka_unit_test(test_one_account_cannot_hide_others),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_a_prompt_that_was_counted_before),
		cmocka_unit_test(test_the_oldest_go),
		cmocka_unit_test(test_the_next_process_counts_on),
		cmocka_unit_test(test_damaged_blobs),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
