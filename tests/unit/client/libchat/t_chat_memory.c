/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libchat without enough memory: each allocation of a short talk fails once.
 * The linker sends the library's calls here; jansson gets its own functions.
 */
#include "chat.h"

#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <jansson.h>

#include "peer_fixture.h"

#define ANSWERS PEER_HELLO \
	"{\"event\":\"done\",\"id\":0,\"protocol\":1}\n" \
	"{\"event\":\"text\",\"id\":1,\"text\":\"Hello\"}\n" \
	"{\"event\":\"item\",\"id\":2,\"a\":[1,{\"b\":null}]}\n" \
	"{\"event\":\"done\",\"id\":2}\n" \
	"{\"event\":\"error\",\"id\":3,\"code\":\"busy\",\"message\":\"m\"}\n" \
	"{\"event\":\"done\",\"id\":1}\n"

static long	 left = -1;	/* allocations until one fails; -1: none */
static long	 live;		/* pieces that are not freed */
static int	 failed;

void	*__real_malloc(size_t);
void	*__real_calloc(size_t, size_t);
void	*__real_realloc(void *, size_t);
void	 __real_free(void *);
void	*__wrap_malloc(size_t);
void	*__wrap_calloc(size_t, size_t);
void	*__wrap_realloc(void *, size_t);
void	*__wrap_reallocarray(void *, size_t, size_t);
char	*__wrap_strdup(const char *);
char	*__wrap_strndup(const char *, size_t);
void	 __wrap_free(void *);

/* Does this allocation fail? */
static int
memory_fails(void)
{
	if (left == 0)
		failed = 1;
	return (left >= 0 && left-- == 0);
}

/* Count a piece. */
static void *
memory_got(void *p)
{
	live += p != NULL;
	return (p);
}

void *
__wrap_malloc(size_t n)
{
	return (memory_fails() ? NULL : memory_got(__real_malloc(n)));
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return (memory_fails() ? NULL : memory_got(__real_calloc(n, size)));
}

void *
__wrap_realloc(void *p, size_t n)
{
	void	*q;

	if (memory_fails() || (q = __real_realloc(p, n)) == NULL)
		return (NULL);
	live += p == NULL;
	return (q);
}

void *
__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return (__wrap_realloc(p, n * size));
}

char *
__wrap_strndup(const char *s, size_t n)
{
	char	*p = __wrap_malloc(strnlen(s, n) + 1);

	if (p == NULL)
		return (NULL);
	n = strnlen(s, n);
	memcpy(p, s, n);
	p[n] = '\0';
	return (p);
}

char *
__wrap_strdup(const char *s)
{
	return (__wrap_strndup(s, strlen(s)));
}

void
__wrap_free(void *p)
{
	live -= p != NULL;
	__real_free(p);
}

/* Count the ends of requests. */
static void
memory_event(struct chat *c, const struct chat_event *ev, void *arg)
{
	(void)c;
	*(int *)arg += chat_is_last(ev);
}

/* Talk: returns the first error, or 0. */
static int
memory_talk(struct chat *c, int fd, int *begun, int *ended)
{
	static const char *const reasons[] = { "harmful" };
	int64_t	 id[3];
	int	 r, i;

	if ((r = chat_connect_fd(c, fd, PEER_MS)) != 0)
		return (r);
	id[0] = chat_say(c, 0, "a\xff" "b", "{\"stop\":[\"x\"]}", memory_event,
	    ended);
	id[1] = chat_list(c, 3, 4, memory_event, ended);
	id[2] = chat_rate(c, 1, 0, CHAT_BAD, reasons, 1, NULL, "c",
	    memory_event, ended);
	for (i = 0; i < 3; i++) {
		*begun += id[i] > 0;
		if (id[i] < 0)
			r = (int)id[i];
	}
	/* Ids are given to the requests that were sent, in order, and the peer
	 * answers all three: some answers may belong to none. */
	while (chat_running(c) > 0) {
		if ((i = chat_wait(c, 0, PEER_MS)) != 0) {
			r = i;
			break;
		}
	}
	return (r);
}

static void
test_each_failed_allocation_is_an_error(void **state)
{
	struct chat	*c;
	long		 n;
	int		 fd[2], begun, ended, r, done = 0;

	(void)state;
	json_set_alloc_funcs(__wrap_malloc, __wrap_free);
	for (n = 0; !done; n++) {
		begun = ended = 0;
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
		assert_int_equal(write(fd[1], ANSWERS, sizeof ANSWERS - 1),
		    sizeof ANSWERS - 1);
		shutdown(fd[1], SHUT_WR);
		live = 0;
		failed = 0;
		left = n;
		if ((c = chat_new("t")) == NULL)
			close(fd[0]);
		else {
			r = memory_talk(c, fd[0], &begun, &ended);
			left = -1;
			/* jansson can do without some; in its lexer a lack of
			 * memory looks like a fault of the text. */
			if (r == 0)
				assert_int_equal(begun, 3);
			else if (!failed || (r != CHAT_ERR_NO_MEMORY &&
			    r != CHAT_ERR_PROTOCOL && r != CHAT_ERR_USE &&
			    r != CHAT_ERR_CLOSED))
				fail_msg("allocation %ld: %d: %s", n, r,
				    chat_error_message(c));
			else
				assert_string_not_equal(
				    chat_error_message(c), "");
			assert_int_equal(ended, begun);
			done = !failed;
		}
		left = -1;
		chat_free(c);
		close(fd[1]);
		assert_int_equal(live, 0);
	}
	assert_true(n > 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_failed_allocation_is_an_error),
	};

	return (cmocka_run_group_tests_name("chat_memory", tests, NULL, NULL));
}
