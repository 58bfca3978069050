/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns of accounts: their order, for all kinds of load.
 */
#include "turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xmalloc.h"

#define SLICE	100

/* Connections of a few accounts, and the order in which they ran. */
struct talker {
	struct turn	 turn;
	struct fixture	*f;		/* borrowed */
	char		 name;
	size_t		 cost;		/* of one thing */
	int		 things;	/* left to do */
	int		 leaves;	/* at its turn */
	size_t		 most;		/* largest max it was given */
};

struct fixture {
	struct event_base	*base;		/* owned */
	struct turns		*turns;		/* owned */
	struct talker		 all[200];
	int			 n;
	char			 heard[4096];
	int			 breaks;	/* ends the loop after a
						 * letter */
};

/* Do things until max is spent. */
static size_t
talker_run(void *arg, size_t max, int *more)
{
	struct talker	*k = arg;
	struct fixture	*f = k->f;
	size_t		 cost = 0, n = strlen(f->heard);

	if (max > k->most)
		k->most = max;
	assert_true(n + 1 < sizeof f->heard);
	f->heard[n] = k->name;
	if (k->leaves) {
		*more = 1;
		turn_clear(&k->turn);
		memset(k, 0xa5, sizeof *k);	/* as if freed */
		return (1);
	}
	while (k->things > 0 && cost < max) {
		cost += k->cost;
		k->things--;
	}
	*more = k->things > 0;
	if (f->breaks == k->name)
		event_base_loopbreak(f->base);
	return (cost);
}

/* Add a connection of an account with this number of things to do. */
static struct talker *
talker(struct fixture *f, uid_t uid, char name, int things, size_t cost)
{
	struct talker	*k = &f->all[f->n++];

	*k = (struct talker){ .f = f, .name = name, .things = things,
	    .cost = cost };
	turn_init(&k->turn, f->turns, uid, talker_run, k);
	turn_want(&k->turn);
	return (k);
}

static int
setup(void **state)
{
	struct fixture	*f = xcalloc(1, sizeof *f);

	f->base = event_base_new();
	f->turns = turns_new(f->base, SLICE, NULL);
	*state = f;
	return (0);
}

static int
teardown(void **state)
{
	struct fixture	*f = *state;
	int		 i;

	for (i = 0; i < f->n; i++) {
		if (!f->all[i].leaves && f->all[i].name != (char)0xa5)
			turn_clear(&f->all[i].turn);
	}
	turns_free(f->turns);
	event_base_free(f->base);
	free(f);
	return (0);
}

/* Many connections of one account count as one. */
static void
test_ninety_connections_delay_another_account_by_one_turn(void **state)
{
	struct fixture	*f = *state;
	int		 i;

	for (i = 0; i < 90; i++)
		talker(f, 1, 'a', 5, SLICE);
	talker(f, 2, 'b', 1, 1);
	event_base_dispatch(f->base);
	assert_memory_equal(f->heard, "aba", 3);
}

/* An account that takes more than one turn allows gets less in the next
 * turns. */
static void
test_a_turn_over_its_limit_is_paid_back(void **state)
{
	struct fixture	*f = *state;

	talker(f, 1, 'a', 3, 4 * SLICE);
	talker(f, 2, 'b', 8, SLICE);
	event_base_dispatch(f->base);
	assert_string_equal(f->heard, "abbbbabbbba");
}

/* Accounts with equal load get equal numbers of turns. */
static void
test_accounts_get_equal_turns(void **state)
{
	struct fixture	*f = *state;

	talker(f, 1, 'a', 3, SLICE);
	talker(f, 2, 'b', 3, SLICE);
	talker(f, 3, 'c', 3, SLICE);
	event_base_dispatch(f->base);
	assert_string_equal(f->heard, "abcabcabc");
}

/* The same holds for the connections of one account. */
static void
test_connections_of_an_account_get_equal_turns(void **state)
{
	struct fixture	*f = *state;

	talker(f, 1, 'a', 2, SLICE);
	talker(f, 1, 'b', 2, SLICE);
	talker(f, 2, 'x', 4, SLICE);
	event_base_dispatch(f->base);
	assert_string_equal(f->heard, "axbxaxbx");
}

/* No account saves up turns: a turn is at most one slice. */
static void
test_turns_are_not_saved_up(void **state)
{
	struct fixture	*f = *state;
	struct talker	*b = talker(f, 2, 'b', 1, 1);
	int		 i;

	for (i = 0; i < 10; i++) {
		event_base_dispatch(f->base);
		b->things = 1;
		turn_want(&b->turn);
	}
	event_base_dispatch(f->base);
	assert_int_equal(b->most, SLICE);
}

/* A turn that is asked for twice comes once. */
static void
test_a_turn_requested_twice_comes_once(void **state)
{
	struct fixture	*f = *state;

	turn_want(&talker(f, 1, 'a', 1, 1)->turn);
	event_base_dispatch(f->base);
	assert_string_equal(f->heard, "a");
}

/* A connection may be cleared in its turn, with or without others of its
 * account. */
static void
test_a_place_may_be_cleared_at_its_turn(void **state)
{
	struct fixture	*f = *state;

	talker(f, 1, 'a', 1, 1)->leaves = 1;
	talker(f, 2, 'b', 1, 1)->leaves = 1;
	talker(f, 2, 'c', 1, 1);
	event_base_dispatch(f->base);
	assert_string_equal(f->heard, "abc");
	assert_int_equal(turn_places(&f->all[2].turn), 1);
}

/* ... and while it waits. */
static void
test_a_place_may_be_cleared_while_it_waits(void **state)
{
	struct fixture	*f = *state;

	turn_clear(&talker(f, 1, 'a', 1, 1)->turn);
	f->all[0].leaves = 1;
	talker(f, 2, 'b', 1, 1);
	event_base_dispatch(f->base);
	assert_string_equal(f->heard, "b");
}

/* Note that another event was handled. */
static void
other(evutil_socket_t fd, short what, void *arg)
{
	struct fixture	*f = arg;
	size_t		 n = strlen(f->heard);

	(void)fd;
	(void)what;
	f->heard[n] = '.';
}

/* Between two turns the loop handles all other events. */
static void
test_other_events_come_between_turns(void **state)
{
	struct fixture	*f = *state;
	struct event	*ev;
	int		 fd[2];

	assert_int_equal(evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	ev = event_new(f->base, fd[0], EV_WRITE|EV_PERSIST, other, f);
	event_add(ev, NULL);
	talker(f, 1, 'a', 3, SLICE);
	talker(f, 1, 'z', 1, SLICE);
	f->breaks = 'z';
	event_base_dispatch(f->base);
	assert_non_null(strstr(f->heard, "a."));
	assert_null(strstr(f->heard, "az"));
	event_free(ev);
	evutil_closesocket(fd[0]);
	evutil_closesocket(fd[1]);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	static const struct CMUnitTest	 tests[] = {
		TEST(test_ninety_connections_delay_another_account_by_one_turn),
		TEST(test_a_turn_over_its_limit_is_paid_back),
		TEST(test_accounts_get_equal_turns),
		TEST(test_connections_of_an_account_get_equal_turns),
		TEST(test_turns_are_not_saved_up),
		TEST(test_a_turn_requested_twice_comes_once),
		TEST(test_a_place_may_be_cleared_at_its_turn),
		TEST(test_a_place_may_be_cleared_while_it_waits),
		TEST(test_other_events_come_between_turns),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
