/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libchat: requests are made and sent.
 */
#include "chat_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "utf8.h"

struct chat_request {
	json_t		*msg;		/* owned */
	int		 fault;		/* 0, or an enum chat_error */
	char		 field[64];	/* where */
};

static void	chat_request_set(struct chat_request *, const char *, json_t *);
static void	chat_request_fault(struct chat_request *, const char *, int);
static json_t	*chat_request_text(const char *);
static int	chat_request_parse(const char *, json_t **);
static int64_t	chat_request_line(struct chat *, const json_t *, int64_t,
		    chat_fn, void *);

/* Begin a request. */
struct chat_request *
chat_request_new(const char *op)
{
	struct chat_request	*rq;

	if ((rq = calloc(1, sizeof *rq)) == NULL)
		return (NULL);
	if ((rq->msg = json_object()) == NULL) {
		free(rq);
		return (NULL);
	}
	chat_request_string(rq, "op", op);
	chat_request_int(rq, "id", 0);	/* the place of the later one */
	return (rq);
}

/* Free a request. */
void
chat_request_free(struct chat_request *rq)
{
	if (rq == NULL)
		return;
	json_decref(rq->msg);
	free(rq);
}

/* Keep the first fault. */
static void
chat_request_fault(struct chat_request *rq, const char *field, int fault)
{
	size_t	 n = strlen(field);

	if (rq->fault != 0)
		return;
	rq->fault = fault;
	if (n >= sizeof rq->field)
		n = utf8_whole(field, sizeof rq->field - 1);
	memcpy(rq->field, field, n);
	rq->field[n] = '\0';
}

/* Set a field to v, which is taken; NULL: there was no memory. */
static void
chat_request_set(struct chat_request *rq, const char *field, json_t *v)
{
	if (v != NULL && !utf8_valid(field, strlen(field))) {
		json_decref(v);
		chat_request_fault(rq, "?", CHAT_ERR_USE);
	} else if (v == NULL || json_object_set_new(rq->msg, field, v) != 0)
		chat_request_fault(rq, field, CHAT_ERR_NO_MEMORY);
}

/* Make a string; bytes that are no UTF-8 become U+FFFD. NULL: no memory. */
static json_t *
chat_request_text(const char *s)
{
	size_t		 n = strlen(s), i, k = 0;
	json_t		*v;
	char		*fixed;
	uint32_t	 cp;
	int		 len;

	if (utf8_valid(s, n))
		return (json_stringn_nocheck(s, n));
	if ((fixed = malloc(n * 3)) == NULL)
		return (NULL);
	for (i = 0; i < n; i += (size_t)abs(len)) {
		if ((len = utf8_decode(s + i, n - i, &cp)) > 0) {
			memcpy(fixed + k, s + i, (size_t)len);
			k += (size_t)len;
			continue;
		}
		memcpy(fixed + k, "\xef\xbf\xbd", 3);
		k += 3;
		if (len == 0)
			break;		/* an unfinished character ends s */
	}
	v = json_stringn_nocheck(fixed, k);
	free(fixed);
	return (v);
}

/* Set a string. */
void
chat_request_string(struct chat_request *rq, const char *field,
    const char *value)
{
	if (rq != NULL && value != NULL)
		chat_request_set(rq, field, chat_request_text(value));
}

/* Set an array of strings. */
void
chat_request_strings(struct chat_request *rq, const char *field,
    const char *const *values, size_t n)
{
	json_t	*list;
	size_t	 i;

	if (rq == NULL)
		return;
	list = json_array();
	for (i = 0; i < n && list != NULL; i++) {
		if (json_array_append_new(list,
		    chat_request_text(values[i])) != 0) {
			json_decref(list);
			list = NULL;
		}
	}
	chat_request_set(rq, field, list);
}

/* Set an integer. */
void
chat_request_int(struct chat_request *rq, const char *field, int64_t value)
{
	if (rq != NULL)
		chat_request_set(rq, field, json_integer(value));
}

/* Set a number. JSON has no NaN and no infinity. */
void
chat_request_real(struct chat_request *rq, const char *field, double value)
{
	if (rq == NULL)
		return;
	if (isfinite(value))
		chat_request_set(rq, field, json_real(value));
	else
		chat_request_fault(rq, field, CHAT_ERR_USE);
}

/* Set true or false. */
void
chat_request_bool(struct chat_request *rq, const char *field, int value)
{
	if (rq != NULL)
		chat_request_set(rq, field, json_boolean(value));
}

