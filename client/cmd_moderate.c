/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl moderate: has texts checked by the filters.  Several requests are
 * under way at once; the answers are printed in the order of the texts.
 */
#include "chatctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

#define MODERATE_FLIGHT	8	/* requests under way, at most */

/* Texts under way, a ring in the order of the input. */
struct moderate {
	struct ctl	*ctl;		/* borrowed */
	struct flight {
		int64_t	 id;		/* 0: never sent, end says why */
		int	 unread;	/* the line can't be a text */
		json_t	*end;		/* owned: NULL while under way */
		char	*text;		/* owned, or NULL */
	}		 ring[MODERATE_FLIGHT];
	size_t		 head, n, room;
	int64_t		 line;		/* of stdin; 0: arguments */
	int		 blocked;	/* some text was blocked */
	int		 status;
};

static int	moderate_text(struct moderate *, const char *);
static int	moderate_take(struct moderate *, size_t);
static void	moderate_print(struct moderate *, const struct flight *);
static void	moderate_drop(struct moderate *);
static void	moderate_words(const json_t *);
static int	moderate_lines(struct moderate *);
static int	moderate_line(struct moderate *, char *, size_t);
static int	moderate_bad(struct moderate *, const char *);

/* chatctl moderate */
int
cmd_moderate(struct ctl *ctl, int argc, char **argv)
{
	struct moderate	 m = { .ctl = ctl };
	int64_t		 requests;
	int		 i, status;

	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	if (ctl->opt.prompt != NULL &&
	    input_check(ctl->opt.prompt, "--prompt") != 0)
		return (CTL_USAGE);
	requests = wire_limit(ctl->chat, "requests", MODERATE_FLIGHT);
	m.room = requests < 2 ? 1 : requests > MODERATE_FLIGHT ?
	    MODERATE_FLIGHT : (size_t)requests - 1;
	for (i = 0; i < argc && status == CTL_OK; i++) {
		if ((status = input_check(argv[i], "a text")) == CTL_OK)
			status = moderate_text(&m, argv[i]);
	}
	if (argc == 0)
		status = moderate_lines(&m);
	if (status == CTL_OK || ctl->chat != NULL)
		i = moderate_take(&m, 0);
	else
		i = CTL_OK;
	while (m.n > 0)
		moderate_drop(&m);
	if (status == CTL_OK)
		status = i;
	if (status == CTL_OK)
		status = m.status;
	return (status == CTL_OK && argc > 0 && m.blocked ? CTL_REFUSED :
	    status);
}

/* Remove the first text of the ring. */
static void
moderate_drop(struct moderate *m)
{
	struct flight	*slot = &m->ring[m->head];

	json_decref(slot->end);
	free(slot->text);
	*slot = (struct flight){ 0 };
	m->head = (m->head + 1) % MODERATE_FLIGHT;
	m->n--;
}

/* Send one text. */
static int
moderate_text(struct moderate *m, const char *text)
{
	struct fault	 f = { 0 };
	struct flight	*slot;
	json_t		*msg;
	int		 status, r;

	if ((status = moderate_take(m, m->room - 1)) != CTL_OK)
		return (status);
	msg = msg_op("moderate", -1);
	msg_set_string(msg, "text", text);
	msg_set_string(msg, "direction", m->ctl->opt.direction);
	msg_set_string(msg, "prompt", m->ctl->opt.prompt);
	if (m->ctl->opt.explain)
		msg_set_bool(msg, "explain", 1);
	slot = &m->ring[(m->head + m->n) % MODERATE_FLIGHT];
	*slot = (struct flight){ .text = xstrdup(text) };
	r = wire_send(m->ctl->chat, msg, &slot->id, &f);
	if (r == CHAT_ETOOBIG) {
		slot->id = 0;
		slot->end = msg_error(-1, &f);
	} else if (r != 0) {
		term_error("%s: connection lost: %s", m->ctl->socket,
		    f.message);
		link_close(m->ctl);
		free(slot->text);
		return (CTL_UNREACHABLE);
	}
	m->n++;
	return (CTL_OK);
}

/* Print answers until at most that many texts are under way. */
static int
moderate_take(struct moderate *m, size_t most)
{
	struct fault	 f = { 0 };
	struct flight	*slot;
	json_t		*msg;
	size_t		 i;
	int		 r;

	for (;;) {
		while (m->n > 0 && m->ring[m->head].end != NULL) {
			moderate_print(m, &m->ring[m->head]);
			moderate_drop(m);
		}
		if (m->n <= most)
			return (CTL_OK);
		if ((r = wire_next(m->ctl->chat, -1, &msg, &f)) == 0)
			continue;
		if (r < 0) {
			term_error("%s: connection lost: %s", m->ctl->socket,
			    f.message);
			link_close(m->ctl);
			return (r == CHAT_EPROTOCOL ? CTL_PROTOCOL :
			    CTL_UNREACHABLE);
		}
		if (wire_about_none(msg)) {
			r = link_status_of(msg_string(msg, "code"));
			link_report(m->ctl, msg);
			json_decref(msg);
			link_close(m->ctl);
			return (r);
		}
		for (i = 0; i < m->n; i++) {
			slot = &m->ring[(m->head + i) % MODERATE_FLIGHT];
			if (slot->id != 0 && slot->end == NULL &&
			    slot->id == msg_int(msg, "id", -1))
				slot->end = json_incref(msg);
		}
		json_decref(msg);
	}
}

