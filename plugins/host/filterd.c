/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-filter: starts the filter plugins (filterd_init.c), and answers checks
 * with their findings, one JSON line at a time on descriptors 0 and 1.  chatd
 * decides what follows from a finding.  main.c calls this file.
 */
#include <config.h>
#include "filterd.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chan.h"
#include "clock.h"
#include "filterd_impl.h"
#include "json.h"
#include "protocol.h"
#include "log.h"
#include "vocabulary.h"
#include "xmalloc.h"

static const struct field filterd_end_fields[] = {
	{ "text_id", FIELD_INT, FIELD_REQUIRED, 1, JSON_INT_MAX,
	    offsetof(struct check, text_id) },
};

static const struct field filterd_check_fields[] = {
	{ "direction", FIELD_STRING, FIELD_REQUIRED, 0, 0,
	    offsetof(struct check, direction) },
	{ "text", FIELD_STRING, FIELD_REQUIRED, 0, FILTER_TEXT_MAX,
	    offsetof(struct check, text) },
	{ "context", FIELD_STRING, FIELD_NULLABLE, 0, FILTER_TEXT_MAX,
	    offsetof(struct check, context) },
	{ "offset", FIELD_INT, FIELD_NULLABLE, 0, FILTER_OFFSET_MAX,
	    offsetof(struct check, offset) },
	{ "fresh", FIELD_INT, FIELD_NULLABLE, 0, FILTER_TEXT_MAX,
	    offsetof(struct check, fresh) },
	{ "settled", FIELD_INT, FIELD_NULLABLE, 0, FILTER_TEXT_MAX,
	    offsetof(struct check, settled) },
	{ "final", FIELD_BOOL, FIELD_NULLABLE, 0, 0,
	    offsetof(struct check, final) },
	{ "text_id", FIELD_INT, FIELD_NULLABLE, 1, JSON_INT_MAX,
	    offsetof(struct check, text_id) },
	{ "account", FIELD_INT, FIELD_NULLABLE, 0, JSON_INT_MAX,
	    offsetof(struct check, account) },
	{ "now", FIELD_INT, FIELD_NULLABLE, 0, JSON_INT_MAX,
	    offsetof(struct check, now) },
	{ "again", FIELD_BOOL, FIELD_NULLABLE, 0, 0,
	    offsetof(struct check, again) },
};

/* Prepare an answer. */
void
filterd_answer_init(struct answer *a)
{
	*a = (struct answer){ .findings = json_array(),
	    .lowered = json_array() };
}

/* Release it. */
void
filterd_answer_clear(struct answer *a)
{
	json_decref(a->findings);
	json_decref(a->lowered);
}

/* A text is over: let every plugin release what it kept. */
void
filterd_end(struct filterd *fd, struct text *tx)
{
	size_t	 i;

	for (i = 0; tx != NULL && i < fd->n; i++)
		host_end(fd->hosts[i], tx);
	text_free(fd->texts, tx);
}

/* Give a piece to every plugin, in order. a->settled becomes the bytes of the
 * piece that are settled, or -1. */
static int
filterd_pass(struct filterd *fd, const struct check *c, struct text *tx,
    struct answer *a, struct fault *f)
{
	size_t	 i;
	int	 r = 0;

	a->settled = (int64_t)c->len;
	for (i = 0; r == 0 && i < fd->n; i++) {
		if ((r = host_check(fd->hosts[i], c, tx, a, f)) != 0)
			fd->blamed = host_name(fd->hosts[i]);
	}
	return (r);
}

/*
 * Have every plugin judge a piece of a text. If there are plugins with a band,
 * the last piece is judged first as if more could follow: so they get the same
 * whether the last bytes came with the end of the text or before it.
 */
int
filterd_judge(struct filterd *fd, const struct check *c, struct text *tx,
    struct answer *a, struct fault *f)
{
	struct check	 piece;
	size_t		 i;
	int		 r = 0;

	text_add(fd->texts, tx, c, &piece);
	for (i = 0; r == 0 && i < fd->n; i++)
		r = host_fits(fd->hosts[i], &piece, f);
	if (r == 0 && piece.final && texts_banded(fd->texts)) {
		piece.final = 0;
		piece.more = 1;
		r = filterd_pass(fd, &piece, tx, a, f);
		piece.final = 1;
		piece.more = 0;
		piece.fresh = (int64_t)piece.len;
		if (a->settled > piece.settled)
			piece.settled = a->settled;
	}
	if (r == 0)
		r = filterd_pass(fd, &piece, tx, a, f);
	text_set_judged(tx, piece.offset + (int64_t)piece.len,
	    a->settled < 0 ? 0 : piece.offset + a->settled);
	text_trim(fd->texts, tx);
	if (a->settled >= 0) {
		a->settled += piece.shift;
		a->is_settled = 1;
	}
	return (r);
}