/* Parse JSON of the caller's. 0 or an error. */
static int
chat_request_parse(const char *json, json_t **out)
{
	struct json_size	 m;
	json_error_t		 err;

	/* The parser recurses. */
	json_measure(json, strlen(json), &m);
	if (m.depth > JSON_DEPTH_MAX)
		return (CHAT_ERR_USE);
	*out = json_loads(json, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
	    &err);
	if (*out != NULL)
		return (0);
	/* The parser has no words for most of its lacks of memory. */
	return (err.text[0] == '\0' ? CHAT_ERR_NO_MEMORY : CHAT_ERR_USE);
}

/* Set a JSON value. */
void
chat_request_json(struct chat_request *rq, const char *field,
    const char *json)
{
	json_t	*v;
	int	 r;

	if (rq == NULL || json == NULL)
		return;
	if ((r = chat_request_parse(json, &v)) != 0)
		chat_request_fault(rq, field, r);
	else
		chat_request_set(rq, field, v);
}

/* Send a request. */
int64_t
chat_send(struct chat *c, struct chat_request *rq, chat_fn fn, void *arg)
{
	int64_t	 r;

	if (rq == NULL)
		return (chat_fail_plain(c, CHAT_ERR_NO_MEMORY));
	if (rq->fault == CHAT_ERR_USE)
		r = chat_fail(c, CHAT_ERR_USE, "bad_use", rq->field,
		    "this value can't be sent as JSON");
	else if (rq->fault != 0)
		r = chat_fail_plain(c, rq->fault);
	else
		r = chat_request_send(c, json_incref(rq->msg), fn, arg);
	chat_request_free(rq);
	return (r);
}

/* Send JSON text. */
int64_t
chat_send_json(struct chat *c, const char *json, chat_fn fn, void *arg)
{
	json_t	*msg;
	int	 r;

	if ((r = chat_request_parse(json, &msg)) == CHAT_ERR_NO_MEMORY)
		return (chat_fail_plain(c, r));
	if (r == 0 && !json_is_object(msg)) {
		json_decref(msg);
		r = CHAT_ERR_USE;
	}
	if (r != 0)
		return (chat_fail(c, r, "bad_use", "",
		    "the request is not one JSON object"));
	return (chat_request_send(c, msg, fn, arg));
}

/* Send an object. */
int64_t
chat_request_send(struct chat *c, json_t *msg, chat_fn fn, void *arg)
{
	int64_t	 id = c->next_id, r;

	if (c->fd == -1)
		r = chat_fail(c, CHAT_ERR_CLOSED, "closed", "",
		    chat_error_text(CHAT_ERR_CLOSED));
	else if (json_object_set_new(msg, "id", json_integer(id)) != 0)
		r = chat_fail_plain(c, CHAT_ERR_NO_MEMORY);
	else
		r = chat_request_line(c, msg, id, fn, arg);
	json_decref(msg);
	if (r < 0)
		return (r);
	c->next_id++;
	return (id);
}

/* Print a request and send it. 0 or an error. */
static int64_t
chat_request_line(struct chat *c, const json_t *msg, int64_t id, chat_fn fn,
    void *arg)
{
	int64_t		 max = chat_get_int(&c->hello, "limits.line",
			    CHAT_LINE_SENT);
	struct fault	 f;
	char		*line;
	size_t		 n;
	int		 r;

	/* 15 digits, so that 0.9 is written as 0.9. */
	line = json_dumps(msg, JSON_COMPACT | JSON_REAL_PRECISION(15));
	if (line == NULL)
		return (chat_fail_plain(c, CHAT_ERR_NO_MEMORY));
	n = strlen(line);
	if (max < 0)
		max = CHAT_LINE_SENT;
	if (n > (size_t)max) {
		free(line);
		fault_set(&f, "too_long", NULL, "the request has %zu bytes, "
		    "chatd takes at most %lld", n, (long long)max);
		return (chat_fail_fault(c, CHAT_ERR_TOO_LONG, &f));
	}
	line[n] = '\n';
	if ((r = chat_loop_add(c, id, fn, arg)) == 0 &&
	    (r = chat_io_queue(c, line, n + 1)) == CHAT_ERR_TOO_LONG) {
		fault_set(&f, "too_long", NULL, "%d bytes wait to be sent",
		    CHAT_QUEUE_MAX);
		chat_fail_fault(c, r, &f);
	} else if (r != 0 || (r = chat_io_flush(c)) != 0)
		chat_fail_plain(c, r);
	if (r != 0)
		chat_loop_drop(c, id);
	free(line);
	return (r);
}