/* Print one answer. */
static void
moderate_print(struct moderate *m, const struct flight *slot)
{
	const json_t	*end = slot->end;
	const char	*action = msg_string(end, "action");
	json_t		*out, *error;

	if (strcmp(msg_string(end, "event"), "error") == 0) {
		m->status = slot->unread ? CTL_USAGE :
		    link_status_of(msg_string(end, "code"));
		out = json_object();
		error = json_deep_copy(end);
		json_object_del(error, "event");
		json_object_del(error, "id");
		msg_set(out, "error", error);
		if (m->ctl->opt.json)
			term_json(out);
		else if (!slot->unread)		/* it was reported */
			link_report(m->ctl, end);
		json_decref(out);
		return;
	}
	if (action != NULL && strcmp(action, "block") == 0)
		m->blocked = 1;
	if (m->ctl->opt.json) {
		out = json_deep_copy(end);
		json_object_del(out, "event");
		json_object_del(out, "id");
		term_json(out);
		json_decref(out);
	} else if (m->ctl->opt.explain && slot->text != NULL)
		explain_print(slot->text, end);
	else
		moderate_words(end);
}

/* Print an answer for people: the action, then the findings. */
static void
moderate_words(const json_t *end)
{
	const char	*slug;
	json_t		*c;
	char		*text, *safe, *name;

	safe = render_line(msg_string(end, "action"));
	fputs(safe, stdout);
	free(safe);
	json_object_foreach(json_object_get(end, "categories"), slug, c) {
		name = explain_name(c);
		text = xasprintf("%s %.2f (%s, bytes %lld to %lld: %s)",
		    slug, msg_real(c, "score", 0), name,
		    (long long)msg_int(c, "start", 0),
		    (long long)msg_int(c, "end", 0),
		    msg_string(c, "action") == NULL ? "allow" :
		    msg_string(c, "action"));
		safe = render_line(text);
		printf("\t%s", safe);
		free(safe);
		free(text);
		free(name);
	}
	fputc('\n', stdout);
	term_flush();
}

/* Judge each line of stdin. */
static int
moderate_lines(struct moderate *m)
{
	char	*line = NULL;
	size_t	 size = 0;
	ssize_t	 n;
	int	 status = CTL_OK;

	while (status == CTL_OK && (n = getline(&line, &size, stdin)) != -1) {
		m->line++;
		if (n > 0 && line[n - 1] == '\n')
			line[--n] = '\0';
		status = moderate_line(m, line, (size_t)n);
	}
	if (status == CTL_OK && ferror(stdin)) {
		term_error("stdin: %s", strerror(errno));
		status = CTL_USAGE;
	}
	free(line);
	return (status);
}

/* Judge one line, of n bytes. */
static int
moderate_line(struct moderate *m, char *line, size_t n)
{
	json_error_t	 err;
	json_t		*v;
	char		*name;
	int		 status;

	name = xasprintf("stdin: line %lld", (long long)m->line);
	if (memchr(line, '\0', n) != NULL) {
		term_error("%s: a NUL byte", name);
		status = moderate_bad(m, "a NUL byte in the line");
	} else if (!m->ctl->opt.jsonl) {
		if (input_check(line, name) != 0)
			status = moderate_bad(m, "not UTF-8");
		else
			status = moderate_text(m, line);
	} else {
		v = json_loadb(line, n, JSON_DECODE_ANY, &err);
		if (!json_is_string(v)) {
			term_error("%s: expected a JSON string%s%s", name,
			    v == NULL ? ": " : "", v == NULL ? err.text : "");
			status = moderate_bad(m, "expected a JSON string");
		} else
			status = moderate_text(m, json_string_value(v));
		json_decref(v);
	}
	free(name);
	return (status);
}

/* Take an error as the answer to a line that can't be sent; it was reported
 * already. */
static int
moderate_bad(struct moderate *m, const char *why)
{
	struct fault	 f;
	struct flight	*slot;
	int		 status;

	fault_set(&f, "bad_json", NULL, "line %lld: %s", (long long)m->line,
	    why);
	if ((status = moderate_take(m, m->room - 1)) != CTL_OK)
		return (status);
	slot = &m->ring[(m->head + m->n) % MODERATE_FLIGHT];
	*slot = (struct flight){ .unread = 1, .end = msg_error(-1, &f) };
	m->n++;
	return (CTL_OK);
}
