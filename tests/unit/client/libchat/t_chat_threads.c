/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libchat in several threads, each with its own connection.  The thread
 * sanitizer looks for what they share.
 */
#include "chat.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "peer_fixture.h"

#define THREADS	4
#define ROUNDS	20

/* A thread, which must not end the test by itself. */
struct worker {
	pthread_t	 thread;
	struct peer	 peer;
	int		 texts, wrong;
};

/* Count texts. */
static void
worker_event(struct chat *c, const struct chat_event *ev, void *arg)
{
	struct worker	*w = arg;

	(void)c;
	if (chat_kind(ev) == CHAT_TEXT)
		w->texts += strcmp(chat_text(ev, NULL), "a") == 0;
}

/* Talk with the own peer, and fail to connect elsewhere. */
static void *
worker_run(void *arg)
{
	struct worker	*w = arg;
	struct chat	*c = chat_new("t");
	int		 i;

	w->wrong += chat_connect(c, w->peer.path, PEER_MS) != 0;
	w->wrong += chat_wait(c, chat_say(c, 0, "x", "{\"seed\":1}",
	    worker_event, w), PEER_MS) != 0;
	for (i = 0; i < ROUNDS; i++) {
		w->wrong += chat_connect(c, "/nowhere/s", 10) !=
		    CHAT_ERR_NO_SOCKET;
		w->wrong += strcmp(chat_error_code(c), "no_socket") != 0;
	}
	chat_free(c);
	return (NULL);
}

static void
test_connections_do_not_disturb_each_other(void **state)
{
	struct worker	 w[THREADS];
	size_t		 i;

	(void)state;
	memset(w, 0, sizeof w);
	for (i = 0; i < THREADS; i++)
		peer_start(&w[i].peer, PEER_HELLO, "{\"event\":\"text\","
		    "\"id\":1,\"text\":\"a\"}\n{\"event\":\"done\","
		    "\"id\":1}\n", 7);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&w[i].thread, NULL, worker_run,
		    &w[i]), 0);
	for (i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		peer_stop(&w[i].peer);
		assert_int_equal(w[i].wrong, 0);
		assert_int_equal(w[i].texts, 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connections_do_not_disturb_each_other),
	};

	return (cmocka_run_group_tests_name("chat_threads", tests, NULL,
	    NULL));
}