/* Read a check. */
static int
filterd_read_check(json_t *msg, struct check *c, struct fault *f)
{
	int	 r;

	if ((r = fields_read(msg, filterd_check_fields,
	    nitems(filterd_check_fields), c, f)) != 0)
		return (r);
	if (vocabulary_find(vocabulary_directions, c->direction) == -1)
		return (vocabulary_fault(f, "bad_field", "direction",
		    vocabulary_directions, c->direction));
	c->len = strlen(c->text);
	c->context_len = strlen(c->context);
	if ((size_t)c->fresh > c->len ||
	    (c->text[c->fresh] & 0xc0) == 0x80)
		return (fault_set(f, "bad_field", "fresh", "fresh: expected "
		    "the start of a character of text, 0 to %zu", c->len));
	if (c->settled > c->fresh ||
	    (c->text[c->settled] & 0xc0) == 0x80)
		return (fault_set(f, "bad_field", "settled", "settled: "
		    "expected the start of a character of text, 0 to %lld",
		    (long long)c->fresh));
	if (c->now == 0)
		c->now = clock_monotonic();
	return (0);
}

/* Find or make the text of a check. Returns 0 and *out, or CHAT_EFORMAT or
 * CHAT_EUNSUPPORTED with *f filled. */
static int
filterd_text(struct filterd *fd, const struct check *c, struct text **out,
    struct fault *f)
{
	int64_t	 judged = c->offset + c->fresh;

	*out = c->text_id > 0 ? texts_find(fd->texts, c->text_id) : NULL;
	if (*out == NULL && c->text_id > 0 && judged > 0)
		return (fault_set(f, "bad_field", "text_id", "text_id: text "
		    "%lld begins with %lld bytes judged before, expected 0",
		    (long long)c->text_id, (long long)judged));
	if (*out != NULL && judged != text_judged(*out))
		return (fault_set(f, "bad_field", "fresh", "fresh: %lld bytes "
		    "of text %lld are judged, not %lld",
		    (long long)text_judged(*out), (long long)c->text_id,
		    (long long)judged));
	if (*out == NULL)
		*out = text_new(fd->texts, c->text_id, judged,
		    fd->ncategories);
	if (*out != NULL)
		return (0);
	fault_set(f, "filter_unavailable", NULL, "more than %d texts at a "
	    "time", FILTER_TEXTS_MAX);
	return (CHAT_EUNSUPPORTED);
}

/* The time that each plugin took for a text, if it was called. */
static json_t *
filterd_took(const struct filterd *fd, struct text *tx)
{
	json_t	*o = json_object();
	size_t	 i;

	for (i = 0; i < fd->n; i++) {
		if (text_plugin(tx, i)->ns > 0)
			msg_set_int(o, host_name(fd->hosts[i]),
			    text_plugin(tx, i)->ns);
	}
	return (o);
}

/* Judge one piece. Returns CHAT_EPROTOCOL if a plugin broke the rules. */
static int
filterd_check(struct filterd *fd, int64_t id, json_t *msg, struct fault *f)
{
	struct check	 c = { .context = "", .final = 1 };
	struct answer	 a;
	struct text	*tx;
	json_t		*done;
	int		 r;

	if ((r = filterd_read_check(msg, &c, f)) != 0 ||
	    (r = filterd_text(fd, &c, &tx, f)) != 0)
		return (r);
	filterd_answer_init(&a);
	r = filterd_judge(fd, &c, tx, &a, f);
	if (r == 0) {
		done = msg_event("done", id);
		msg_set(done, "findings", json_incref(a.findings));
		if (json_array_size(a.lowered) > 0)
			msg_set(done, "lowered", json_incref(a.lowered));
		if (c.final || c.text_id == 0)
			msg_set(done, "ns", filterd_took(fd, tx));
		if (a.is_settled)
			msg_set_int(done, "settled", a.settled);
		chan_send(fd->chan, done);
	}
	if (r != 0 || c.final || c.text_id == 0)
		filterd_end(fd, tx);
	filterd_answer_clear(&a);
	return (r);
}

