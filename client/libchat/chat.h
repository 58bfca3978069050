/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libchat: a client of chatd, for programs in C and C++.  chat(3) has examples;
 * chatd-protocol(7) lists the operations, their fields and their events.
 *
 * A program makes a connection (struct chat), sends requests, and gives each a
 * function that is called for its events.  It waits in chat_wait, or in a loop
 * of its own with chat_fd, chat_events and chat_dispatch.
 *
 * Rules that hold for every function:
 *
 *   Errors    A negative result is one of enum chat_error.  chat_error_code,
 *             chat_error_message and chat_error_field describe the last one of
 *             a connection.  The library never ends the process, never
 *             writes to a descriptor but the socket, and raises no SIGPIPE.
 *   Memory    Strings that are passed are copied; they end in NUL and should be
 *             UTF-8: bytes that are not become U+FFFD.  What a function returns
 *             belongs to the library unless its comment says otherwise.
 *   Threads   The library has no threads and no variables that connections
 *             share.  One thread at a time may use a connection; different
 *             threads may use different ones.
 *   fork      The socket is closed on exec.  After fork, only one of the two
 *             processes may use the connection; the other may free it.
 *   Loss      If the connection is lost, each running request gets the event
 *             CHAT_LOST.  chat_connect may then be called again.  The library
 *             never connects or sends again by itself: chatd may have stored a
 *             message whose answer was lost (chat_show tells).
 *   ABI       Functions and constants are added, never changed or removed, as
 *             long as the library is libchat.so.0.
 */
#ifndef CHAT_H
#define CHAT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header: major * 10000 + minor * 100 + patch. */
#define CHAT_VERSION		100
#define CHAT_VERSION_TEXT	"0.1.0"

/* Where chatd listens unless its administrator has chosen another place. */
#define CHAT_SOCKET		"/run/chatd/chatd.sock"

/* A connection; a request that is being made; an event. */
struct chat;
struct chat_request;
struct chat_event;

/* Why a function has failed. */
enum chat_error {
	CHAT_OK = 0,
	CHAT_ERR_SYSTEM = -1,		/* a system call failed */
	CHAT_ERR_NO_MEMORY = -2,	/* in the parser also _PROTOCOL, _USE */
	CHAT_ERR_NO_SOCKET = -3,	/* nothing there, or not a socket */
	CHAT_ERR_CLOSED = -4,		/* nobody listens, chatd has closed the
					 * connection, or there is none */
	CHAT_ERR_DENIED = -5,		/* the socket's mode forbids it */
	CHAT_ERR_TIMEOUT = -6,
	CHAT_ERR_PROTOCOL = -7,		/* not chatd, or another version of the
					 * protocol */
	CHAT_ERR_TOO_LONG = -8,		/* over a limit; nothing was sent */
	CHAT_ERR_USE = -9,		/* this call is not allowed here, or an
					 * argument is wrong */
	CHAT_ERR_REFUSED = -10,		/* chatd answered with an error */
	CHAT_ERR_INTERRUPTED = -11	/* a signal came */
};

/* What an event is. */
enum chat_kind {
	CHAT_OTHER = 0,		/* an event that this version does not know */
	CHAT_HELLO = 1,		/* see chat_hello; no function gets it */
	CHAT_ACCEPTED = 2,	/* a message is stored and waits for its turn */
	CHAT_NOTICE = 3,	/* information for the user */
	CHAT_TEXT = 4,		/* a piece of a reply or of an export */
	CHAT_ITEM = 5,		/* one of a list */
	CHAT_DONE = 6,		/* the last event: success */
	CHAT_ERROR = 7,		/* the last event: chatd refused */
	CHAT_LOST = 8		/* the last event: the connection is lost */
};

/*
 * A function of the caller's, called by chat_dispatch and chat_wait for each
 * event of a request, in order.  CHAT_DONE, CHAT_ERROR or CHAT_LOST comes once
 * and last.  c and ev are borrowed; ev and all strings of it end with the call.
 * arg is what was passed with the request.
 *
 * The function may send requests on c.  chat_connect, chat_connect_fd,
 * chat_dispatch and chat_wait on c fail in it with CHAT_ERR_USE; chat_close and
 * chat_free do nothing.
 */
typedef void (*chat_fn)(struct chat *c, const struct chat_event *ev,
    void *arg);

/* ---- versions and errors */

/* The version of the library that runs, as CHAT_VERSION. */
int		 chat_version(void);

/* Describe an error in a few words; never NULL, static. */
const char	*chat_error_text(int error);

/*
 * The last error of c, borrowed until the next call on c; "" before the first.
 *   code     a stable word: those of chatd-protocol(7), and those of chat(3)
 *   message  one line for a person, in English, without control characters
 *   field    the field at fault, or ""
 */
const char	*chat_error_code(const struct chat *c);
const char	*chat_error_message(const struct chat *c);
const char	*chat_error_field(const struct chat *c);

/* ---- connections */

/*
 * Make a connection that is not connected yet.  client is the caller's name and
 * version for chatd's log ("indexer 2.1"), at most 256 bytes; NULL: "libchat".
 * Returns a new connection, which the caller frees with chat_free, or NULL if
 * there is not enough memory.
 */
