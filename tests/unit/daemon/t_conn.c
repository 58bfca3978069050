/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams of lines: framing on the loop, marks of the output queue, half-close
 * and release from inside a callback.
 */
#include "conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "json.h"
#include "xmalloc.h"

/* A stream, its other end, and a log of its callbacks. */
struct fixture {
	struct event_base	*base;		/* owned */
	struct conn		*conn;		/* owned, or NULL */
	int			 peer;		/* owned, or -1 */
	char			 log[65536];	/* a word per callback */
	int			 free_at;	/* this line frees the stream */
	int			 lines;
	int			 pause_at;	/* this line pauses it */
};

/* Add a word to the log. */
static void
note(struct fixture *f, const char *what)
{
	assert_true(strlen(f->log) + strlen(what) + 2 < sizeof f->log);
	strcat(f->log, what);
	strcat(f->log, " ");
}

/* Release the stream. */
static void
drop(struct fixture *f)
{
	conn_free(f->conn);
	f->conn = NULL;
}

static void
on_line(void *arg, char *line, size_t len)
{
	struct fixture	*f = arg;

	assert_int_equal(strlen(line), len);
	note(f, line);
	f->lines++;
	if (f->lines == f->pause_at)
		conn_pause(f->conn);
	if (f->lines == f->free_at)
		drop(f);
}

static void
on_too_long(void *arg)
{
	note(arg, "TOO_LONG");
}

static void
on_eof(void *arg, int half)
{
	note(arg, half ? "HALF" : "EOF");
	if (!half)
		drop(arg);
}

static void
on_failed(void *arg, const char *why)
{
	(void)why;
	note(arg, "FAILED");
	drop(arg);
}

static void
on_pressure(void *arg, int high)
{
	note(arg, high ? "HIGH" : "LOW");
}

static void
on_drained(void *arg)
{
	note(arg, "DRAINED");
}

static void
on_waiting(void *arg)
{
	note(arg, "WAITING");
}

static int
on_first(void *arg, const char *bytes, size_t n)
{
	(void)n;
	note(arg, "FIRST");
	if (bytes[0] == '!') {
		drop(arg);
		return (-1);
	}
	return (bytes[0] != '\n');
}

static const struct conn_ops turn_ops = {
	.line = on_line, .too_long = on_too_long, .eof = on_eof,
	.failed = on_failed, .waiting = on_waiting, .first = on_first,
};

static const struct conn_ops ops = {
	.line = on_line, .too_long = on_too_long, .eof = on_eof,
	.failed = on_failed, .pressure = on_pressure, .drained = on_drained,
};

/* A stream with lines of up to 16 bytes, and its marks. */
static int
begin(void **state, size_t high, size_t low, const struct conn_ops *o)
{
	struct fixture	*f = xcalloc(1, sizeof *f);
	int		 fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	f->base = event_base_new();
	f->peer = fd[1];
	f->conn = conn_new(f->base, fd[0], 16, 50, high, low, o, f);
	*state = f;
	return (0);
}

/* One that is read as it comes, with marks at 1000 and 100. */
static int
setup(void **state)
{
	return (begin(state, 1000, 100, &ops));
}

/* One that is handed out by turns. */
static int
setup_turns(void **state)
{
	return (begin(state, 0, 0, &turn_ops));
}

static int
teardown(void **state)
{
	struct fixture	*f = *state;

	conn_free(f->conn);
	event_base_free(f->base);
	if (f->peer != -1)
		close(f->peer);
	free(f);
	return (0);
}

