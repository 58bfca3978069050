/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl's connection over libchat, with a scripted peer.
 */
#include "wire.h"

#include <sys/socket.h>

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "json.h"
#include "peer_fixture.h"
#include "xmalloc.h"

/* Send a request and take events up to its end: 1 and *end, or what wire_send
 * or wire_next returned. */
static int
wire_call(struct wire *w, json_t *msg, int timeout_ms, json_t **end,
    struct fault *f)
{
	int64_t	 id, until = clock_monotonic() + timeout_ms;
	int	 r;

	if ((r = wire_send(w, msg, &id, f)) != 0)
		return (r);
	do {
		/* Part of a line ends a wait early. */
		if ((r = wire_next(w, timeout_ms, end, f)) != 1)
			continue;
		if (msg_int(*end, "id", -1) == id &&
		    strcmp(msg_string(*end, "event"), "text") != 0)
			return (1);
		json_decref(*end);
	} while (r >= 0 && clock_monotonic() < until);
	return (r);
}

static void
test_hello_is_read_however_it_is_cut(void **state)
{
	struct peer	 p;
	struct wire	*c;
	struct fault	 f;
	size_t		 step;

	(void)state;
	for (step = 1; step < 40; step += 13) {
		peer_start(&p, PEER_HELLO, NULL, step);
		assert_int_equal(wire_open(p.path, "t 1", PEER_MS, &c, &f),
		    0);
		assert_string_equal(msg_string(wire_hello(c), "server"),
		    "chatd t");
		assert_int_equal(wire_limit(c, "prompt", 7), 50);
		assert_int_equal(wire_limit(c, "depth", 7), 7);
		wire_close(c);
		peer_stop(&p);
		assert_string_equal(p.heard, "{\"op\":\"hello\",\"id\":0,"
		    "\"protocol\":1,\"client\":\"t 1\"}\n");
	}
}

static void
test_a_peer_that_is_not_chatd_is_refused(void **state)
{
	static const struct {
		const char	*says;
		int		 r;
		const char	*code, *part;
	} table[] = {
		{ "{\"event\":\"hello\",\"protocol\":2,\"server\":\"x\"}\n",
		    CHAT_EPROTOCOL, "bad_protocol", "x speaks protocol 2" },
		{ "{\"event\":\"hello\"}\n", CHAT_EPROTOCOL, "bad_protocol",
		    "expected chatd's hello" },
		{ "{\"event\":\"text\"}\n", CHAT_EPROTOCOL, "bad_protocol",
		    "found event \"text\"" },
		{ "{}\n", CHAT_EPROTOCOL, "bad_protocol", "without an event" },
		{ "HTTP/1.1 400 Bad Request\r\n", CHAT_EPROTOCOL, "bad_json",
		    "" },
		{ "{\"event\":\"error\",\"code\":\"busy\","
		    "\"message\":\"too many\"}\n", CHAT_EBUSY, "busy",
		    "too many" },
	};
	struct peer	 p;
	struct wire	*c = NULL;
	struct fault	 f;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(table); i++) {
		peer_start(&p, table[i].says, NULL, 0);
		assert_int_equal(wire_open(p.path, "t", PEER_MS, &c, &f),
		    table[i].r);
		assert_string_equal(f.code, table[i].code);
		assert_non_null(strstr(f.message, table[i].part));
		assert_null(c);
		peer_stop(&p);
	}
}

static void
test_a_silent_peer_times_out(void **state)
{
	struct peer	 p;
	struct wire	*c;
	struct fault	 f;

	(void)state;
	peer_start(&p, "", NULL, 0);
	assert_int_equal(wire_open(p.path, "t", 50, &c, &f), CHAT_EBUSY);
	assert_string_equal(f.code, "timeout");
	peer_stop(&p);
}

static void
test_a_peer_that_hangs_up_is_reported(void **state)
{
	struct peer	 p;
	struct wire	*c;
	struct fault	 f;

	(void)state;
	peer_start(&p, NULL, NULL, 0);
	assert_int_equal(wire_open(p.path, "t", PEER_MS, &c, &f),
	    CHAT_ECLOSED);
	assert_string_equal(f.code, "closed");
	peer_stop(&p);
}