/* A text will not be continued. */
static int
filterd_end_text(struct filterd *fd, int64_t id, json_t *msg,
    struct fault *f)
{
	struct check	 c = { .text_id = 0 };
	int		 r;

	if ((r = fields_read(msg, filterd_end_fields,
	    nitems(filterd_end_fields), &c, f)) != 0)
		return (r);
	filterd_end(fd, texts_find(fd->texts, c.text_id));
	chan_send(fd->chan, msg_event("done", id));
	return (0);
}

/* Send what the plugins save. */
static int
filterd_save(struct filterd *fd, int64_t id, struct fault *f)
{
	json_t	*done, *saved = json_object();
	char	*hex;
	size_t	 i;
	int	 r = 0;

	for (i = 0; r == 0 && i < fd->n; i++) {
		r = host_save(fd->hosts[i], &hex, f);
		if (r == 0 && hex != NULL)
			msg_set_string(saved, host_name(fd->hosts[i]), hex);
		free(hex);
	}
	if (r != 0) {
		json_decref(saved);
		return (r);
	}
	done = msg_event("done", id);
	msg_set(done, "saved", saved);
	chan_send(fd->chan, done);
	return (0);
}

/* One request after init. */
static int
filterd_request(struct filterd *fd, json_t *msg, struct fault *f)
{
	const char	*op = msg_string(msg, "op");
	int64_t		 id = msg_int(msg, "id", -1);

	if (id < 0)
		return (fault_set(f, "bad_field", "id",
		    "id: expected an integer, 0 or more"));
	if (op != NULL && strcmp(op, "check") == 0)
		return (filterd_check(fd, id, msg, f));
	if (op != NULL && strcmp(op, "end") == 0)
		return (filterd_end_text(fd, id, msg, f));
	if (op == NULL || (strcmp(op, "ping") != 0 &&
	    strcmp(op, "save") != 0))
		return (fault_set(f, "bad_field", "op",
		    "op: expected \"check\", \"end\", \"save\" or \"ping\""));
	if (fields_read(msg, NULL, 0, NULL, f) != 0)
		return (CHAT_EFORMAT);
	if (strcmp(op, "save") == 0)
		return (filterd_save(fd, id, f));
	chan_send(fd->chan, msg_event("done", id));
	return (0);
}

/* One message. Returns 0, or an error that ends the process. */
static int
filterd_message(struct filterd *fd, json_t *msg)
{
	struct fault	 f = { .code = "bad_field" };
	const char	*op = msg_string(msg, "op");
	json_t		*error;
	int		 r;

	fd->blamed = NULL;
	if (fd->ready)
		r = filterd_request(fd, msg, &f);
	else if (op == NULL || strcmp(op, "init") != 0)
		r = fault_set(&f, "bad_field", "op",
		    "op: \"init\" comes first");
	else
		r = filterd_init(fd, msg, &f);
	if (r == 0)
		return (0);
	error = msg_error(msg_int(msg, "id", -1), &f);
	msg_set_string(error, "plugin", fd->blamed);
	chan_send(fd->chan, error);
	if (fd->ready && r != CHAT_EPROTOCOL)
		return (0);
	if (fd->ready)		/* else chatd reports it */
		log_warnx("%s", f.message);
	return (r);
}

/* Serve one channel until its end. */
int
filterd_run(int in, int out)
{
	struct filterd	 fd = { .texts = texts_new() };
	struct fault	 f;
	struct text	*tx;
	json_t		*msg;
	size_t		 i;
	int		 r;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	tzset();		/* the log's clock, while files can be read */
	crash_watch();
	fd.chan = chan_new(in, out, HELPER_LINE_MAX);
	while ((r = chan_next(fd.chan, &msg, &f)) != CHAT_ECLOSED) {
		if (r == CHAT_EFORMAT) {
			chan_send(fd.chan, msg_error(-1, &f));
			r = fd.ready ? 0 : r;
		} else if (r == 1) {
			r = filterd_message(&fd, msg);
			json_decref(msg);
		} else if (r == 0)
			chan_wait(fd.chan, -1);
		if (r < 0 || chan_flush(fd.chan) < 0)
			break;
	}
	chan_drain(fd.chan);
	while ((tx = texts_any(fd.texts)) != NULL)
		filterd_end(&fd, tx);
	texts_free(fd.texts);
	for (i = 0; i < fd.n; i++)
		host_free(fd.hosts[i]);
	free(fd.categories);
	chan_free(fd.chan);
	return (r == CHAT_ECLOSED ? 0 : 1);
}
