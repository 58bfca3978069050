/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import: store a row of an export, of this or another site.
 *
 * A row becomes turns with replies, in the order in which they were written.
 * What is known or was deleted here is left out, by the names of conversations
 * and the keys of replies, so a row can be imported twice.  A row from
 * elsewhere has no names; they are made from its text.
 *
 * A tree is a conversation.  A row of "messages" or "oig" is a part of one, and
 * others may overlap it, or have another reply at the same place.  So each row
 * becomes a conversation of its own, "NAME#KEY", where KEY is that of its last
 * reply; exports write the NAME.
 *
 * An imported user has a uid above all uids, made from the name, and the name
 * stays.  store_import_rows.c reads the formats.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json.h"
#include "protocol.h"
#include "pseudonym.h"
#include "sha256.h"
#include "store_import.h"
#include "xmalloc.h"

#define IMPORT_DEPTH	1000	/* levels of JSON in a row */
#define IMPORT_VALUES	200000	/* values in a row */

static int	import_parse(const char *, json_t **, struct fault *);
static int	import_conversation(struct store *, struct import *,
		    struct fault *);
static int	import_known(struct store *, const char *, const char *,
		    int *);
static int	import_model(struct store *, const struct import_reply *,
		    int64_t *);
static int	import_exchange(struct store *, struct import *,
		    const struct import_turn *, int64_t, int64_t *);
static int	import_look(struct store *, struct import *);
static int	import_place(struct store *, struct import *);
static int	import_updated(struct store *, const struct import *);
static int	import_reply(struct store *, struct import *,
		    const struct import_reply *);
static int	import_rating(struct store *, struct import *, int64_t,
		    const struct import_rating *);

/* A name made from a text: a UUID if form is 1, else 32 digits. */
char *
import_name(const char *text, size_t n, int form)
{
	struct sha256	 s;
	char		 h[SHA256_HEX];

	sha256_init(&s);
	sha256_add(&s, text, n);
	sha256_end(&s, h);
	if (!form)
		return (xasprintf("%.32s", h));
	h[12] = '8';		/* a version that is the maker's own */
	h[16] = 'a';
	return (xasprintf("%.8s-%.4s-%.4s-%.4s-%.12s", h, h + 8, h + 12,
	    h + 16, h + 20));
}

/* The uid of an imported user. */
static int64_t
import_uid(const char *name)
{
	char	*h = import_name(name, strlen(name), 0);
	int64_t	 v;

	h[10] = '\0';
	v = PSEUDONYM_IMPORTED + strtoll(h, NULL, 16);
	free(h);
	return (v);
}

/* Is there such a name in a table, or was it deleted? *known: 1 or 2. */
static int
import_known(struct store *st, const char *sql, const char *name, int *known)
{
	int64_t	n = 0;
	int	r;

	*known = 0;
	if ((r = sql_int(st, &n, sql, "s", name)) < 0)
		return (r);
	if (r == 1) {
		*known = 1;
		return (0);
	}
	if ((r = sql_int(st, &n, "SELECT 1 FROM tombstone WHERE name = ?", "s",
	    name)) < 0)
		return (r);
	*known = r == 1 ? 2 : 0;
	return (0);
}

/* Find or create the conversation. */
static int
import_conversation(struct store *st, struct import *im, struct fault *f)
{
	sqlite3_stmt	*q;
	char		*title;
	int64_t		 uid;
	int		 r;

	if ((r = sql_int(st, &im->id, "SELECT id FROM conversation "
	    "WHERE uuid = ?", "s", im->conversation)) < 0)
		return (r);
	if (r == 0) {
		title = store_title(im->turn[0].prompt);
		r = sql_run(st, "INSERT INTO conversation (uid, title, "
		    "created, updated, uuid, name) VALUES (?1, ?2, ?3, ?3, "
		    "?4, ?5)", "isiss", im->uid, title, im->turn[0].created,
		    im->conversation, im->user);
		free(title);
		im->id = sqlite3_last_insert_rowid(st->db);
		return (r);
	}
	if ((r = sql_open(st, &q, "SELECT id, uid FROM conversation "
	    "WHERE uuid = ?", "s", im->conversation)) != 0 ||
	    (r = sql_step(st, q)) != 1)
		return (r);
	im->id = sqlite3_column_int64(q, 0);
	uid = sqlite3_column_int64(q, 1);
	sql_end(q);
	im->native = !pseudonym_is_imported(uid);
	if (!im->native && uid != im->uid)
		return (fault_set(f, "bad_field", "row", "conversation %.60s "
		    "is of another user", im->conversation));
	return (0);
}

/* Find or create the row of the model. */
static int
import_model(struct store *st, const struct import_reply *x, int64_t *id)
{
	int	r;

	if ((r = sql_int(st, id, "SELECT id FROM model WHERE digest = ? AND "
	    "precision = ? AND name = ?", "sss", x->digest, x->precision,
	    x->model)) != 0)
		return (r == 1 ? 0 : r);
	if ((r = sql_run(st, "INSERT INTO model (digest, precision, name, "
	    "path) VALUES (?, ?, ?, '')", "sss", x->digest, x->precision,
	    x->model)) != 0)
		return (r);
	*id = sqlite3_last_insert_rowid(st->db);
	return (0);
}