/* Run the loop as long as it need not wait. */
static void
turn(struct fixture *f)
{
	int	 i;

	for (i = 0; i < 100; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

/* Run the loop for that long. */
static void
wait_ms(struct fixture *f, int ms)
{
	struct timeval	 tv = { 0, ms * 1000 };

	event_base_loopexit(f->base, &tv);
	event_base_dispatch(f->base);
}

/* A hundred lines, and what the log has of them. */
static void
burst(char text[1024], char want[1024])
{
	int	 i, n = 0, m = 0;

	for (i = 0; i < 100; i++) {
		n += snprintf(text + n, 1024 - (size_t)n, "%d\n", i);
		m += snprintf(want + m, 1024 - (size_t)m, "%d ", i);
	}
}

/* Write a text to the stream's other end. */
static void
feed(struct fixture *f, const char *text)
{
	assert_int_equal(write(f->peer, text, strlen(text)), strlen(text));
	turn(f);
}

/* Lines come out whole however their bytes come in. */
static void
test_lines_in_pieces(void **state)
{
	static const char	 text[] = "one\ntwo\r\n\nfour\n";
	struct fixture		*f = *state;
	char			 byte[2] = "";
	size_t			 i;

	for (i = 0; text[i] != '\0'; i++) {
		byte[0] = text[i];
		feed(f, byte);
	}
	assert_string_equal(f->log, "one two  four ");
}

/* A line over the limit is reported once and drops only itself. */
static void
test_a_line_too_long(void **state)
{
	struct fixture	*f = *state;

	feed(f, "0123456789abcdef\n");
	feed(f, "0123456789abcdefg");
	feed(f, "hijklmnopqrstuvwxyz0123456789\nnext\n");
	assert_string_equal(f->log, "0123456789abcdef TOO_LONG next ");
}

/* If there are more lines than one turn takes, all are handed out in order. */
static void
test_a_burst(void **state)
{
	struct fixture	*f = *state;
	char		 text[1024], want[1024];

	burst(text, want);
	feed(f, text);
	assert_string_equal(f->log, want);
}

/* A paused stream keeps the lines it has and reads no more. */
static void
test_pause_and_resume(void **state)
{
	struct fixture	*f = *state;

	f->pause_at = 2;
	feed(f, "a\nb\nc\n");
	feed(f, "d\n");
	assert_string_equal(f->log, "a b ");
	conn_resume(f->conn);
	turn(f);
	assert_string_equal(f->log, "a b c d ");
}

/* The end of input is reported after the last line, also after a pause. */
static void
test_half_close(void **state)
{
	struct fixture	*f = *state;

	f->pause_at = 1;
	feed(f, "a\nb\n");
	shutdown(f->peer, SHUT_WR);
	turn(f);
	assert_string_equal(f->log, "a ");
	conn_resume(f->conn);
	turn(f);
	assert_string_equal(f->log, "a b HALF ");
}

/* A peer that has closed is distinguished from one that still reads. */
static void
test_close(void **state)
{
	struct fixture	*f = *state;

	feed(f, "a\n");
	close(f->peer);
	f->peer = -1;
	turn(f);
	assert_string_equal(f->log, "a EOF ");
}

/* ... and all of its last lines are handed out. */
static void
test_close_after_a_burst(void **state)
{
	struct fixture	*f = *state;
	char		 text[1024], want[1024];

	burst(text, want);
	assert_int_equal(write(f->peer, text, strlen(text)), strlen(text));
	close(f->peer);
	f->peer = -1;
	turn(f);
	strcat(want, "EOF ");
	assert_string_equal(f->log, want);
}

/* A stream may be released from inside its own callback. */
static void
test_free_in_callback(void **state)
{
	struct fixture	*f = *state;

	f->free_at = 2;
	feed(f, "a\nb\nc\n");
	assert_string_equal(f->log, "a b ");
	assert_null(f->conn);
}

/* Each mark is reported once, when it is crossed; then that all is written. */
static void
test_marks(void **state)
{
	struct fixture	*f = *state;
	char		 buf[4096];
	int		 i, k;

	for (i = 0; i < 100; i++)
		conn_send(f->conn, msg_event("0123456789", -1));
	assert_string_equal(f->log, "HIGH ");
	assert_true(conn_queued(f->conn) > 1000);
	for (k = 0; k < 10; k++) {
		turn(f);
		if (conn_queued(f->conn) == 0)
			break;
		assert_true(read(f->peer, buf, sizeof buf) > 0);
	}
	assert_string_equal(f->log, "HIGH LOW DRAINED ");
}

/* A line that stays unfinished fails; an idle stream does not. */
static void
test_an_unfinished_line(void **state)
{
	struct fixture	*f = *state;

	feed(f, "a\n");
	wait_ms(f, 200);
	assert_string_equal(f->log, "a ");
	feed(f, "b");
	wait_ms(f, 200);
	assert_string_equal(f->log, "a FAILED ");
}

/* ... and so does one that is inside a line it drops. */
static void
test_an_unfinished_line_too_long(void **state)
{
	struct fixture	*f = *state;

	feed(f, "0123456789abcdefghijklmn");
	wait_ms(f, 200);
	assert_string_equal(f->log, "TOO_LONG FAILED ");
}

/* With turns, nothing is read before a turn, and a turn hands out no more than
 * it pays for. */
static void
test_turns_are_asked_for_once_and_bounded(void **state)
{
	struct fixture	*f = *state;
	int		 more;

	feed(f, "a\nb\nc\n");
	feed(f, "d\n");
	assert_string_equal(f->log, "WAITING ");
	assert_int_equal(conn_turn(f->conn, 3 * CONN_COST, &more),
	    3 * CONN_COST);		/* a read and two lines */
	assert_true(more);
	turn(f);
	assert_string_equal(f->log, "WAITING FIRST a b ");
	assert_int_equal(conn_turn(f->conn, 10 * CONN_COST, &more),
	    3 * CONN_COST);		/* two lines and a read */
	assert_false(more);
	feed(f, "e\n");
	assert_string_equal(f->log, "WAITING FIRST a b c d WAITING ");
}

/* A pause lasts across turns, and the remaining lines are asked for after
 * it. */
static void
test_turns_and_pauses(void **state)
{
	struct fixture	*f = *state;
	int		 more;

	f->pause_at = 1;
	feed(f, "a\nb\n");
	conn_turn(f->conn, 100 * CONN_COST, &more);
	assert_false(more);
	turn(f);
	assert_string_equal(f->log, "WAITING FIRST a ");
	conn_resume(f->conn);
	turn(f);
	assert_string_equal(f->log, "WAITING FIRST a WAITING ");
	conn_turn(f->conn, 100 * CONN_COST, &more);
	assert_string_equal(f->log, "WAITING FIRST a WAITING b ");
}

/* The end of input is reported after the last line of the last turn. */
static void
test_turns_and_the_end(void **state)
{
	struct fixture	*f = *state;
	int		 more;

	feed(f, "a\nb\n");
	shutdown(f->peer, SHUT_WR);
	conn_turn(f->conn, 2 * CONN_COST, &more);
	assert_true(more);
	conn_turn(f->conn, 9 * CONN_COST, &more);
	assert_string_equal(f->log, "WAITING FIRST a b HALF ");
	assert_false(more);
	turn(f);
	assert_string_equal(f->log, "WAITING FIRST a b HALF ");
}

/* A callback in its turn may release the stream. */
static void
test_free_at_its_turn(void **state)
{
	struct fixture	*f = *state;
	int		 more;

	f->free_at = 1;
	feed(f, "a\nb\n");
	conn_turn(f->conn, 9 * CONN_COST, &more);
	assert_null(f->conn);
	assert_string_equal(f->log, "WAITING FIRST a ");
}

/* The first bytes are passed to first until it recognizes them. */
static void
test_first_bytes(void **state)
{
	struct fixture	*f = *state;
	int		 more;

	feed(f, "\n");
	conn_turn(f->conn, 9 * CONN_COST, &more);
	feed(f, "!x\n");
	conn_turn(f->conn, 9 * CONN_COST, &more);
	assert_null(f->conn);
	assert_string_equal(f->log, "WAITING FIRST  WAITING FIRST ");
}

/* A stream that waits for its turn longer than its line may take is not
 * dropped. */
static void
test_a_late_turn_is_not_a_late_line(void **state)
{
	struct fixture	*f = *state;
	int		 more;

	feed(f, "a");
	conn_turn(f->conn, 9 * CONN_COST, &more);
	feed(f, "b\n");
	wait_ms(f, 400);
	conn_turn(f->conn, 9 * CONN_COST, &more);
	assert_string_equal(f->log, "WAITING FIRST WAITING ab ");
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define TURN(t) cmocka_unit_test_setup_teardown(t, setup_turns, teardown)
	static const struct CMUnitTest	 tests[] = {
		TEST(test_lines_in_pieces),
		TEST(test_a_line_too_long),
		TEST(test_a_burst),
		TEST(test_pause_and_resume),
		TEST(test_half_close),
		TEST(test_close),
		TEST(test_close_after_a_burst),
		TEST(test_free_in_callback),
		TEST(test_marks),
		TEST(test_an_unfinished_line),
		TEST(test_an_unfinished_line_too_long),
		TURN(test_turns_are_asked_for_once_and_bounded),
		TURN(test_turns_and_pauses),
		TURN(test_turns_and_the_end),
		TURN(test_free_at_its_turn),
		TURN(test_first_bytes),
		TURN(test_a_late_turn_is_not_a_late_line),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
