/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libchat with a scripted peer: connecting, requests, their events and their
 * ends, and what is not allowed.
 */
#include "chat.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "peer_fixture.h"

#define ITEMS(a) (sizeof (a) / sizeof (a)[0])

#define DONE_HELLO	"{\"event\":\"done\",\"id\":0,\"protocol\":1}\n"

/* What a function of the test was called with. */
struct seen {
	char	 log[512];	/* a word for each event */
	int	 ends;
	int	 inside[4];	/* results of calls that are not allowed */
};

/* Note an event. */
static void
see(struct chat *c, const struct chat_event *ev, void *arg)
{
	static const char *const names[] = { "other", "hello", "accepted",
		"notice", "text", "item", "done", "error", "lost" };
	struct seen	*s = arg;
	const char	*text = chat_text(ev, NULL);
	size_t		 n = strlen(s->log);

	(void)c;
	snprintf(s->log + n, sizeof s->log - n, "%s%s%s%s ",
	    names[chat_kind(ev)], chat_id(ev) == -1 ? "-" : "",
	    text == NULL ? "" : ":", text == NULL ? "" : text);
	s->ends += chat_is_last(ev);
}

/* Connect to a peer. */
static struct chat *
joined(struct peer *p)
{
	struct chat	*c = chat_new("t 1");

	assert_non_null(c);
	assert_int_equal(chat_connect(c, p->path, PEER_MS), 0);
	return (c);
}

static void
test_hello_is_read_however_it_is_cut(void **state)
{
	const struct chat_event	*h;
	struct peer		 p;
	struct chat		*c;
	size_t			 step;

	(void)state;
	for (step = 1; step < 40; step += 13) {
		peer_start(&p, PEER_HELLO, NULL, step);
		c = chat_new("t 1");
		assert_null(chat_hello(c));
		assert_int_equal(chat_fd(c), -1);
		assert_int_equal(chat_connect(c, p.path, PEER_MS), 0);
		h = chat_hello(c);
		assert_int_equal(chat_kind(h), CHAT_HELLO);
		assert_string_equal(chat_get_string(h, "server"), "chatd t");
		assert_int_equal(chat_get_int(h, "limits.prompt", 7), 50);
		assert_int_equal(chat_get_int(h, "limits.depth", 7), 7);
		chat_free(c);
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
		    CHAT_ERR_PROTOCOL, "bad_protocol", "x speaks protocol 2" },
		{ "{\"event\":\"hello\"}\n", CHAT_ERR_PROTOCOL, "bad_protocol",
		    "expected chatd's hello" },
		{ "{\"event\":\"text\"}\n", CHAT_ERR_PROTOCOL, "bad_protocol",
		    "found event \"text\"" },
		{ "{}\n", CHAT_ERR_PROTOCOL, "bad_protocol",
		    "without an event" },
		{ "HTTP/1.1 400 Bad Request\r\n", CHAT_ERR_PROTOCOL,
		    "bad_json", "" },
		{ "{\"event\":\"error\",\"code\":\"busy\","
		    "\"message\":\"too\\nmany\"}\n", CHAT_ERR_REFUSED, "busy",
		    "too?many" },
		{ NULL, CHAT_ERR_CLOSED, "closed", "closed the connection" },
	};
	struct peer	 p;
	struct chat	*c;
	size_t		 i;

	(void)state;
	for (i = 0; i < ITEMS(table); i++) {
		peer_start(&p, table[i].says, NULL, 0);
		c = chat_new(NULL);
		assert_int_equal(chat_connect(c, p.path, PEER_MS),
		    table[i].r);
		assert_string_equal(chat_error_code(c), table[i].code);
		assert_non_null(strstr(chat_error_message(c), table[i].part));
		assert_null(chat_hello(c));
		chat_free(c);
		peer_stop(&p);
	}
}

static void
test_a_hello_that_does_not_come_times_out(void **state)
{
	static const char *const says[] = { "", "{\"event\":" };
	struct peer	 p;
	struct chat	*c;
	size_t		 i;

	(void)state;
	for (i = 0; i < ITEMS(says); i++) {
		peer_start(&p, says[i], NULL, 0);
		c = chat_new(NULL);
		assert_int_equal(chat_connect(c, p.path, 50),
		    CHAT_ERR_TIMEOUT);
		assert_string_equal(chat_error_code(c), "timeout");
		chat_free(c);
		peer_stop(&p);
	}
}