struct chat	*chat_new(const char *client);

/* Close a connection and free it; c may be NULL.  No function is called for
 * requests that run; chatd cancels them. */
void		 chat_free(struct chat *c);

/*
 * Connect to the socket at path (NULL: CHAT_SOCKET) and exchange hellos.  What
 * was connected before is closed.  timeout_ms is for all steps together, in
 * milliseconds; -1: no limit.  Returns 0, CHAT_ERR_NO_SOCKET, _CLOSED, _DENIED,
 * _TIMEOUT, _PROTOCOL, _REFUSED (chatd is full, or can't start with its
 * configuration), _NO_MEMORY, _USE or _SYSTEM.  The message does not name path.
 */
int		 chat_connect(struct chat *c, const char *path,
		    int timeout_ms);

/* The same with a connected stream socket.  fd is taken, also on error. */
int		 chat_connect_fd(struct chat *c, int fd, int timeout_ms);

/* Close the socket.  No function is called for requests that run; chatd cancels
 * them.  chat_connect may follow. */
void		 chat_close(struct chat *c);

/* chatd's hello (chatd-protocol(7), The first event), borrowed until the next
 * chat_connect, chat_close or chat_free, or until the connection is lost.  NULL
 * if there is no connection.  The longest prompt in bytes is
 * chat_get_int(chat_hello(c), "limits.prompt", 0). */
const struct chat_event *chat_hello(const struct chat *c);

/* Set the function for events of requests that were sent with fn NULL, and for
 * errors that have no id (chat_id is -1), which end every request, since chatd
 * does not say which one was at fault.  fn NULL: such events are dropped. */
void		 chat_set_handler(struct chat *c, chat_fn fn, void *arg);

/* ---- waiting */

/*
 * Wait until request id has ended; with id 0, until no request runs.  Calls the
 * functions of all requests meanwhile.  timeout_ms: milliseconds; -1: no limit.
 * Returns
 *   0                     after CHAT_DONE; with id 0 after any end
 *   CHAT_ERR_REFUSED      after CHAT_ERROR; chat_error_code and so on have its
 *                         fields
 *   CHAT_ERR_TIMEOUT, CHAT_ERR_INTERRUPTED   the request runs on
 *   CHAT_ERR_USE          request id does not run
 *   id                    if it is negative: the result of a request that was
 *                         not sent can be passed on
 *   CHAT_ERR_CLOSED, _PROTOCOL, _NO_MEMORY, _SYSTEM   the connection is lost
 */
int		 chat_wait(struct chat *c, int64_t id, int timeout_ms);

/* For poll(2): the socket (borrowed; it stays the same while connected), or -1;
 * and POLLIN, with POLLOUT while bytes wait to be sent.  Ask for both again
 * before each poll.  A loop must be level-triggered. */
int		 chat_fd(const struct chat *c);
short		 chat_events(const struct chat *c);

/*
 * Send and take what is possible without blocking, at most 64 KiB of events in
 * one call, and call the functions of their requests.  Returns the number of
 * events, also 0, or an error after which the connection is lost.
 */
int		 chat_dispatch(struct chat *c);

/* How many requests run. */
size_t		 chat_running(const struct chat *c);

/* ---- requests
 *
 * Each function sends a request and returns its id, from 1, which no other
 * request of c ever has; or a negative error, and then fn is not called:
 *   CHAT_ERR_TOO_LONG    the request is longer than chatd takes, or 64 MiB wait
 *                        to be sent
 *   CHAT_ERR_USE         an argument is wrong
 *   CHAT_ERR_NO_MEMORY
 *   CHAT_ERR_CLOSED, CHAT_ERR_SYSTEM   there is no connection, or it is lost;
 *                        dispatch once more to get what came before
 * Bytes that the socket does not take now are sent by chat_dispatch and
 * chat_wait.
 *   fn      for the events; NULL: see chat_set_handler
 *   arg     passed to fn, borrowed until the request has ended
 *   params  a JSON object, "{\"temperature\":0.2}" (chatd-protocol(7),
 *           Parameters of a reply), or NULL
 */

/* Add a message to a conversation, or begin one with conversation 0.  Events:
 * CHAT_ACCEPTED, CHAT_NOTICE, CHAT_TEXT, CHAT_DONE. */
int64_t		 chat_say(struct chat *c, int64_t conversation,
		    const char *text, const char *params, chat_fn fn,
		    void *arg);

/* Ask for another reply to the prompt of an exchange.  Events of chat_say. */
int64_t		 chat_regenerate(struct chat *c, int64_t exchange,
		    const char *params, chat_fn fn, void *arg);

/* Cancel request id of this connection.  Events: CHAT_DONE; the cancelled
 * request ends with its own CHAT_DONE, whose "stop" is "cancelled". */
int64_t		 chat_cancel(struct chat *c, int64_t id, chat_fn fn,
		    void *arg);

#define CHAT_GOOD	1
#define CHAT_BAD	(-1)
#define CHAT_NEUTRAL	2

