/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libchat: events go to the functions of their requests, one after the other;
 * waiting for a request.
 */
#include "chat_impl.h"

#include <stdlib.h>
#include <string.h>

static struct chat_slot *chat_loop_find(struct chat *, int64_t);
static void	chat_loop_call(struct chat *, const struct chat_slot *,
		    const struct chat_event *);
static int	chat_loop_event(struct chat *, const struct chat_event *);
static void	chat_loop_end(struct chat *, const struct chat_event *, int64_t,
		    int);
static void	chat_loop_refused(struct chat *, const struct chat_event *);
static int	chat_loop_lost(struct chat *, int);
static int	chat_loop_left(struct chat *, int64_t);

/* Remember a request. */
int
chat_loop_add(struct chat *c, int64_t id, chat_fn fn, void *arg)
{
	struct chat_slot	*p;
	size_t			 size = c->size_slots;

	if (c->n_slots == size) {
		size = size == 0 ? 8 : size * 2;
		if ((p = reallocarray(c->slots, size, sizeof *p)) == NULL)
			return (CHAT_ERR_NO_MEMORY);
		c->slots = p;
		c->size_slots = size;
	}
	c->slots[c->n_slots++] = (struct chat_slot){ id, fn, arg };
	return (0);
}

/* Find a request. */
static struct chat_slot *
chat_loop_find(struct chat *c, int64_t id)
{
	size_t	 i;

	for (i = 0; i < c->n_slots; i++)
		if (c->slots[i].id == id)
			return (&c->slots[i]);
	return (NULL);
}

/* Forget a request. */
void
chat_loop_drop(struct chat *c, int64_t id)
{
	struct chat_slot	*s = chat_loop_find(c, id);

	if (s == NULL)
		return;
	c->n_slots--;
	memmove(s, s + 1, (size_t)(c->slots + c->n_slots - s) * sizeof *s);
}

/* Count the requests. */
size_t
chat_running(const struct chat *c)
{
	return (c->n_slots);
}

/* Call the function of a request, or the handler. The slot is a copy, because
 * the function may send requests. */
static void
chat_loop_call(struct chat *c, const struct chat_slot *s,
    const struct chat_event *ev)
{
	chat_fn	 fn = s->fn == NULL ? c->handler : s->fn;
	void	*arg = s->fn == NULL ? c->handler_arg : s->arg;

	if (fn == NULL)
		return;
	c->calling = 1;
	fn(c, ev, arg);
	c->calling = 0;
}

/* End a request: it is forgotten before its function is called. */
static void
chat_loop_end(struct chat *c, const struct chat_event *ev, int64_t id,
    int result)
{
	struct chat_slot	 s = *chat_loop_find(c, id);

	if (id == c->waited)
		c->result = result;
	chat_loop_drop(c, id);
	chat_loop_call(c, &s, ev);
}

/* Keep the error of an event. */
static void
chat_loop_refused(struct chat *c, const struct chat_event *ev)
{
	const char	*code = chat_get_string(ev, "code");
	const char	*field = chat_get_string(ev, "field");
	const char	*text = chat_get_string(ev, "message");

	chat_fail(c, CHAT_ERR_REFUSED, code == NULL ? "error" : code,
	    field == NULL ? "" : field, text == NULL ? "no reason given" :
	    text);
}