/* Find or create the row of the adapter; *id stays 0 without one. */
static int
import_adapter(struct store *st, const struct import_reply *x, int64_t *id)
{
	struct fault	 f;
	json_t		*o;
	int		 r;

	if (x->adapter == NULL)
		return (0);
	o = json_object();
	msg_set_string(o, "name", x->adapter);
	msg_set_string(o, "digest", x->adapter_digest);
	r = store_adapter(st, o, id, &f);
	json_decref(o);
	return (r);
}

/* Find the exchange of a turn by its place and its prompt, or create it. */
static int
import_exchange(struct store *st, struct import *im,
    const struct import_turn *t, int64_t after, int64_t *id)
{
	int	r;

	if ((r = sql_int(st, id, "SELECT min(id) FROM exchange "
	    "WHERE conversation = ?1 AND id > ?2", "ii", im->id, after)) < 0)
		return (r);
	if (r == 1) {
		int64_t	same = 0;

		if ((r = sql_int(st, &same, "SELECT 1 FROM exchange WHERE "
		    "id = ?1 AND prompt = ?2", "is", *id, t->prompt)) != 0)
			return (r == 1 ? 0 : r);
		return (CHAT_EFORMAT);
	}
	if ((r = sql_run(st, "INSERT INTO exchange (conversation, uid, kind, "
	    "prompt, preprompt, created, name) VALUES (?, ?, 'say', ?, ?, ?, "
	    "?)", "iissis", im->id, im->uid, t->prompt, t->preprompt,
	    t->created, im->user)) != 0)
		return (r);
	*id = sqlite3_last_insert_rowid(st->db);
	return (account_grow(st, *id, im->uid, STORE_ROW +
	    (int64_t)strlen(t->prompt) + (t->preprompt != NULL ?
	    (int64_t)strlen(t->preprompt) : 0)));
}

/* Store a rating. A later one of the same user counts instead of it. */
static int
import_rating(struct store *st, struct import *im, int64_t reply,
    const struct import_rating *a)
{
	char	*reasons = json_dumps(a->reasons, JSON_COMPACT);
	int	 r;

	r = sql_run(st, "INSERT INTO rating (reply, uid, name, thumb, "
	    "reasons, ideal, comment, created, supersedes) VALUES (?1, ?2, ?3, "
	    "?4, ?5, ?6, ?7, ?8, (SELECT max(id) FROM rating WHERE "
	    "reply = ?1 AND uid = ?2))", "iisisssi", reply,
	    import_uid(a->user), a->user, (int64_t)a->thumb, reasons,
	    a->ideal, a->comment, a->created);
	if (r == 0)
		r = account_grow(st, im->exchange, im->uid, STORE_ROW +
		    (int64_t)strlen(reasons) + (a->ideal != NULL ?
		    (int64_t)strlen(a->ideal) : 0) + (a->comment != NULL ?
		    (int64_t)strlen(a->comment) : 0));
	free(reasons);
	return (r);
}

/* Store a reply to im->exchange, unless it is known. */
static int
import_reply(struct store *st, struct import *im, const struct import_reply *x)
{
	char	*params;
	int64_t	 model = 0, adapter = 0, reply;
	size_t	 i;
	int	 r, known;

	if ((r = import_known(st, "SELECT id FROM reply WHERE key = ?", x->key,
	    &known)) != 0 || known != 0) {
		im->known += known != 0;
		return (r);
	}
	if ((r = import_model(st, x, &model)) != 0 ||
	    (r = import_adapter(st, x, &adapter)) != 0)
		return (r);
	params = json_dumps(x->params, JSON_COMPACT|JSON_REAL_PRECISION(15));
	r = sql_run(st, "INSERT INTO reply (exchange, model, key, state, "
	    "stop, text, params, seed, prompt_tokens, output_tokens, dropped, "
	    "created, finished, adapter) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, "
	    "?8, ?9, ?10, ?11, ?12, ?12, nullif(?13, 0))", "iisssssiiiiii",
	    im->exchange, model, x->key, x->state, x->stop, x->text, params,
	    x->seed, x->prompt_tokens, x->output_tokens, x->dropped,
	    x->created, adapter);
	reply = sqlite3_last_insert_rowid(st->db);
	if (r == 0)
		r = account_grow(st, im->exchange, im->uid, STORE_ROW +
		    (int64_t)(strlen(x->text) + strlen(params)));
	free(params);
	for (i = 0; r == 0 && i < x->nratings; i++)
		r = import_rating(st, im, reply, &x->rating[i]);
	im->stored++;
	return (r);
}

/* Was the conversation, or the last reply of a row, deleted here? Is that reply
 * known? */