static void
test_a_path_without_a_listener_is_reported(void **state)
{
	struct chat	*c = chat_new(NULL);
	char		 path[200];

	(void)state;
	assert_int_equal(chat_connect(c, "/nowhere/s", 50),
	    CHAT_ERR_NO_SOCKET);
	assert_string_equal(chat_error_code(c), "no_socket");
	assert_int_equal(chat_connect(c, "/dev/null", 50),
	    CHAT_ERR_NO_SOCKET);
	assert_string_equal(chat_error_message(c), "not a socket");
	memset(path, 'x', sizeof path);
	path[sizeof path - 1] = '\0';
	assert_int_equal(chat_connect(c, path, 50), CHAT_ERR_NO_SOCKET);
	assert_non_null(strstr(chat_error_message(c), "at most 107 bytes"));
	assert_int_equal(chat_list(c, 0, 0, NULL, NULL), CHAT_ERR_CLOSED);
	assert_int_equal(chat_dispatch(c), CHAT_ERR_CLOSED);
	chat_free(c);
	chat_free(NULL);
}

static void
test_the_events_of_a_message_come_in_order(void **state)
{
	struct seen	 s = { 0 };
	struct peer	 p;
	struct chat	*c;
	int64_t		 id;

	(void)state;
	peer_start(&p, PEER_HELLO, DONE_HELLO
	    "{\"event\":\"accepted\",\"id\":1,\"exchange\":12}\n"
	    "{\"event\":\"soon\",\"id\":1}\n"
	    "{\"event\":\"text\",\"id\":9,\"text\":\"no\"}\n"
	    "{\"event\":\"notice\",\"id\":1,\"code\":\"loading\"}\n"
	    "{\"event\":\"text\",\"id\":1,\"text\":\"Hi\"}\r\n"
	    "{\"event\":\"text\",\"id\":1,\"text\":\" you\"}\n"
	    "{\"event\":\"done\",\"id\":1,\"stop\":\"end\"}\n", 3);
	c = joined(&p);
	id = chat_say(c, 5, "Hello", "{\"seed\":7,\"top_p\":0.9}", see, &s);
	assert_int_equal(id, 1);
	assert_int_equal(chat_running(c), 1);
	assert_int_equal(chat_wait(c, id, PEER_MS), 0);
	assert_int_equal(chat_running(c), 0);
	assert_string_equal(s.log,
	    "accepted other notice text:Hi text: you done ");
	assert_int_equal(chat_wait(c, id, PEER_MS), CHAT_ERR_USE);
	assert_int_equal(chat_wait(c, CHAT_ERR_TOO_LONG, PEER_MS),
	    CHAT_ERR_TOO_LONG);
	chat_free(c);
	peer_stop(&p);
	assert_non_null(strstr(p.heard, "{\"op\":\"say\",\"id\":1,"
	    "\"text\":\"Hello\",\"conversation\":5,"
	    "\"params\":{\"seed\":7,\"top_p\":0.9}}\n"));
}

static void
test_an_error_of_chatd_is_the_result_of_the_wait(void **state)
{
	struct seen	 s = { 0 };
	struct pollfd	 pf;
	struct peer	 p;
	struct chat	*c;

	(void)state;
	peer_start(&p, PEER_HELLO, "{\"event\":\"error\",\"id\":1,"
	    "\"code\":\"bad_field\",\"message\":\"BYE\",\"field\":\"limit\"}\n",
	    0);
	c = joined(&p);
	assert_int_equal(chat_wait(c, chat_list(c, 0, -1, see, &s), PEER_MS),
	    CHAT_ERR_REFUSED);
	assert_string_equal(chat_error_code(c), "bad_field");
	assert_string_equal(chat_error_message(c), "BYE");
	assert_string_equal(chat_error_field(c), "limit");
	assert_string_equal(s.log, "error ");
	/* The peer hangs up after its answer: this is told later. */
	pf = (struct pollfd){ .fd = chat_fd(c), .events = chat_events(c) };
	assert_int_equal(poll(&pf, 1, PEER_MS), 1);
	assert_int_equal(chat_dispatch(c), CHAT_ERR_CLOSED);
	assert_int_equal(chat_fd(c), -1);
	chat_free(c);
	peer_stop(&p);
}

