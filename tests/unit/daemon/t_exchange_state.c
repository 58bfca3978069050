/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of states and events: rules for all of its cells, and the paths
 * that the faults of helpers and clients take through it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <sys/wait.h>

#include <unistd.h>

#include "exchange_impl.h"
#include "log.h"

#define NONE EXCHANGE_STATES

/* Follow all events from a state, and mark the states that are reached. */
static void
follow(enum exchange_state s, int seen[EXCHANGE_STATES])
{
	int	 e;

	seen[s] = 1;
	for (e = 0; e < EXCHANGE_EVENTS; e++) {
		if (exchange_rules[s].next[e] != NONE &&
		    !seen[exchange_rules[s].next[e]])
			follow(exchange_rules[s].next[e], seen);
	}
}

/* Each cell holds a state or NO, and each state has a name. */
static void
test_every_cell_is_legal_or_refused(void **state)
{
	int	 s, e;

	(void)state;
	for (s = 0; s < EXCHANGE_STATES; s++) {
		assert_non_null(exchange_rules[s].name);
		for (e = 0; e < EXCHANGE_EVENTS; e++)
			assert_in_range(exchange_rules[s].next[e], 0, NONE);
	}
}

static void
test_every_state_can_be_reached(void **state)
{
	int	 seen[EXCHANGE_STATES] = { 0 }, s;

	(void)state;
	follow(EXCHANGE_RECEIVED, seen);
	for (s = 0; s < EXCHANGE_STATES; s++)
		assert_true(seen[s]);
}

static void
test_every_state_comes_to_an_end(void **state)
{
	int	 seen[EXCHANGE_STATES], s;

	(void)state;
	for (s = 0; s < EXCHANGE_STATES; s++) {
		memset(seen, 0, sizeof seen);
		follow((enum exchange_state)s, seen);
		assert_true(seen[EXCHANGE_GONE]);
	}
}

/* No event leads out of the last state, and every event is allowed in some
 * state. */
static void
test_no_event_leaves_the_last_state(void **state)
{
	int	 s, e, n;

	(void)state;
	for (e = 0; e < EXCHANGE_EVENTS; e++) {
		assert_int_equal(exchange_rules[EXCHANGE_GONE].next[e], NONE);
		for (n = s = 0; s < EXCHANGE_STATES; s++)
			n += exchange_rules[s].next[e] != NONE;
		assert_true(n > 0);
	}
}

/* An exchange can be ended and stored from each state; once the outcome is
 * fixed, only the store changes the state. */
static void
test_it_can_be_ended_until_its_outcome_is_fixed(void **state)
{
	int	 s, e;

	(void)state;
	for (s = 0; s < EXCHANGE_COMMITTING; s++)
		assert_int_equal(exchange_rules[s].next[EVENT_END],
		    EXCHANGE_COMMITTING);
	for (e = 0; e < EXCHANGE_EVENTS; e++)
		assert_int_equal(exchange_rules[EXCHANGE_COMMITTING].next[e],
		    e == EVENT_AGAIN ? EXCHANGE_COMMITTING :
		    e == EVENT_STORED || e == EVENT_FORGET ? EXCHANGE_GONE :
		    NONE);
}

