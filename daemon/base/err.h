/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error codes of every function in this tree that can fail: 0 is
 * success, a negative CHAT_E... says why not.  Library code returns them and
 * stays silent; the caller that knows the context logs, once.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum {
	CHAT_ESYSTEM = -1,	/* a system call failed: see errno */
	CHAT_EFORMAT = -2,	/* bytes from outside are not what they claim */
	CHAT_ETOOBIG = -3,	/* over a named limit */
	CHAT_ENOTFOUND = -4,	/* not there, or not the asker's */
	CHAT_ESHAPE = -5,	/* sizes do not fit together */
	CHAT_ENOMEM = -6,	/* memory, or a fixed pool, is used up */
	CHAT_EUNSUPPORTED = -7,	/* sound, but this build can't do it */
	CHAT_EDENIED = -8,	/* not allowed to this user or process */
	CHAT_EBUSY = -9,	/* someone else holds it */
	CHAT_ECLOSED = -10,	/* the other side has gone */
	CHAT_EPROTOCOL = -11	/* the other side broke the line protocol */
};

/* A few words for code r; never NULL.  For CHAT_ESYSTEM, use strerror. */
const char	*chat_strerror(int r);

/*
 * What is wrong with a request or a file, in the words for the user. The
 * function that finds the fault fills it; its caller sends or logs it.
 */
struct fault {
	const char	*code;		/* stable slug, static storage */
	char		 message[400];	/* one line for a human */
	char		 field[64];	/* the key at fault, or "" */
};

/* Fill f; field may be NULL. Control characters turn into "?". Returns
 * CHAT_EFORMAT, so that callers can write "return (fault_set(...))". f may be
 * NULL. */
int	fault_set(struct fault *f, const char *code, const char *field,
	    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