static void
test_requests_run_at_once(void **state)
{
	struct seen	 a = { 0 }, b = { 0 }, rest = { 0 };
	struct peer	 p;
	struct chat	*c;
	int64_t		 id;

	(void)state;
	peer_start_after(&p, 4,
	    "{\"event\":\"text\",\"id\":2,\"text\":\"b\"}\n"
	    "{\"event\":\"text\",\"id\":1,\"text\":\"a\"}\n"
	    "{\"event\":\"done\",\"id\":3}\n"
	    "{\"event\":\"error\",\"id\":2,\"code\":\"busy\"}\n"
	    "{\"event\":\"done\",\"id\":1}\n");
	c = joined(&p);
	chat_set_handler(c, see, &rest);
	id = chat_say(c, 0, "a", NULL, see, &a);
	assert_int_equal(chat_say(c, 0, "b", NULL, see, &b), 2);
	assert_int_equal(chat_cancel(c, 2, NULL, NULL), 3);
	assert_int_equal(chat_running(c), 3);
	assert_int_equal(chat_wait(c, id, PEER_MS), 0);
	assert_int_equal(chat_wait(c, 0, PEER_MS), 0);
	assert_string_equal(a.log, "text:a done ");
	assert_string_equal(b.log, "text:b error ");
	assert_string_equal(rest.log, "done ");
	chat_free(c);
	peer_stop(&p);
	assert_non_null(strstr(p.heard,
	    "{\"op\":\"cancel\",\"id\":3,\"request\":2}\n"));
}

static void
test_poll_wakes_for_events_and_the_loss(void **state)
{
	struct seen	 s = { 0 };
	struct pollfd	 pf;
	struct peer	 p;
	struct chat	*c;
	int		 r, n = 0;

	(void)state;
	peer_start(&p, PEER_HELLO,
	    "{\"event\":\"text\",\"id\":1,\"text\":\"a\"}\n"
	    "{\"event\":\"text\",\"id\":1,\"text\":\"BYE\"}\n", 1);
	c = joined(&p);
	assert_int_equal(chat_say(c, 0, "x", NULL, see, &s), 1);
	while ((r = chat_dispatch(c)) >= 0) {
		n += r;
		pf = (struct pollfd){ .fd = chat_fd(c),
		    .events = chat_events(c) };
		assert_int_equal(poll(&pf, 1, PEER_MS), 1);
	}
	assert_int_equal(r, CHAT_ERR_CLOSED);
	assert_int_equal(n, 2);
	assert_string_equal(s.log, "text:a text:BYE lost ");
	assert_string_equal(chat_error_code(c), "closed");
	chat_free(c);
	peer_stop(&p);
}

static void
test_a_lost_connection_can_be_made_again(void **state)
{
	struct seen	 a = { 0 }, b = { 0 };
	struct peer	 p, q;
	struct chat	*c;

	(void)state;
	peer_start_after(&p, 3, "{\"event\":\"text\",\"id\":1,"
	    "\"text\":\"BYE\"}\n");
	c = joined(&p);
	assert_int_equal(chat_say(c, 0, "x", NULL, see, &a), 1);
	assert_int_equal(chat_say(c, 0, "y", NULL, see, &b), 2);
	assert_int_equal(chat_wait(c, 2, PEER_MS), CHAT_ERR_CLOSED);
	assert_string_equal(a.log, "text:BYE lost ");
	assert_string_equal(b.log, "lost ");
	assert_int_equal(chat_running(c), 0);
	assert_int_equal(chat_say(c, 0, "z", NULL, see, &b), CHAT_ERR_CLOSED);
	assert_string_equal(b.log, "lost ");
	peer_stop(&p);
	/* Ids are never used again. */
	peer_start(&q, PEER_HELLO, "{\"event\":\"done\",\"id\":3}\n", 0);
	assert_int_equal(chat_connect(c, q.path, PEER_MS), 0);
	assert_int_equal(chat_say(c, 0, "z", NULL, see, &b), 3);
	assert_int_equal(chat_wait(c, 3, PEER_MS), 0);
	assert_string_equal(b.log, "lost done ");
	chat_free(c);
	peer_stop(&q);
}