/* The paths that the faults take. */
static const struct {
	const char		*what;
	enum exchange_event	 events[12];	/* up to EXCHANGE_EVENTS */
	enum exchange_state	 end;
} ways[] = {
	{ "a reply without filters", { EVENT_BEGIN, EVENT_QUEUE, EVENT_START,
	    EVENT_TEXT, EVENT_WRITTEN, EVENT_END, EVENT_STORED,
	    EXCHANGE_EVENTS }, EXCHANGE_GONE },
	{ "a pre-prompt, a prompt and a reply are judged", { EVENT_BEGIN,
	    EVENT_SCREEN, EVENT_SCREEN, EVENT_QUEUE, EVENT_START, EVENT_TEXT,
	    EVENT_JUDGED, EVENT_WRITTEN, EVENT_JUDGED, EVENT_END,
	    EVENT_STORED, EXCHANGE_EVENTS }, EXCHANGE_GONE },
	{ "the engine dies before it starts", { EVENT_BEGIN, EVENT_QUEUE,
	    EVENT_LOST, EVENT_QUEUE, EVENT_START, EXCHANGE_EVENTS },
	    EXCHANGE_GENERATING },
	{ "the engine dies in the reply, a verdict comes meanwhile",
	    { EVENT_BEGIN, EVENT_SCREEN, EVENT_QUEUE, EVENT_START, EVENT_TEXT,
	    EVENT_LOST, EVENT_JUDGED, EVENT_QUEUE, EVENT_START, EVENT_TEXT,
	    EVENT_WRITTEN, EXCHANGE_EVENTS }, EXCHANGE_HELD },
	{ "cancelled while it is queued in the engine", { EVENT_BEGIN,
	    EVENT_QUEUE, EVENT_WRITTEN, EVENT_END, EXCHANGE_EVENTS },
	    EXCHANGE_COMMITTING },
	{ "cancelled while the model loads", { EVENT_END, EVENT_FORGET,
	    EXCHANGE_EVENTS }, EXCHANGE_GONE },
	{ "blocked in the prompt; the store fails twice", { EVENT_BEGIN,
	    EVENT_SCREEN, EVENT_END, EVENT_AGAIN, EVENT_AGAIN, EVENT_STORED,
	    EXCHANGE_EVENTS }, EXCHANGE_GONE },
	{ "the store refuses it", { EVENT_BEGIN, EVENT_FORGET,
	    EXCHANGE_EVENTS }, EXCHANGE_GONE },
};

static void
test_the_paths_of_faults_are_in_the_table(void **state)
{
	size_t	 i, k;

	(void)state;
	for (i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		struct exchange	 x = { .state = EXCHANGE_RECEIVED };

		for (k = 0; ways[i].events[k] != EXCHANGE_EVENTS; k++) {
			if (!exchange_allows(&x, ways[i].events[k]))
				fail_msg("%s: event %zu is refused while %s",
				    ways[i].what, k,
				    exchange_rules[x.state].name);
			exchange_move(&x, ways[i].events[k]);
			assert_true(exchange_is_sound(&x));
		}
		assert_int_equal(x.state, ways[i].end);
	}
}

/* An event that is not allowed ends the process: run it in a child. */
static int
ends_in_child(enum exchange_state s, enum exchange_event e)
{
	struct exchange	 x = { .state = s };
	int		 status;
	pid_t		 pid = fork();

	if (pid == 0) {
		close(STDERR_FILENO);
		exchange_move(&x, e);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return (!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

static void
test_an_impossible_event_is_fatal(void **state)
{
	(void)state;
	assert_true(ends_in_child(EXCHANGE_RECEIVED, EVENT_TEXT));
	assert_true(ends_in_child(EXCHANGE_COMMITTING, EVENT_END));
	assert_true(ends_in_child(EXCHANGE_GONE, EVENT_FORGET));
	assert_false(ends_in_child(EXCHANGE_RECEIVED, EVENT_BEGIN));
}

/* Only the requests that the state allows may be outstanding. */
static void
test_outstanding_requests_are_checked(void **state)
{
	struct exchange	 x = { .state = EXCHANGE_RECEIVED };

	(void)state;
	assert_true(exchange_is_sound(&x));
	x.store_req = 1;
	assert_false(exchange_is_sound(&x));
	x.state = EXCHANGE_BEGINNING;
	assert_true(exchange_is_sound(&x));
	x.engine_req = 2;
	assert_false(exchange_is_sound(&x));
	x.state = EXCHANGE_QUEUED;
	x.store_req = 0;
	assert_true(exchange_is_sound(&x));
	x.failing = 1;
	assert_false(exchange_is_sound(&x));
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_every_cell_is_legal_or_refused),
		cmocka_unit_test(test_every_state_can_be_reached),
		cmocka_unit_test(test_every_state_comes_to_an_end),
		cmocka_unit_test(test_no_event_leaves_the_last_state),
		cmocka_unit_test(
		    test_it_can_be_ended_until_its_outcome_is_fixed),
		cmocka_unit_test(test_the_paths_of_faults_are_in_the_table),
		cmocka_unit_test(test_an_impossible_event_is_fatal),
		cmocka_unit_test(test_outstanding_requests_are_checked),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
