/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libchat with a scripted peer: a thread that listens on its own socket, sends
 * given lines and notes the lines that it receives.
 */
#include "chat.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "json.h"
#include "xmalloc.h"

#define HELLO "{\"event\":\"hello\",\"protocol\":1,\"server\":\"chatd t\"," \
	"\"model\":{\"state\":\"ready\"},\"limits\":{\"line\":200," \
	"\"prompt\":50}}\n"
#define SECONDS 20000		/* ms until a test gives up */

struct peer {
	char		 dir[64], path[96];
	int		 fd;		/* listens */
	const char	*says;		/* after accept */
	const char	*answers;	/* after the second line heard */
	size_t		 step;		/* bytes of one write; 0: all */
	char		 heard[4096];
	pthread_t	 thread;
};

/* Write in steps. */
static void
peer_say(struct peer *p, int fd, const char *s)
{
	size_t	 n = strlen(s), k;

	while (n > 0) {
		k = p->step > 0 && p->step < n ? p->step : n;
		if (send(fd, s, k, MSG_NOSIGNAL) == -1)
			return;
		s += k;
		n -= k;
	}
}

/* Serve one client until it closes. */
static void *
peer_run(void *arg)
{
	struct peer	*p = arg;
	size_t		 n = 0, i;
	ssize_t		 k;
	int		 fd, lines = 0, answered = 0;

	if ((fd = accept(p->fd, NULL, NULL)) == -1)
		return (NULL);
	if (p->says != NULL)
		peer_say(p, fd, p->says);
	while (p->says != NULL && (k = read(fd, p->heard + n,
	    sizeof p->heard - 1 - n)) > 0) {
		for (i = 0; i < (size_t)k; i++)
			lines += p->heard[n + i] == '\n';
		n += (size_t)k;
		if (lines >= 2 && p->answers != NULL && !answered) {
			answered = 1;
			peer_say(p, fd, p->answers);
			if (strstr(p->answers, "BYE") != NULL)
				break;
		}
	}
	close(fd);
	return (NULL);
}

/* Begin to listen. */
static void
peer_start(struct peer *p, const char *says, const char *answers, size_t step)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	const char		*tmp = getenv("TMPDIR");

	memset(p, 0, sizeof *p);
	p->says = says;
	p->answers = answers;
	p->step = step;
	snprintf(p->dir, sizeof p->dir, "%s/t_chat.XXXXXX",
	    tmp == NULL ? "/tmp" : tmp);
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof p->path, "%s/s", p->dir);
	strcpy(sun.sun_path, p->path);
	p->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(p->fd, (struct sockaddr *)&sun, sizeof sun), 0);
	assert_int_equal(listen(p->fd, 4), 0);
	assert_int_equal(pthread_create(&p->thread, NULL, peer_run, p), 0);
}

/* End, after the client has closed. */
static void
peer_stop(struct peer *p)
{
	shutdown(p->fd, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->fd);
	unlink(p->path);
	rmdir(p->dir);
}