static void
test_closing_calls_no_function(void **state)
{
	struct seen	 s = { 0 };
	struct peer	 p;
	struct chat	*c;

	(void)state;
	peer_start(&p, PEER_HELLO, NULL, 0);
	c = joined(&p);
	assert_int_equal(chat_say(c, 0, "x", NULL, see, &s), 1);
	chat_close(c);
	assert_int_equal(chat_running(c), 0);
	assert_int_equal(chat_dispatch(c), CHAT_ERR_CLOSED);
	chat_free(c);
	peer_stop(&p);
	assert_string_equal(s.log, "");
}

static void
test_a_line_that_is_not_an_event_ends_the_connection(void **state)
{
	static const char *const lines[] = { "what?\n", "[1]\n", "{}\n",
		"{\"event\":\"text\",\"id\":1,\"text\":\"\\u0000\"}\n",
		"{\"event\":\"text\",\"id\":1,\"id\":1}\n",
		"{\"event\":\"error\",\"id\":0,\"message\":\"no\"}\n" };
	struct seen	 s;
	struct peer	 p;
	struct chat	*c;
	size_t		 i;

	(void)state;
	for (i = 0; i < ITEMS(lines); i++) {
		memset(&s, 0, sizeof s);
		peer_start(&p, PEER_HELLO, lines[i], 0);
		c = joined(&p);
		assert_int_equal(chat_wait(c, chat_list(c, 0, 0, see, &s),
		    PEER_MS), CHAT_ERR_PROTOCOL);
		assert_string_equal(s.log, "lost ");
		assert_int_equal(chat_fd(c), -1);
		chat_free(c);
		peer_stop(&p);
	}
}

static void
test_an_error_without_an_id_ends_all_requests(void **state)
{
	struct seen	 a = { 0 }, rest = { 0 };
	struct peer	 p;
	struct chat	*c;

	(void)state;
	peer_start_after(&p, 3, "{\"event\":\"error\",\"code\":\"bad_json\","
	    "\"message\":\"which?\"}\n");
	c = joined(&p);
	chat_set_handler(c, see, &rest);
	assert_int_equal(chat_list(c, 0, 0, see, &a), 1);
	assert_int_equal(chat_list(c, 0, 0, NULL, NULL), 2);
	assert_int_equal(chat_wait(c, 2, PEER_MS), CHAT_ERR_REFUSED);
	assert_string_equal(chat_error_message(c), "which?");
	assert_int_equal(chat_running(c), 0);
	assert_string_equal(a.log, "error- ");
	assert_string_equal(rest.log, "error- ");
	chat_free(c);
	peer_stop(&p);
}

/* Do in a function what is allowed there, and what is not. */
static void
inside(struct chat *c, const struct chat_event *ev, void *arg)
{
	struct seen	*s = arg;

	see(c, ev, arg);
	if (chat_kind(ev) != CHAT_TEXT)
		return;
	assert_int_equal(chat_list(c, 0, 0, see, s), 2);
	s->inside[0] = chat_connect(c, "/nowhere", 0);
	s->inside[1] = chat_dispatch(c);
	s->inside[2] = chat_wait(c, 2, 0);
	s->inside[3] = chat_connect_fd(c, dup(0), 0);
	chat_close(c);
	chat_free(c);
}

static void
test_a_function_may_send_but_not_wait(void **state)
{
	struct seen	 s = { 0 };
	struct peer	 p;
	struct chat	*c;
	size_t		 i;

	(void)state;
	peer_start(&p, PEER_HELLO,
	    "{\"event\":\"text\",\"id\":1,\"text\":\"a\"}\n"
	    "{\"event\":\"done\",\"id\":1}\n{\"event\":\"done\",\"id\":2}\n",
	    0);
	c = joined(&p);
	assert_int_equal(chat_say(c, 0, "x", NULL, inside, &s), 1);
	assert_int_equal(chat_wait(c, 0, PEER_MS), 0);
	assert_string_equal(s.log, "text:a done done ");
	for (i = 0; i < ITEMS(s.inside); i++)
		assert_int_equal(s.inside[i], CHAT_ERR_USE);
	chat_free(c);
	peer_stop(&p);
}

