/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dialogues for the formats of training data.  A conversation is held in memory
 * without its texts, which are read when they are written.
 *
 * A reply was written after certain turns: of each earlier exchange the newest
 * reply at that time, unless its reader saw nothing of it; as many turns as
 * fit, without those that the model did not read.  These, with the pre-prompt
 * of the exchange, are the reply's context.  So a row never says that a reply
 * answers a text which it has not seen.
 */
#include "export.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "turntext.h"
#include "xmalloc.h"

#define EXPORT_NUMBER	999999999999999LL	/* no account is above it */

/* SQL: the conversations or raw prompts of an export. */
#define DIALOGUE_WHOSE(a) \
	"(" a ".uid = ?2 OR ?2 = -1) AND (?3 IS NULL OR " a ".name = ?3 " \
	"OR " a ".uid = ?4) "
#define DIALOGUE_CONSENT(value) \
	"AND (?2 <> -1 OR CASE WHEN ?5 THEN " value " IS 1 ELSE " value \
	" IS NOT 0 END) "

/* SQL: the replies of a conversation or of an exchange, and its ratings. */
#define DIALOGUE_REPLIES(where) \
	"SELECT r.id, e.id, length(CAST(e.prompt AS BLOB)), e.preprompt, " \
	"length(CAST(r.text AS BLOB)), r.state, r.stop, r.dropped, " \
	"r.prompt_tokens + r.output_tokens, (?3 = 0 OR r.created >= ?3) AND " \
	"(?4 = 0 OR r.created < ?4) AND (?5 IS NULL OR m.name = ?5 OR " \
	"m.digest = ?5) AND (?6 IS NULL OR EXISTS (SELECT 1 FROM verdict " \
	"WHERE reply = r.id AND category = ?6 AND action <> 'allow')) AND " \
	"(?7 IS NULL OR EXISTS (SELECT 1 FROM rating a, json_each(a.reasons) " \
	"j WHERE a.reply = r.id AND j.value = ?7 AND " \
	EXPORT_OPINION("a", "?8", "?9") ")), e.topic FROM exchange e " \
	"JOIN reply r ON r.exchange = e.id " \
	"JOIN model m ON m.id = r.model WHERE " where " AND r.id <= ?2 " \
	"ORDER BY e.id, r.id"
#define DIALOGUE_RATINGS(where) \
	"SELECT a.reply, a.id, a.thumb, " EXPORT_IDEAL("a", "r") \
	", a.reasons, a.uid = e.uid FROM exchange e " \
	"JOIN reply r ON r.exchange = e.id JOIN rating a ON a.reply = r.id " \
	"WHERE " where " AND " EXPORT_OPINION("a", "?2", "?3") \
	" ORDER BY e.id, r.id, a.id"

static uint64_t	export_hash(const char *);
static void	export_dialogue_reply(struct export_dialogue *,
		    sqlite3_stmt *);
static int	export_dialogue_replies(struct export *,
		    struct export_dialogue *, int64_t);
static void	export_dialogue_rate(struct export *, struct export_reply *,
		    sqlite3_stmt *, unsigned *);
static int	export_dialogue_ratings(struct export *,
		    struct export_dialogue *, int64_t);
static int	export_dialogue_cut(const struct export *,
		    const struct export_reply *);
static int	export_liked(const struct export *,
		    const struct export_reply *);
static void	export_dialogue_count(struct export *,
		    const struct export_dialogue *);
static int	export_dialogue_load(struct export *, sqlite3_stmt *, int,
		    export_fn *);