static int
import_look(struct store *st, struct import *im)
{
	const struct import_turn	*t = &im->turn[im->nturns - 1];
	char				*name = xstrndup(im->conversation,
					    strcspn(im->conversation, "#"));
	int				 r, known = 0;

	r = import_known(st, "SELECT 1 WHERE ? IS NULL", name, &known);
	im->gone = known == 2;
	if (r == 0 && !im->gone && !im->whole) {
		r = import_known(st, "SELECT id FROM reply WHERE key = ?",
		    t->reply[0].key, &known);
		im->gone = known == 2;
		im->native = known == 1;
	}
	free(name);
	return (r);
}

/* In a tree, find the exchange of the reply before it. */
static int
import_place(struct store *st, struct import *im)
{
	int	r;

	if (im->continues == NULL)
		return (0);
	r = sql_int(st, &im->after, "SELECT exchange FROM reply "
	    "WHERE key = ?", "s", im->continues);
	return (r < 0 ? r : 0);
}

/* Note when something was last said, for the retention: now, if the row does
 * not say when. */
static int
import_updated(struct store *st, const struct import *im)
{
	int64_t	last = 0;
	size_t	i;

	if (im->stored == 0)
		return (0);
	for (i = 0; i < im->nturns; i++) {
		if (im->turn[i].created > last)
			last = im->turn[i].created;
	}
	return (sql_run(st, "UPDATE conversation SET updated = "
	    "max(updated, ?2) WHERE id = ?1", "ii", im->id,
	    last != 0 ? last : clock_wall()));
}

/* Store what a row has. */
static int
import_store(struct store *st, struct import *im, struct fault *f)
{
	const struct import_turn	*t;
	size_t				 i, k;
	int64_t				 after, *exchange;
	int				 r;

	im->uid = import_uid(im->user);
	if ((r = import_look(st, im)) != 0 || im->gone)
		return (r);
	if (!im->native && ((r = import_conversation(st, im, f)) != 0 ||
	    (r = import_place(st, im)) != 0))
		return (r);
	after = im->after;
	for (i = 0; im->native && i < im->nturns; i++)	/* it is all here */
		im->known += (int64_t)im->turn[i].nreplies;
	if (im->native)
		return (0);
	exchange = xcalloc(im->nturns, sizeof *exchange);
	for (i = 0; r == 0 && i < im->nturns; i++) {
		t = &im->turn[i];
		if ((r = import_exchange(st, im, t, after,
		    &exchange[i])) == CHAT_EFORMAT)
			r = fault_set(f, "bad_field", "row", "turn %zu has "
			    "another prompt than conversation %.60s, which is "
			    "stored", i + 1, im->conversation);
		after = im->exchange = exchange[i];
		for (k = 0; r == 0 && k < (t->split != 0 ? t->split :
		    t->nreplies); k++)
			r = import_reply(st, im, &t->reply[k]);
	}
	/* Replies that came after the next turn, from the last turn back. */
	for (i = im->nturns; r == 0 && i > 0; i--) {
		t = &im->turn[i - 1];
		im->exchange = exchange[i - 1];
		for (k = t->split; r == 0 && t->split != 0 && k < t->nreplies;
		    k++)
			r = import_reply(st, im, &t->reply[k]);
	}
	free(exchange);
	return (r == 0 ? import_updated(st, im) : r);
}

/* Parse a row. A tree is deeper than messages may be. */
static int
import_parse(const char *text, json_t **out, struct fault *f)
{
	struct json_size	size;
	json_error_t		e;

	json_measure(text, strlen(text), &size);
	if (size.depth > IMPORT_DEPTH || size.values > IMPORT_VALUES)
		return (fault_set(f, "bad_field", "row", "row: at most %d "
		    "levels and %d values are allowed", IMPORT_DEPTH,
		    IMPORT_VALUES));
	*out = json_loads(text, JSON_REJECT_DUPLICATES, &e);
	if (*out == NULL || !json_is_object(*out))
		return (fault_set(f, "bad_field", "row", "row: %s", *out ==
		    NULL ? e.text : "not an object"));
	return (0);
}

/* import */
int
store_import(struct store *st, struct store_request *req)
{
	struct {
		const char	*row;
	}		 a = { NULL };
	const struct field fields[] = {
		{ "row", FIELD_STRING, FIELD_REQUIRED, 0, 0, 0 },
	};
	struct import	 im = { 0 };
	json_t		*row = NULL;
	int		 r;

	if ((r = fields_read(req->msg, fields, nitems(fields), &a,
	    &req->fault)) != 0)
		return (r);
	if ((r = import_parse(a.row, &row, &req->fault)) == 0 &&
	    (r = import_read(row, &im, &req->fault)) == 0)
		r = import_store(st, &im, &req->fault);
	if (r == 0) {
		msg_set_int(req->done, "stored", im.stored);
		msg_set_int(req->done, "known", im.known);
		msg_set_bool(req->done, "deleted", im.gone);
	}
	import_clear(&im);
	json_decref(row);
	return (r);
}