static void
test_a_bad_argument_sends_nothing(void **state)
{
	struct chat_request	*rq;
	struct peer		 p;
	struct chat		*c;
	char			 text[201];
	char			 deep[101];

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	memset(deep, '[', 50);
	memset(deep + 50, ']', 50);
	deep[100] = '\0';
	peer_start(&p, PEER_HELLO, NULL, 0);
	c = joined(&p);
	assert_int_equal(chat_say(c, 0, text, NULL, NULL, NULL),
	    CHAT_ERR_TOO_LONG);
	assert_string_equal(chat_error_code(c), "too_long");
	assert_int_equal(chat_say(c, 0, "x", "{\"xxx\":", NULL, NULL),
	    CHAT_ERR_USE);
	assert_string_equal(chat_error_field(c), "params");
	assert_int_equal(chat_say(c, 0, "x", deep, NULL, NULL), CHAT_ERR_USE);
	assert_int_equal(chat_rate(c, 1, 0, 3, NULL, 0, "xxx", NULL, NULL,
	    NULL), CHAT_ERR_USE);
	assert_string_equal(chat_error_field(c), "thumb");
	rq = chat_request_new("xxx");
	chat_request_real(rq, "f", NAN);
	chat_request_int(rq, "g", 1);
	assert_int_equal(chat_send(c, rq, NULL, NULL), CHAT_ERR_USE);
	assert_string_equal(chat_error_field(c), "f");
	rq = chat_request_new("xxx");
	chat_request_int(rq, "\xff", 1);
	assert_int_equal(chat_send(c, rq, NULL, NULL), CHAT_ERR_USE);
	assert_int_equal(chat_send(c, NULL, NULL, NULL), CHAT_ERR_NO_MEMORY);
	assert_int_equal(chat_send_json(c, "[\"xxx\"]", NULL, NULL),
	    CHAT_ERR_USE);
	assert_int_equal(chat_send_json(c, "xxx", NULL, NULL), CHAT_ERR_USE);
	assert_int_equal(chat_running(c), 0);
	chat_request_free(chat_request_new("xxx"));
	chat_request_free(NULL);
	/* The next request is sent, and gets the first id. */
	assert_int_equal(chat_send_json(c, "{\"op\":\"list\",\"id\":\"y\"}",
	    NULL, NULL), 1);
	chat_free(c);
	peer_stop(&p);
	assert_null(strstr(p.heard, "xxx"));
	assert_non_null(strstr(p.heard, "{\"op\":\"list\",\"id\":1}\n"));
}

static void
test_each_function_sends_its_fields(void **state)
{
	static const char *const reasons[] = { "incorrect", "harmful" };
	static const char *const lines[] = {
	    "{\"op\":\"regenerate\",\"id\":1,\"exchange\":3,\"params\":{}}",
	    "{\"op\":\"rate\",\"id\":2,\"exchange\":3,\"reply\":4,\"thumb\":-1,"
	    "\"reasons\":[\"incorrect\",\"harmful\"],\"ideal\":\"i\","
	    "\"comment\":\"c\"}",
	    "{\"op\":\"rate\",\"id\":3,\"exchange\":3,\"thumb\":0}",
	    "{\"op\":\"rate\",\"id\":4,\"exchange\":3,\"comment\":\"c\"}",
	    "{\"op\":\"list\",\"id\":5,\"before\":9,\"limit\":2}",
	    "{\"op\":\"show\",\"id\":6,\"conversation\":5,\"after\":6,"
	    "\"limit\":7}",
	    "{\"op\":\"search\",\"id\":7,\"query\":\"q\",\"limit\":2}",
	    "{\"op\":\"export\",\"id\":8,\"format\":\"csv\"}",
	    "{\"op\":\"delete\",\"id\":9,\"conversation\":5}",
	    "{\"op\":\"moderate\",\"id\":10,\"text\":\"a\xef\xbf\xbd" "b"
	    "\xef\xbf\xbd\","
	    "\"explain\":true,\"x\":0.5,\"y\":[1]}" };
	struct chat_request	*rq;
	struct peer		 p;
	struct chat		*c;
	size_t			 i;

	(void)state;
	peer_start_after(&p, 11, "{\"event\":\"done\",\"id\":10}\n");
	c = joined(&p);
	chat_regenerate(c, 3, "{}", NULL, NULL);
	chat_rate(c, 3, 4, CHAT_BAD, reasons, 2, "i", "c", NULL, NULL);
	chat_rate(c, 3, 0, CHAT_NEUTRAL, NULL, 0, NULL, NULL, NULL, NULL);
	chat_rate(c, 3, 0, 0, NULL, 0, NULL, "c", NULL, NULL);
	chat_list(c, 9, 2, NULL, NULL);
	chat_show(c, 5, 6, 7, NULL, NULL);
	chat_search(c, "q", 0, 2, NULL, NULL);
	chat_export(c, "csv", NULL, NULL);
	chat_delete(c, 5, NULL, NULL);
	rq = chat_request_new("moderate");
	chat_request_string(rq, "text", "a\xff" "b\xe2\x82");
	chat_request_string(rq, "prompt", NULL);
	chat_request_bool(rq, "explain", 1);
	chat_request_real(rq, "x", 0.5);
	chat_request_json(rq, "y", " [ 1 ]");
	assert_int_equal(chat_send(c, rq, NULL, NULL), 10);
	assert_int_equal(chat_wait(c, 10, PEER_MS), 0);
	chat_free(c);
	peer_stop(&p);
	for (i = 0; i < ITEMS(lines); i++)
		if (strstr(p.heard, lines[i]) == NULL)
			fail_msg("expected %s, found %s", lines[i], p.heard);
}