/* Hash a text, NULL as 0. */
static uint64_t
export_hash(const char *s)
{
	uint64_t	h = 14695981039346656037u;

	if (s == NULL || *s == '\0')
		return (0);
	for (; *s != '\0'; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211u;
	return (h);
}

/* Add the reply of row q, and its exchange if it is the first one of it. */
static void
export_dialogue_reply(struct export_dialogue *d, sqlite3_stmt *q)
{
	const char		*state = (const char *)sqlite3_column_text(q,
				    5);
	const char		*stop = (const char *)sqlite3_column_text(q,
				    6);
	int64_t			 exchange = sqlite3_column_int64(q, 1);
	struct export_turn	*t;
	struct export_reply	*r;
	int			 half;

	if (d->nturns == 0 || d->turn[d->nturns - 1].id != exchange) {
		d->turn = xreallocarray(d->turn, d->nturns + 1,
		    sizeof *d->turn);
		t = &d->turn[d->nturns++];
		*t = (struct export_turn){ .id = exchange,
		    .first = d->nreplies };
		t->bytes = (size_t)sqlite3_column_int64(q, 2);
		t->preprompt = export_hash((const char *)
		    sqlite3_column_text(q, 3));
		t->topic = sqlite3_column_int(q, 10);
	}
	t = &d->turn[d->nturns - 1];
	t->n++;
	d->reply = xreallocarray(d->reply, d->nreplies + 1, sizeof *d->reply);
	r = &d->reply[d->nreplies++];
	*r = (struct export_reply){ .id = sqlite3_column_int64(q, 0),
	    .turn = d->nturns - 1 };
	r->bytes = (size_t)sqlite3_column_int64(q, 4);
	half = strcmp(state, "cancelled") == 0 ||
	    strcmp(state, "interrupted") == 0;
	r->done = strcmp(state, "done") == 0 && r->bytes > 0;
	r->shown = (r->done || half) && r->bytes > 0;
	r->cut = half || (stop != NULL && (strcmp(stop, "length") == 0 ||
	    strcmp(stop, "context") == 0));
	r->running = strcmp(state, "running") == 0;
	r->dropped = sqlite3_column_int64(q, 7);
	r->tokens = sqlite3_column_int64(q, 8);
	r->wanted = (unsigned char)sqlite3_column_int(q, 9);
}

/* Read the replies of conversation or raw prompt id. */
static int
export_dialogue_replies(struct export *ex, struct export_dialogue *d,
    int64_t id)
{
	const struct export_options	*o = ex->opt;
	sqlite3_stmt			*q;
	int				 r;

	r = d->name != NULL ? sql_open(&ex->st, &q,
	    DIALOGUE_REPLIES("e.conversation = ?1"), "iiiisssii", id,
	    ex->reply, o->since, o->until, o->model, o->category, o->reason,
	    ex->rated, ex->uid) :
	    sql_open(&ex->st, &q, DIALOGUE_REPLIES("e.id = ?1"), "iiiisssii",
	    id, ex->reply, o->since, o->until, o->model, o->category,
	    o->reason, ex->rated, ex->uid);
	if (r != 0)
		return (r);
	while ((r = sql_step(&ex->st, q)) == 1)
		export_dialogue_reply(d, q);
	return (r);
}

/* Take the rating of row q. said has what was said of the reply so far:
 * 1 good, 2 bad, 4 the ideal text is the owner's. */
static void
export_dialogue_rate(struct export *ex, struct export_reply *r,
    sqlite3_stmt *q, unsigned *said)
{
	const char	*reasons = (const char *)sqlite3_column_text(q, 4);
	int		 thumb = sqlite3_column_int(q, 2), i;
	int		 own = sqlite3_column_int(q, 5);

	r->rated = 1;
	*said |= thumb > 0 ? 1 : thumb < 0 ? 2 : 0;
	r->thumb = (*said & 3) == 1 ? 1 : (*said & 3) == 2 ? -1 : 0;
	if (sqlite3_column_int(q, 3) && (own || (*said & 4) == 0)) {
		r->ideal = sqlite3_column_int64(q, 1);
		*said |= own ? 4 : 0;
	}
	for (i = 0; r->wanted && vocabulary_reasons[i] != NULL; i++)
		ex->counts.reasons[i] += strstr(reasons,
		    vocabulary_reasons[i]) != NULL;
}

/* Read the ratings. They come in the order of the replies. */
static int
export_dialogue_ratings(struct export *ex, struct export_dialogue *d,
    int64_t id)
{
	sqlite3_stmt	*q;
	unsigned	 said = 0;
	size_t		 i = 0;
	int		 r;

	r = d->name != NULL ? sql_open(&ex->st, &q,
	    DIALOGUE_RATINGS("e.conversation = ?1"), "iii", id, ex->rated,
	    ex->uid) :
	    sql_open(&ex->st, &q, DIALOGUE_RATINGS("e.id = ?1"), "iii", id,
	    ex->rated, ex->uid);
	if (r != 0)
		return (r);
	while ((r = sql_step(&ex->st, q)) == 1) {
		for (; i < d->nreplies && d->reply[i].id !=
		    sqlite3_column_int64(q, 0); i++)
			said = 0;
		if (i < d->nreplies)
			export_dialogue_rate(ex, &d->reply[i], q, &said);
	}
	return (r);
}

/* Is a row missing only because the reply was cut? */
static int
export_dialogue_cut(const struct export *ex, const struct export_reply *r)
{
	const char	*format = ex->opt->format;

	if (!r->cut || !r->shown || r->ideal != 0)
		return (0);
	if (strcmp(format, "oasst") == 0 || strcmp(format, "argilla") == 0 ||
	    strcmp(format, "label-studio") == 0)
		return (0);	/* they have it */
	if (strcmp(format, "kto") == 0)
		return (r->thumb > 0);
	if (strcmp(format, "preference") == 0 ||
	    strcmp(format, "openai-dpo") == 0)
		return (r->thumb < 0);
	return (export_liked(ex, r));
}

/* Count it for the manifest. */
static void
export_dialogue_count(struct export *ex, const struct export_dialogue *d)
{
	struct export_counts		*c = &ex->counts;
	const struct export_reply	*r;
	size_t				 i;

	if (d->name != NULL)
		c->conversations++;
	else
		c->raw++;
	for (i = 0; i < d->nreplies; i++) {
		r = &d->reply[i];
		if (!r->wanted)
			continue;
		c->unrated += !r->rated;
		c->good += r->thumb > 0;
		c->bad += r->thumb < 0;
		c->neutral += r->rated && r->thumb == 0;
		c->ideals += r->ideal != 0;
		c->lacks[LACK_RUNNING] += r->running;
		c->lacks[LACK_UNSEEN] += !r->running && !r->shown &&
		    r->ideal == 0 && strcmp(ex->opt->format, "oasst") != 0;
		c->lacks[LACK_CUT] += export_dialogue_cut(ex, r);
	}
}

/* Load the dialogue of row q, and pass it to fn. */
static int
export_dialogue_load(struct export *ex, sqlite3_stmt *q, int raw,
    export_fn *fn)
{
	struct export_dialogue	 d = { 0 };
	int64_t			 id = sqlite3_column_int64(q, 0);
	const char		*name = (const char *)sqlite3_column_text(q,
				    1);
	int			 r = 0;

	if (name == NULL)
		name = "";
	d.split = export_split(ex, name);
	if (ex->opt->split != NULL && strcmp(ex->opt->split, d.split) != 0)
		return (0);
	if (!raw) {
		d.id = id;	/* an imported row has NAME#KEY */
		d.name = xstrndup(name, strcspn(name, "#"));
	}
	d.user = pseudonym(ex->key, sqlite3_column_int64(q, 2),
	    (const char *)sqlite3_column_text(q, 3));
	if ((r = export_dialogue_replies(ex, &d, id)) == 0 &&
	    (r = export_dialogue_ratings(ex, &d, id)) == 0 &&
	    d.nreplies > 0) {
		export_dialogue_count(ex, &d);
		r = fn(ex, &d);
	}
	free(d.name);
	free(d.user);
	free(d.turn);
	free(d.reply);
	return (r);
}

/* Call fn for the dialogues of the piece. */
int
export_dialogues(struct export *ex, export_fn *fn, int raw)
{
	const struct export_options	*o = ex->opt;
	sqlite3_stmt			*q;
	int				 r;

	r = !ex->raw ? sql_open(&ex->st, &q, "SELECT c.id, c.uuid, c.uid, "
	    "c.name FROM conversation c LEFT JOIN account a ON a.uid = c.uid "
	    "WHERE c.id > ?1 AND " DIALOGUE_WHOSE("c")
	    DIALOGUE_CONSENT("ifnull(c.consent, a.consent)")
	    "ORDER BY c.id", "iisii", ex->last, ex->uid, o->user,
	    export_number(o->user), (int64_t)o->consent) :
	    sql_open(&ex->st, &q, "SELECT e.id, (SELECT key FROM reply "
	    "WHERE exchange = e.id ORDER BY id LIMIT 1), e.uid, e.name "
	    "FROM exchange e LEFT JOIN account a ON a.uid = e.uid "
	    "WHERE e.conversation IS NULL AND e.id > ?1 AND "
	    DIALOGUE_WHOSE("e") DIALOGUE_CONSENT("a.consent")
	    "ORDER BY e.id", "iisii", ex->last, ex->uid, o->user,
	    export_number(o->user), (int64_t)o->consent);
	if (r != 0)
		return (r);
	while ((r = sql_step(&ex->st, q)) == 1 && !export_full(ex)) {
		ex->last = sqlite3_column_int64(q, 0);
		if ((r = export_dialogue_load(ex, q, ex->raw, fn)) != 0) {
			sql_end(q);
			return (r);
		}
	}
	if (r == 1)
		sql_end(q);
	if (r != 0 || !raw || ex->raw)
		return (r);
	ex->raw = 1;		/* the raw prompts come next */
	ex->last = 0;
	return (1);
}

/* The uid that a text names, or -1. */
int64_t
export_number(const char *user)
{
	char		*end;
	long long	 v;

	if (user == NULL || *user < '0' || *user > '9')
		return (-1);
	v = strtoll(user, &end, 10);
	return (*end != '\0' || v > EXPORT_NUMBER ? -1 : v);
}

/* What the model had read. This follows store_begin_history and the engine's
 * dialogue_first. */
size_t
export_context(const struct export_dialogue *d, size_t r, size_t **out)
{
	const struct export_reply	*this = &d->reply[r], *old;
	const struct export_turn	*t = &d->turn[this->turn];
	size_t				*list, n = 0, i, k, drop;
	int64_t				 left;

	left = TEXT_BYTES_MAX - (int64_t)t->bytes;
	if (left > HISTORY_BYTES_MAX)
		left = HISTORY_BYTES_MAX;
	list = xcalloc(this->turn + 1, sizeof *list);
	for (i = this->turn; i > 0 && !d->turn[i].topic; i--) {
		t = &d->turn[i - 1];
		for (k = t->n; k > 0 && d->reply[t->first + k - 1].id >
		    this->id; k--)
			;
		if (k == 0 || !d->reply[t->first + k - 1].shown)
			continue;
		old = &d->reply[t->first + k - 1];
		left -= (int64_t)(t->bytes + old->bytes);
		if (left < 0)
			break;
		list[n++] = t->first + k - 1;
	}
	drop = (size_t)(this->dropped + 1) / 2;
	n = drop < n ? n - drop : 0;	/* the oldest ones are at the end */
	for (i = 0; i < n / 2; i++) {
		k = list[i];
		list[i] = list[n - 1 - i];
		list[n - 1 - i] = k;
	}
	*out = list;
	return (n);
}

/* Is its rating one that the export is to have? */
static int
export_liked(const struct export *ex, const struct export_reply *r)
{
	switch (ex->rating) {
	case RATING_VOUCHED:
	case RATING_GOOD:
		return (r->thumb > 0);
	case RATING_NEUTRAL:
		return (r->rated && r->thumb == 0);
	case RATING_ANY:
		return (r->rated && r->thumb >= 0);
	case RATING_NONE:
		return (!r->rated);
	case RATING_ALL:
		return (r->thumb >= 0);
	case RATING_BAD:
	case RATING_IDEAL:
		break;
	}
	return (0);
}

/* Is its own text one to learn from? */
int
export_clean(const struct export *ex, const struct export_reply *r)
{
	return (r->done && !r->cut && export_liked(ex, r));
}

/* Is it, or its ideal text, one to learn from? */
int
export_vouched(const struct export *ex, const struct export_reply *r)
{
	if (!r->wanted)
		return (0);
	if (r->ideal == 0)
		return (export_clean(ex, r));
	switch (ex->rating) {
	case RATING_GOOD:
		return (r->thumb > 0);
	case RATING_BAD:
		return (r->thumb < 0);
	case RATING_NEUTRAL:
		return (r->thumb == 0);
	case RATING_NONE:
		return (0);
	default:
		return (1);
	}
}

/* Does the filter "rating" choose it as a record? */
int
export_rated(const struct export *ex, const struct export_reply *r)
{
	if (!r->wanted)
		return (0);
	switch (ex->rating) {
	case RATING_VOUCHED:
		return (export_vouched(ex, r));
	case RATING_GOOD:
		return (r->thumb > 0);
	case RATING_BAD:
		return (r->thumb < 0);
	case RATING_NEUTRAL:
		return (r->rated && r->thumb == 0);
	case RATING_ANY:
		return (r->rated);
	case RATING_NONE:
		return (!r->rated);
	case RATING_IDEAL:
		return (r->ideal != 0);
	case RATING_ALL:
		break;
	}
	return (1);
}
