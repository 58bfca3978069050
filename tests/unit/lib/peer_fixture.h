/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scripted chatd for unit tests of clients: a thread that listens on its own
 * socket, serves one client, sends given lines and notes the lines that it
 * receives.
 */
#ifndef TEST_PEER_FIXTURE_H
#define TEST_PEER_FIXTURE_H

#include <pthread.h>
#include <stddef.h>

#define PEER_HELLO "{\"event\":\"hello\",\"protocol\":1," \
	"\"server\":\"chatd t\",\"model\":{\"state\":\"ready\"}," \
	"\"limits\":{\"line\":200,\"prompt\":50}}\n"
#define PEER_MS		20000		/* ms until a test gives up */

struct peer {
	char		 dir[64], path[96];
	int		 fd;		/* listens */
	const char	*says;		/* after accept; NULL: it hangs up */
	const char	*answers;	/* after the line number after */
	int		 after;		/* 2, unless a test sets it */
	size_t		 step;		/* bytes of one write; 0: all */
	char		 heard[4096];
	pthread_t	 thread;
};

/* Begin to listen. says and answers are borrowed; step bytes are written at
 * once, 0: all. If answers has "BYE", the peer closes after them. */
void	peer_start(struct peer *p, const char *says, const char *answers,
	    size_t step);

/* Begin to listen, and wait for more lines before the answers. */
void	peer_start_after(struct peer *p, int after, const char *answers);

/* End, after the client has closed. */
void	peer_stop(struct peer *p);

#endif