/* Look fields up. */
static void
look(struct chat *c, const struct chat_event *ev, void *arg)
{
	size_t	 n = 1;

	(void)c;
	if (chat_kind(ev) != CHAT_ITEM)
		return;
	++*(int *)arg;
	assert_string_equal(chat_get_string(ev, "a.1.b"), "x");
	assert_int_equal(chat_get_int(ev, "a.0", 9), 4);
	assert_int_equal(chat_get_count(ev, "a"), 2);
	assert_int_equal(chat_get_count(ev, "a.1"), 1);
	assert_int_equal(chat_get_count(ev, "a.0"), 0);
	assert_true(chat_get_real(ev, "r", 0) == 0.5);
	assert_true(chat_get_real(ev, "a.0", 0) == 4);
	assert_int_equal(chat_get_bool(ev, "t", 9), 1);
	assert_int_equal(chat_get_bool(ev, "f", 9), 0);
	assert_int_equal(chat_get_bool(ev, "r", 9), 9);
	assert_int_equal(chat_get_int(ev, "r", 9), 9);
	assert_null(chat_get_string(ev, "a.2.b"));
	assert_null(chat_get_string(ev, "a.1.b.c"));
	assert_null(chat_get_string(ev, "a.01x"));
	assert_null(chat_get_string(ev, "a.99999999999999999999"));
	assert_null(chat_get_string(ev, "a."));
	assert_null(chat_get_string(ev, ""));
	assert_null(chat_get_string(ev, "."));
	assert_null(chat_text(ev, &n));
	assert_int_equal(n, 0);
	assert_string_equal(chat_json(ev, &n), "{\"event\":\"item\",\"id\":1,"
	    "\"a\":[4,{\"b\":\"x\"}],\"r\":0.5,\"t\":true,\"f\":false}");
	assert_int_equal(n, strlen(chat_json(ev, NULL)));
}

static void
test_fields_are_found_by_their_paths(void **state)
{
	struct peer	 p;
	struct chat	*c;
	size_t		 n = 1;
	int		 looked = 0;

	(void)state;
	peer_start(&p, PEER_HELLO, "{\"event\":\"item\",\"id\":1,"
	    "\"a\":[4,{\"b\":\"x\"}],\"r\":0.5,\"t\":true,\"f\":false}\n"
	    "{\"event\":\"done\",\"id\":1}\n", 0);
	c = joined(&p);
	assert_int_equal(chat_wait(c, chat_list(c, 0, 0, look, &looked),
	    PEER_MS), 0);
	assert_int_equal(looked, 1);
	chat_free(c);
	peer_stop(&p);
	assert_int_equal(chat_kind(NULL), CHAT_OTHER);
	assert_int_equal(chat_id(NULL), -1);
	assert_int_equal(chat_is_last(NULL), 0);
	assert_null(chat_text(NULL, NULL));
	assert_null(chat_json(NULL, &n));
	assert_int_equal(n, 0);
	assert_int_equal(chat_get_int(NULL, "a", 3), 3);
}

/* A handler that does nothing. */
static void
ignore(int sig)
{
	(void)sig;
}