static void
test_hello_is_read_however_it_is_cut(void **state)
{
	struct peer	 p;
	struct chat	*c;
	struct fault	 f;
	size_t		 step;

	(void)state;
	for (step = 1; step < 40; step += 13) {
		peer_start(&p, HELLO, NULL, step);
		assert_int_equal(chat_open(p.path, "t 1", SECONDS, &c, &f),
		    0);
		assert_string_equal(msg_string(chat_hello(c), "server"),
		    "chatd t");
		assert_int_equal(chat_limit(c, "prompt", 7), 50);
		assert_int_equal(chat_limit(c, "depth", 7), 7);
		chat_close(c);
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
	struct chat	*c = NULL;
	struct fault	 f;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(table); i++) {
		peer_start(&p, table[i].says, NULL, 0);
		assert_int_equal(chat_open(p.path, "t", SECONDS, &c, &f),
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
	struct chat	*c;
	struct fault	 f;

	(void)state;
	peer_start(&p, "", NULL, 0);
	assert_int_equal(chat_open(p.path, "t", 50, &c, &f), CHAT_EBUSY);
	assert_string_equal(f.code, "timeout");
	peer_stop(&p);
}

static void
test_a_peer_that_hangs_up_is_reported(void **state)
{
	struct peer	 p;
	struct chat	*c;
	struct fault	 f;

	(void)state;
	peer_start(&p, NULL, NULL, 0);
	assert_int_equal(chat_open(p.path, "t", SECONDS, &c, &f),
	    CHAT_ECLOSED);
	assert_string_equal(f.code, "closed");
	peer_stop(&p);
}

static void
test_a_socket_without_a_listener_is_reported(void **state)
{
	struct peer	 p;
	struct chat	*c;
	struct fault	 f;
	char		 path[200];
	FILE		*file;

	(void)state;
	peer_start(&p, HELLO, NULL, 0);
	shutdown(p.fd, SHUT_RDWR);
	pthread_join(p.thread, NULL);
	close(p.fd);
	assert_int_equal(chat_open(p.path, "t", SECONDS, &c, &f),
	    CHAT_ECLOSED);
	assert_string_equal(f.code, "nobody_listens");
	unlink(p.path);
	assert_int_equal(chat_open(p.path, "t", SECONDS, &c, &f),
	    CHAT_ENOTFOUND);
	assert_string_equal(f.message, "no such socket");
	file = fopen(p.path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(chat_open(p.path, "t", SECONDS, &c, &f),
	    CHAT_ENOTFOUND);
	assert_string_equal(f.message, "not a socket");
	unlink(p.path);
	rmdir(p.dir);
	memset(path, 'x', sizeof path);
	path[sizeof path - 1] = '\0';
	assert_int_equal(chat_open(path, "t", SECONDS, &c, &f),
	    CHAT_ENOTFOUND);
	assert_non_null(strstr(f.message, "at most 107 bytes"));
}

static void
test_call_returns_the_end_of_its_own_request(void **state)
{
	struct peer	 p;
	struct chat	*c;
	struct fault	 f;
	json_t		*end;

	(void)state;
	peer_start(&p, HELLO, "{\"event\":\"done\",\"id\":0,\"protocol\":1}\n"
	    "{\"event\":\"text\",\"id\":1,\"text\":\"x\"}\n"
	    "{\"event\":\"done\",\"id\":9}\n"
	    "{\"event\":\"error\",\"id\":1,\"code\":\"busy\","
	    "\"message\":\"m\"}\n", 3);
	assert_int_equal(chat_open(p.path, "t", SECONDS, &c, &f), 0);
	assert_int_equal(chat_call(c, msg_op("list", -1), SECONDS, &end, &f),
	    0);
	assert_string_equal(msg_string(end, "code"), "busy");
	json_decref(end);
	chat_close(c);
	peer_stop(&p);
	assert_non_null(strstr(p.heard, "{\"op\":\"list\",\"id\":1}\n"));
}

static void
test_a_call_without_an_answer_times_out(void **state)
{
	struct peer	 p;
	struct chat	*c;
	struct fault	 f;
	json_t		*end;

	(void)state;
	peer_start(&p, HELLO, NULL, 0);
	assert_int_equal(chat_open(p.path, "t", SECONDS, &c, &f), 0);
	assert_int_equal(chat_call(c, msg_op("list", -1), 50, &end, &f),
	    CHAT_EBUSY);
	assert_string_equal(f.code, "timeout");
	chat_close(c);
	peer_stop(&p);
}

static void
test_a_refused_hello_is_a_protocol_error(void **state)
{
	struct peer	 p;
	struct chat	*c;
	struct fault	 f;
	json_t		*end;

	(void)state;
	peer_start(&p, HELLO, "{\"event\":\"error\",\"id\":0,"
	    "\"code\":\"bad_protocol\",\"message\":\"no\"}\n", 0);
	assert_int_equal(chat_open(p.path, "t", SECONDS, &c, &f), 0);
	assert_int_equal(chat_call(c, msg_op("list", -1), SECONDS, &end, &f),
	    CHAT_EPROTOCOL);
	assert_string_equal(f.message, "no");
	chat_close(c);
	peer_stop(&p);
}

static void
test_a_request_over_the_limit_is_not_sent(void **state)
{
	struct peer	 p;
	struct chat	*c;
	struct fault	 f;
	json_t		*m;
	char		 text[201];
	int64_t		 id = 0;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	peer_start(&p, HELLO, NULL, 0);
	assert_int_equal(chat_open(p.path, "t", SECONDS, &c, &f), 0);
	m = msg_op("say", -1);
	msg_set_string(m, "text", text);
	assert_int_equal(chat_send(c, m, &id, &f), CHAT_ETOOBIG);
	assert_string_equal(f.code, "too_long");
	/* The next request is sent, and gets the first id. */
	assert_int_equal(chat_send(c, msg_op("list", -1), &id, &f), 0);
	assert_int_equal(id, 1);
	chat_close(c);
	peer_stop(&p);
	assert_null(strstr(p.heard, "xxx"));
	assert_non_null(strstr(p.heard, "\"list\""));
}

static void
test_poll_wakes_for_events_and_the_end(void **state)
{
	struct peer	 p;
	struct chat	*c;
	struct fault	 f;
	struct pollfd	 pf;
	json_t		*m;
	int		 r, events = 0;

	(void)state;
	peer_start(&p, HELLO, "{\"event\":\"text\",\"id\":1,\"text\":\"a\"}\n"
	    "{\"event\":\"text\",\"id\":1,\"text\":\"BYE\"}\n", 1);
	assert_int_equal(chat_open(p.path, "t", SECONDS, &c, &f), 0);
	assert_int_equal(chat_send(c, msg_op("list", -1), NULL, &f), 0);
	while ((r = chat_next(c, 0, &m, &f)) >= 0) {
		if (r == 1) {
			events++;
			json_decref(m);
			continue;
		}
		pf = (struct pollfd){ .fd = chat_fd(c),
		    .events = chat_events(c) };
		assert_int_equal(poll(&pf, 1, SECONDS), 1);
	}
	assert_int_equal(r, CHAT_ECLOSED);
	assert_int_equal(events, 2);
	chat_close(c);
	peer_stop(&p);
}

static void
test_a_line_that_is_not_an_event_ends_the_connection(void **state)
{
	struct peer	 p;
	struct chat	*c;
	struct fault	 f;
	json_t		*end;

	(void)state;
	peer_start(&p, HELLO, "what?\n", 0);
	assert_int_equal(chat_open(p.path, "t", SECONDS, &c, &f), 0);
	assert_int_equal(chat_call(c, msg_op("list", -1), SECONDS, &end, &f),
	    CHAT_EPROTOCOL);
	chat_close(c);
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

	return (cmocka_run_group_tests_name("chat", tests, NULL, NULL));
}
