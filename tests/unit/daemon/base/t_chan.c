/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A helper's channel over socket pairs and pipes.  Messages arrive whole
 * however their bytes are cut, nothing blocks, and both ends may close at any
 * time.
 */
#include "chan.h"

#include <sys/socket.h>

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "json.h"
#include "xmalloc.h"

/* A channel, and our ends of its two pipes. */
struct ends {
	struct chan	*ch;
	int		 to, from;	/* our ends */
	int		 in, out;	/* the channel's ends */
};

/* Pipes both ways. */
static void
ends_open(struct ends *e, size_t max)
{
	int	 a[2], b[2];

	assert_int_equal(pipe(a), 0);
	assert_int_equal(pipe(b), 0);
	*e = (struct ends){ .to = a[1], .from = b[0], .in = a[0],
	    .out = b[1] };
	e->ch = chan_new(e->in, e->out, max);
}

/* One socket pair, as chatd gives a helper. */
static void
ends_open_socket(struct ends *e, size_t max)
{
	int	 s[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	*e = (struct ends){ .to = s[0], .from = s[0], .in = s[1],
	    .out = s[1] };
	e->ch = chan_new(e->in, e->out, max);
}

/* Close the descriptors that are still open. */
static void
ends_close(struct ends *e)
{
	chan_free(e->ch);
	if (e->to != -1)
		close(e->to);
	if (e->from != -1 && e->from != e->to)
		close(e->from);
	close(e->in);
	if (e->out != e->in)
		close(e->out);
}

/* Write a text to the channel's input. */
static void
ends_put(struct ends *e, const char *s, size_t n)
{
	assert_int_equal(write(e->to, s, n), n);
}

/* Take a message and check its number "n". */
static void
ends_expect(struct ends *e, int64_t n)
{
	struct fault	 f;
	json_t		*m;
	int		 r;

	if ((r = chan_next(e->ch, &m, &f)) != 1)
		fail_msg("message %lld: %d", (long long)n, r);
	assert_int_equal(msg_int(m, "n", -1), n);
	json_decref(m);
}

/* Two messages, cut at every byte. */
static void
messages_arrive_at_every_cut(void **state)
{
	static const char	 text[] = "{\"n\":1,\"t\":\"\xc3\xa9\"}\n"
				    "{\"n\":2}\r\n";
	const size_t		 n = sizeof text - 1, first = 17;
	struct ends		 e;
	struct fault		 f;
	json_t			*m;
	size_t			 cut;

	(void)state;
	for (cut = 0; cut < n; cut++) {
		ends_open(&e, 64);
		ends_put(&e, text, cut);
		if (cut >= first)
			ends_expect(&e, 1);
		assert_int_equal(chan_next(e.ch, &m, &f), 0);
		ends_put(&e, text + cut, n - cut);
		if (cut < first)
			ends_expect(&e, 1);
		ends_expect(&e, 2);
		assert_int_equal(chan_next(e.ch, &m, &f), 0);
		ends_close(&e);
	}
}

/* A bad line is reported, and the next one is read. */
static void
bad_line_leaves_the_channel_open(void **state)
{
	static const struct {
		const char	*line, *code;
	} cases[] = {
		{ "nonsense\n", "bad_json" },
		{ "\n", "bad_json" },
		{ "[]\n", "bad_json" },
		{ "{\"n\":1,\"n\":2}\n", "bad_json" },
		{ "{\"t\":\"0123456789012345678901234567890123456789\"}\n",
		    "too_long" },
	};
	struct ends	 e;
	struct fault	 f;
	json_t		*m;
	size_t		 i;

	(void)state;
	ends_open(&e, 32);
	for (i = 0; i < nitems(cases); i++) {
		ends_put(&e, cases[i].line, strlen(cases[i].line));
		ends_put(&e, "{\"n\":3}\n", 8);
		assert_int_equal(chan_next(e.ch, &m, &f), CHAT_EFORMAT);
		assert_string_equal(f.code, cases[i].code);
		ends_expect(&e, 3);
	}
	ends_close(&e);
}

/* All lines are read before the end of input is reported. A last line without a
 * newline is not a message. */
static void
end_of_input_comes_after_the_last_line(void **state)
{
	struct ends	 e;
	struct fault	 f;
	json_t		*m;
	int		 i;

	(void)state;
	for (i = 0; i < 2; i++) {
		i == 0 ? ends_open(&e, 64) : ends_open_socket(&e, 64);
		ends_put(&e, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}", 23);
		if (i == 1)
			shutdown(e.to, SHUT_WR);
		else {
			close(e.to);
			e.to = -1;
		}
		ends_expect(&e, 1);
		ends_expect(&e, 2);
		assert_int_equal(chan_next(e.ch, &m, &f), CHAT_ECLOSED);
		assert_int_equal(chan_next(e.ch, &m, &f), CHAT_ECLOSED);
		ends_close(&e);
	}
}

/* A message of n bytes of text. */
static json_t *
message_long(size_t n)
{
	char	*s = xmalloc(n);
	json_t	*m = json_object();

	memset(s, 'x', n);
	msg_set_text(m, "t", s, n);
	free(s);
	return (m);
}

/* Read without blocking. Returns the number of bytes. */
static size_t
read_all(int fd)
{
	char	 buf[65536];
	size_t	 sum = 0;
	ssize_t	 n;

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	while ((n = read(fd, buf, sizeof buf)) > 0)
		sum += (size_t)n;
	return (sum);
}

/* A reader that does not read blocks nobody. All messages arrive later. */
static void
full_pipe_is_not_waited_for(void **state)
{
	const size_t	 size = 1000000, line = size + 9; /* {"t":""}\n */
	struct ends	 e;
	size_t		 got = 0;
	int		 i, rounds = 0;

	(void)state;
	for (i = 0; i < 2; i++, got = 0, rounds = 0) {
		i == 0 ? ends_open(&e, 64) : ends_open_socket(&e, 64);
		chan_send(e.ch, message_long(size));
		chan_send(e.ch, message_long(size));
		assert_true(chan_flush(e.ch) > (long)size);
		while (chan_flush(e.ch) > 0 && rounds++ < 10000)
			got += read_all(e.from);
		got += read_all(e.from);
		assert_int_equal(got, line * 2);
		ends_close(&e);
	}
}

/* A line of a megabyte, in pieces as a pipe takes them. */
static void
long_message_is_read_whole(void **state)
{
	struct ends	 e;
	struct fault	 f;
	struct chan	*peer;
	json_t		*m;
	int		 r = 0, rounds = 0;

	(void)state;
	ends_open(&e, 2000000);
	peer = chan_new(e.from, e.to, 64);
	chan_send(peer, message_long(1000000));
	while (r == 0 && rounds++ < 10000) {
		r = chan_next(e.ch, &m, &f);
		chan_flush(peer);
	}
	assert_int_equal(r, 1);
	assert_int_equal(json_string_length(json_object_get(m, "t")),
	    1000000);
	json_decref(m);
	chan_free(peer);
	ends_close(&e);
}

/* Writing to a reader that has gone is an error, not a signal. */
static void
a_gone_reader_is_reported(void **state)
{
	struct ends	 e;
	int		 i;

	(void)state;
	signal(SIGPIPE, SIG_IGN);	/* a pipe has no MSG_NOSIGNAL */
	for (i = 0; i < 2; i++) {
		i == 0 ? ends_open(&e, 64) : ends_open_socket(&e, 64);
		close(e.from);
		if (e.from == e.to)
			e.to = -1;
		e.from = -1;
		chan_send(e.ch, message_long(10));
		assert_int_equal(chan_flush(e.ch), CHAT_ECLOSED);
		assert_int_equal(chan_drain(e.ch), CHAT_ECLOSED);
		ends_close(&e);
	}
	signal(SIGPIPE, SIG_DFL);
}

/* A wait ends after its time, with input, and at the end of input. */
static void
wait_sees_input_and_time(void **state)
{
	struct ends	 e;
	struct fault	 f;
	json_t		*m;

	(void)state;
	ends_open(&e, 64);
	assert_int_equal(chan_wait(e.ch, 0), 0);
	assert_int_equal(chan_wait(e.ch, 10), 0);
	ends_put(&e, "{\"n\":1}\n", 8);
	assert_int_equal(chan_wait(e.ch, -1), 1);
	ends_expect(&e, 1);
	close(e.to);
	e.to = -1;
	assert_int_equal(chan_wait(e.ch, -1), 1);
	assert_int_equal(chan_next(e.ch, &m, &f), CHAT_ECLOSED);
	assert_int_equal(chan_wait(e.ch, -1), 1);
	ends_close(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_arrive_at_every_cut),
		cmocka_unit_test(bad_line_leaves_the_channel_open),
		cmocka_unit_test(end_of_input_comes_after_the_last_line),
		cmocka_unit_test(full_pipe_is_not_waited_for),
		cmocka_unit_test(long_message_is_read_whole),
		cmocka_unit_test(a_gone_reader_is_reported),
		cmocka_unit_test(wait_sees_input_and_time),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