static void
test_a_wait_ends_in_time_and_by_a_signal(void **state)
{
	struct itimerval	 soon = { .it_value = { .tv_usec = 20000 } };
	struct sigaction	 old, act = { .sa_handler = ignore };
	struct seen		 s = { 0 };
	struct peer		 p;
	struct chat		*c;
	int64_t			 id;

	(void)state;
	peer_start_after(&p, 3, "{\"event\":\"done\",\"id\":2}\n"
	    "{\"event\":\"done\",\"id\":1}\n");
	c = joined(&p);
	id = chat_list(c, 0, 0, see, &s);
	assert_int_equal(chat_wait(c, id, 20), CHAT_ERR_TIMEOUT);
	assert_string_equal(chat_error_code(c), "timeout");
	/* The thread of the peer may get the signal: it comes again. */
	sigaction(SIGALRM, &act, &old);
	soon.it_interval = soon.it_value;
	setitimer(ITIMER_REAL, &soon, NULL);
	assert_int_equal(chat_wait(c, id, PEER_MS), CHAT_ERR_INTERRUPTED);
	assert_string_equal(chat_error_code(c), "interrupted");
	memset(&soon, 0, sizeof soon);
	setitimer(ITIMER_REAL, &soon, NULL);
	sigaction(SIGALRM, &old, NULL);
	assert_string_equal(s.log, "");
	assert_int_equal(chat_cancel(c, id, NULL, NULL), 2);
	assert_int_equal(chat_wait(c, id, PEER_MS), 0);
	assert_string_equal(s.log, "done ");
	chat_free(c);
	peer_stop(&p);
}

static void
test_writing_to_a_peer_that_left_raises_no_signal(void **state)
{
	struct chat	*c = chat_new(NULL);
	int		 fd[2];

	(void)state;
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_int_equal(write(fd[1], PEER_HELLO DONE_HELLO,
	    sizeof PEER_HELLO DONE_HELLO - 1),
	    sizeof PEER_HELLO DONE_HELLO - 1);
	assert_int_equal(chat_connect_fd(c, fd[0], PEER_MS), 0);
	assert_int_equal(chat_fd(c), fd[0]);
	close(fd[1]);
	assert_int_equal(chat_say(c, 0, "x", NULL, NULL, NULL),
	    CHAT_ERR_CLOSED);
	assert_int_equal(chat_running(c), 0);
	/* What chatd has sent before can still be read. */
	assert_int_equal(chat_dispatch(c), 1);
	assert_int_equal(chat_dispatch(c), CHAT_ERR_CLOSED);
	chat_free(c);
}

static void
test_each_error_has_a_text(void **state)
{
	int	 e;

	(void)state;
	for (e = 0; e >= CHAT_ERR_INTERRUPTED; e--)
		assert_string_not_equal(chat_error_text(e), "unknown error");
	assert_string_equal(chat_error_text(e), "unknown error");
	assert_string_equal(chat_error_text(1), "unknown error");
	assert_int_equal(chat_version(), CHAT_VERSION);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello_is_read_however_it_is_cut),
		cmocka_unit_test(test_a_peer_that_is_not_chatd_is_refused),
		cmocka_unit_test(test_a_hello_that_does_not_come_times_out),
		cmocka_unit_test(test_a_path_without_a_listener_is_reported),
		cmocka_unit_test(test_the_events_of_a_message_come_in_order),
		cmocka_unit_test(
		    test_an_error_of_chatd_is_the_result_of_the_wait),
		cmocka_unit_test(test_requests_run_at_once),
		cmocka_unit_test(test_poll_wakes_for_events_and_the_loss),
		cmocka_unit_test(test_a_lost_connection_can_be_made_again),
		cmocka_unit_test(test_closing_calls_no_function),
		cmocka_unit_test(
		    test_a_line_that_is_not_an_event_ends_the_connection),
		cmocka_unit_test(
		    test_an_error_without_an_id_ends_all_requests),
		cmocka_unit_test(test_a_function_may_send_but_not_wait),
		cmocka_unit_test(test_a_bad_argument_sends_nothing),
		cmocka_unit_test(test_each_function_sends_its_fields),
		cmocka_unit_test(test_fields_are_found_by_their_paths),
		cmocka_unit_test(test_a_wait_ends_in_time_and_by_a_signal),
		cmocka_unit_test(
		    test_writing_to_a_peer_that_left_raises_no_signal),
		cmocka_unit_test(test_each_error_has_a_text),
	};

	return (cmocka_run_group_tests_name("chat", tests, NULL, NULL));
}