/*
 * Rate a reply.  Events: CHAT_DONE.
 *   reply    its number; 0: the newest of the exchange
 *   thumb    CHAT_GOOD, CHAT_BAD, CHAT_NEUTRAL; 0: keep that of the last rating
 *   reasons  n_reasons of "incorrect", "unhelpful", "harmful", "wrong_refusal"
 *   ideal    the reply that the user wanted, or NULL
 *   comment  or NULL
 */
int64_t		 chat_rate(struct chat *c, int64_t exchange, int64_t reply,
		    int thumb, const char *const *reasons, size_t n_reasons,
		    const char *ideal, const char *comment, chat_fn fn,
		    void *arg);

/* List the user's conversations, newest first: those before the number before
 * (0: from the newest), at most limit (0: 50).  Events: CHAT_ITEM
 * ("conversation.conversation", "conversation.title"), CHAT_DONE ("more"). */
int64_t		 chat_list(struct chat *c, int64_t before, int64_t limit,
		    chat_fn fn, void *arg);

/* Show a conversation: the exchanges after the number after (0: from the
 * first), at most limit (0: 50).  Events: CHAT_ITEM ("exchange.prompt",
 * "exchange.replies.0.text"), CHAT_DONE ("more"). */
int64_t		 chat_show(struct chat *c, int64_t conversation,
		    int64_t after, int64_t limit, chat_fn fn, void *arg);

/* Find exchanges by words; before and limit as chat_list.  Events: CHAT_ITEM,
 * CHAT_DONE ("more").  A chatd without this operation answers with the error
 * bad_field. */
int64_t		 chat_search(struct chat *c, const char *query,
		    int64_t before, int64_t limit, chat_fn fn, void *arg);

/* Export the user's conversations and ratings in a format of chatd-db(5),
 * "messages" for example.  The file comes in pieces, however long it is; chatd
 * sends no more than fn takes.  Events: CHAT_TEXT, CHAT_DONE. */
int64_t		 chat_export(struct chat *c, const char *format, chat_fn fn,
		    void *arg);

/* Delete a conversation for good.  Events: CHAT_DONE. */
int64_t		 chat_delete(struct chat *c, int64_t conversation,
		    chat_fn fn, void *arg);

/*
 * Make any request of chatd-protocol(7): op is its operation.  Returns a new
 * request for chat_send or chat_request_free, or NULL if there is not enough
 * memory.  The functions that set a field keep a fault for chat_send, so that
 * only its result must be checked; rq may be NULL.  A string or a text of NULL
 * sets nothing.  json is any JSON value.
 */
struct chat_request *chat_request_new(const char *op);
void		 chat_request_free(struct chat_request *rq);
void		 chat_request_string(struct chat_request *rq, const char *field,
		    const char *value);
void		 chat_request_strings(struct chat_request *rq,
		    const char *field, const char *const *values, size_t n);
void		 chat_request_int(struct chat_request *rq, const char *field,
		    int64_t value);
void		 chat_request_real(struct chat_request *rq, const char *field,
		    double value);
void		 chat_request_bool(struct chat_request *rq, const char *field,
		    int value);
void		 chat_request_json(struct chat_request *rq, const char *field,
		    const char *json);

/* Send a request, which is taken, also on error. */
int64_t		 chat_send(struct chat *c, struct chat_request *rq, chat_fn fn,
		    void *arg);

/* Send a request that is JSON text, {"op": NAME, ...}; its id is set. */
int64_t		 chat_send_json(struct chat *c, const char *json, chat_fn fn,
		    void *arg);

/* ---- events; ev may be NULL: then what is asked for is not there */

enum chat_kind	 chat_kind(const struct chat_event *ev);

/* The request's id, or -1. */
int64_t		 chat_id(const struct chat_event *ev);

/* Is it the last event of its request? */
int		 chat_is_last(const struct chat_event *ev);

/* The text of CHAT_TEXT: *len bytes of UTF-8 (len may be NULL), and a NUL
 * follows.  NULL, and 0, for other events. */
const char	*chat_text(const struct chat_event *ev, size_t *len);

/* The whole event as JSON, on one line without a newline; len as chat_text.
 * NULL, and 0, for CHAT_LOST. */
const char	*chat_json(const struct chat_event *ev, size_t *len);

/*
 * Look a field up.  path has the keys from the outside in, with dots between
 * them: "times.total_ms"; a number is the place in an array, from 0:
 * "exchange.replies.0.text".  If it is missing or of another type, the result
 * is NULL or dflt.  chat_get_int takes integers, chat_get_real all numbers.
 * chat_get_string is UTF-8 without NULs.
 */
const char	*chat_get_string(const struct chat_event *ev,
		    const char *path);
int64_t		 chat_get_int(const struct chat_event *ev, const char *path,
		    int64_t dflt);
double		 chat_get_real(const struct chat_event *ev, const char *path,
		    double dflt);
int		 chat_get_bool(const struct chat_event *ev, const char *path,
		    int dflt);

/* The elements of an array or the fields of an object, 0 if it is neither. */
size_t		 chat_get_count(const struct chat_event *ev,
		    const char *path);

#ifdef __cplusplus
}
#endif

#endif