/* Give an event to its request. 0, or an error that ends the connection. */
static int
chat_loop_event(struct chat *c, const struct chat_event *ev)
{
	const struct chat_slot	 none = { .id = -1 };
	struct chat_slot	*found, s;

	if (ev->id == CHAT_HELLO_ID) {
		if (ev->kind != CHAT_ERROR)
			return (0);
		chat_loop_refused(c, ev);
		return (chat_fail(c, CHAT_ERR_PROTOCOL, "bad_protocol", "",
		    c->message));
	}
	if (ev->kind == CHAT_ERROR && ev->id == -1) {
		/* chatd could not read the id of a line: of which one, is not
		 * known, so that no request can be waited for. */
		chat_loop_call(c, &none, ev);
		while (c->n_slots > 0) {
			s = c->slots[0];
			if (s.fn != NULL) {
				chat_loop_end(c, ev, s.id, CHAT_ERR_REFUSED);
				continue;
			}
			if (s.id == c->waited)
				c->result = CHAT_ERR_REFUSED;
			chat_loop_drop(c, s.id);
		}
		if (c->waited != 0)
			chat_loop_refused(c, ev);
		return (0);
	}
	if ((found = chat_loop_find(c, ev->id)) == NULL)
		return (0);
	if (ev->kind == CHAT_ERROR) {
		chat_loop_end(c, ev, ev->id, CHAT_ERR_REFUSED);
		if (ev->id == c->waited)
			chat_loop_refused(c, ev);
	} else if (ev->kind == CHAT_DONE)
		chat_loop_end(c, ev, ev->id, 0);
	else {
		s = *found;
		chat_loop_call(c, &s, ev);
	}
	return (0);
}

/* End every request and the connection. Returns r, which is kept already. */
static int
chat_loop_lost(struct chat *c, int r)
{
	struct chat_event	 ev = { .kind = CHAT_LOST };
	char			 code[sizeof c->code];
	char			 message[sizeof c->message];

	memcpy(code, c->code, sizeof code);
	memcpy(message, c->message, sizeof message);
	/* What functions send now fails. */
	c->broken = CHAT_ERR_CLOSED;
	while (c->n_slots > 0) {
		ev.id = c->slots[0].id;
		chat_loop_end(c, &ev, ev.id, r);
	}
	chat_close(c);
	return (chat_fail(c, r, code, "", message));
}

/* Do what is possible without blocking. */
int
chat_dispatch(struct chat *c)
{
	struct chat_event	 ev;
	int			 n = 0, r;

	if (c->calling)
		return (chat_fail_plain(c, CHAT_ERR_USE));
	if (c->fd == -1)
		return (chat_fail(c, CHAT_ERR_CLOSED, "closed", "",
		    chat_error_text(CHAT_ERR_CLOSED)));
	chat_io_flush(c);
	if ((r = chat_io_fill(c)) < 0)
		return (chat_loop_lost(c, chat_fail_plain(c, r)));
	while ((r = chat_event_take(c, &ev)) == 1) {
		r = chat_loop_event(c, &ev);
		chat_event_clear(&ev);
		if (r < 0)
			break;
		n++;
	}
	/* What came before the loss is reported first. */
	if (r == 0 && n == 0 && (c->eof || c->broken))
		r = chat_fail_plain(c, c->eof ? CHAT_ERR_CLOSED : c->broken);
	return (r < 0 ? chat_loop_lost(c, r) : n);
}

/* The milliseconds that chat_wait may wait: none, if events are there. */
static int
chat_loop_left(struct chat *c, int64_t deadline)
{
	return (c->eof || c->broken ? 0 : chat_io_left(deadline));
}

/* Wait for the end of a request. */
int
chat_wait(struct chat *c, int64_t id, int timeout_ms)
{
	int64_t		 deadline = chat_io_deadline(timeout_ms);
	struct fault	 f;
	int		 r = 0;

	if (id < 0)
		return ((int)id);
	if (c->calling || (id != 0 && chat_loop_find(c, id) == NULL))
		return (chat_fail_plain(c, CHAT_ERR_USE));
	c->waited = id;
	c->result = 1;
	while (id == 0 ? c->n_slots > 0 : c->result == 1) {
		if ((r = chat_io_wait(c, chat_loop_left(c, deadline))) != 0) {
			chat_fail_plain(c, r);
			break;
		}
		if ((r = chat_dispatch(c)) < 0)
			break;
		r = 0;
		if (deadline != -1 && chat_io_left(deadline) == 0 &&
		    c->result == 1 && c->n_slots > 0) {
			fault_set(&f, "timeout", NULL, "no answer in %d ms",
			    timeout_ms);
			r = chat_fail_fault(c, CHAT_ERR_TIMEOUT, &f);
			break;
		}
	}
	c->waited = 0;
	return (c->result == 1 ? r : c->result);
}