static void
test_a_socket_without_a_listener_is_reported(void **state)
{
	struct peer	 p;
	struct wire	*c;
	struct fault	 f;
	char		 path[200];
	FILE		*file;

	(void)state;
	peer_start(&p, PEER_HELLO, NULL, 0);
	shutdown(p.fd, SHUT_RDWR);
	pthread_join(p.thread, NULL);
	close(p.fd);
	assert_int_equal(wire_open(p.path, "t", PEER_MS, &c, &f),
	    CHAT_ECLOSED);
	assert_string_equal(f.code, "nobody_listens");
	unlink(p.path);
	assert_int_equal(wire_open(p.path, "t", PEER_MS, &c, &f),
	    CHAT_ENOTFOUND);
	assert_string_equal(f.message, "no such socket");
	file = fopen(p.path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(wire_open(p.path, "t", PEER_MS, &c, &f),
	    CHAT_ENOTFOUND);
	assert_string_equal(f.message, "not a socket");
	unlink(p.path);
	rmdir(p.dir);
	memset(path, 'x', sizeof path);
	path[sizeof path - 1] = '\0';
	assert_int_equal(wire_open(path, "t", PEER_MS, &c, &f),
	    CHAT_ENOTFOUND);
	assert_non_null(strstr(f.message, "at most 107 bytes"));
}

static void
test_call_returns_the_end_of_its_own_request(void **state)
{
	struct peer	 p;
	struct wire	*c;
	struct fault	 f;
	json_t		*end;

	(void)state;
	peer_start(&p, PEER_HELLO,
	    "{\"event\":\"done\",\"id\":0,\"protocol\":1}\n"
	    "{\"event\":\"text\",\"id\":1,\"text\":\"x\"}\n"
	    "{\"event\":\"done\",\"id\":9}\n"
	    "{\"event\":\"error\",\"id\":1,\"code\":\"busy\","
	    "\"message\":\"m\"}\n", 3);
	assert_int_equal(wire_open(p.path, "t", PEER_MS, &c, &f), 0);
	assert_int_equal(wire_call(c, msg_op("list", -1), PEER_MS, &end, &f),
	    1);
	assert_string_equal(msg_string(end, "code"), "busy");
	json_decref(end);
	wire_close(c);
	peer_stop(&p);
	assert_non_null(strstr(p.heard, "{\"op\":\"list\",\"id\":1}\n"));
}

static void
test_a_call_without_an_answer_times_out(void **state)
{
	struct peer	 p;
	struct wire	*c;
	struct fault	 f;
	json_t		*end;

	(void)state;
	peer_start(&p, PEER_HELLO, NULL, 0);
	assert_int_equal(wire_open(p.path, "t", PEER_MS, &c, &f), 0);
	assert_int_equal(wire_call(c, msg_op("list", -1), 50, &end, &f), 0);
	wire_close(c);
	peer_stop(&p);
}

static void
test_a_refused_hello_is_a_protocol_error(void **state)
{
	struct peer	 p;
	struct wire	*c;
	struct fault	 f;
	json_t		*end;

	(void)state;
	peer_start(&p, PEER_HELLO,
	    "{\"event\":\"error\",\"id\":0,"
	    "\"code\":\"bad_protocol\",\"message\":\"no\"}\n", 0);
	assert_int_equal(wire_open(p.path, "t", PEER_MS, &c, &f), 0);
	assert_int_equal(wire_call(c, msg_op("list", -1), PEER_MS, &end, &f),
	    CHAT_EPROTOCOL);
	assert_string_equal(f.message, "no");
	wire_close(c);
	peer_stop(&p);
}

static void
test_a_request_over_the_limit_is_not_sent(void **state)
{
	struct peer	 p;
	struct wire	*c;
	struct fault	 f;
	json_t		*m;
	char		 text[201];
	int64_t		 id = 0;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	peer_start(&p, PEER_HELLO, NULL, 0);
	assert_int_equal(wire_open(p.path, "t", PEER_MS, &c, &f), 0);
	m = msg_op("say", -1);
	msg_set_string(m, "text", text);
	assert_int_equal(wire_send(c, m, &id, &f), CHAT_ETOOBIG);
	assert_string_equal(f.code, "too_long");
	/* The next request is sent, and gets the first id. */
	assert_int_equal(wire_send(c, msg_op("list", -1), &id, &f), 0);
	assert_int_equal(id, 1);
	wire_close(c);
	peer_stop(&p);
	assert_null(strstr(p.heard, "xxx"));
	assert_non_null(strstr(p.heard, "\"list\""));
}

static void
test_poll_wakes_for_events_and_the_end(void **state)
{
	struct peer	 p;
	struct wire	*c;
	struct fault	 f;
	struct pollfd	 pf;
	json_t		*m;
	int		 r, events = 0;

	(void)state;
	peer_start(&p, PEER_HELLO,
	    "{\"event\":\"text\",\"id\":1,\"text\":\"a\"}\n"
	    "{\"event\":\"text\",\"id\":1,\"text\":\"BYE\"}\n", 1);
	assert_int_equal(wire_open(p.path, "t", PEER_MS, &c, &f), 0);
	assert_int_equal(wire_send(c, msg_op("list", -1), NULL, &f), 0);
	while ((r = wire_next(c, 0, &m, &f)) >= 0) {
		if (r == 1) {
			events++;
			json_decref(m);
			continue;
		}
		pf = (struct pollfd){ .fd = wire_fd(c),
		    .events = wire_events(c) };
		assert_int_equal(poll(&pf, 1, PEER_MS), 1);
	}
	assert_int_equal(r, CHAT_ECLOSED);
	assert_int_equal(events, 2);
	wire_close(c);
	peer_stop(&p);
}

static void
test_a_line_that_is_not_an_event_ends_the_connection(void **state)
{
	struct peer	 p;
	struct wire	*c;
	struct fault	 f;
	json_t		*end;

	(void)state;
	peer_start(&p, PEER_HELLO, "what?\n", 0);
	assert_int_equal(wire_open(p.path, "t", PEER_MS, &c, &f), 0);
	assert_int_equal(wire_call(c, msg_op("list", -1), PEER_MS, &end, &f),
	    CHAT_EPROTOCOL);
	wire_close(c);
	peer_stop(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello_is_read_however_it_is_cut),
		cmocka_unit_test(test_a_peer_that_is_not_chatd_is_refused),
		cmocka_unit_test(test_a_silent_peer_times_out),
		cmocka_unit_test(test_a_peer_that_hangs_up_is_reported),
		cmocka_unit_test(test_a_socket_without_a_listener_is_reported),
		cmocka_unit_test(test_call_returns_the_end_of_its_own_request),
		cmocka_unit_test(test_a_call_without_an_answer_times_out),
		cmocka_unit_test(test_a_refused_hello_is_a_protocol_error),
		cmocka_unit_test(test_a_request_over_the_limit_is_not_sent),
		cmocka_unit_test(test_poll_wakes_for_events_and_the_end),
		cmocka_unit_test(
		    test_a_line_that_is_not_an_event_ends_the_connection),
	};

	return (cmocka_run_group_tests_name("wire", tests, NULL, NULL));
}
