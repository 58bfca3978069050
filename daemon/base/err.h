/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error codes.  A function that can fail returns 0, or a negative CHAT_E...
 * code.  Library code returns the code and logs nothing; the caller that knows
 * the request logs, once.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum {
	CHAT_ESYSTEM = -1,	/* a system call failed: see errno */
	CHAT_EFORMAT = -2,	/* bytes from outside are malformed */
	CHAT_ETOOBIG = -3,	/* over a named limit */
	CHAT_ENOTFOUND = -4,	/* not there, or of another user */
	CHAT_ESHAPE = -5,	/* sizes do not fit together */
	CHAT_ENOMEM = -6,	/* memory, or a fixed pool, is used up */
	CHAT_EUNSUPPORTED = -7,	/* valid, but not supported here */
	CHAT_EDENIED = -8,	/* this user or process may not do it */
	CHAT_EBUSY = -9,	/* someone else holds it */
	CHAT_ECLOSED = -10,	/* the other side has gone */
	CHAT_EPROTOCOL = -11	/* the other side broke the line protocol */
};

/* Describe code r in a few words; never NULL.  For CHAT_ESYSTEM, use
 * strerror. */
const char	*chat_strerror(int r);

/*
 * A fault of a request or a file, described for the user. The function that
 * finds the fault fills it; its caller sends or logs it.
 */
struct fault {
	const char	*code;		/* stable word, static storage */
	char		 message[400];	/* one line for a human */
	char		 field[64];	/* the key at fault, or "" */
};

/* Fill f; field may be NULL. Control characters turn into "?". Returns
 * CHAT_EFORMAT, so that callers can write "return (fault_set(...))". f may be
 * NULL. */
int	fault_set(struct fault *f, const char *code, const char *field,
	    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
