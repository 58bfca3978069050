/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search: exchanges whose texts have certain words, newest first; without words
 * all of them; and the replies that an operator has to review.
 *
 * The words go to the full-text index, each as a quoted string, so that nothing
 * that is typed can be a fault or an operator of its query language.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "utf8.h"
#include "vocabulary.h"
#include "xmalloc.h"

#define SEARCH_LIMIT	50	/* items, if no limit is given */
#define SEARCH_BYTES	1000	/* of a query */
#define SEARCH_WORDS	32	/* words and phrases of a query */
#define SEARCH_EXCERPT	4096	/* bytes counted for an excerpt, which takes
				 * time to make */
#define SEARCH_SPAN	20000	/* exchanges that the index looks at for one
				 * slice: a few milliseconds */
#define SEARCH_BEGIN	'\002'	/* marks in an excerpt, from SQLite */
#define SEARCH_END	'\003'

struct search_args {
	const char	*query, *review;
	char		*match;		/* owned: the query for the index */
	int64_t		 uid, before, limit;
	int64_t		 low;		/* the slice ends at this exchange */
	int		 admin, all;
	struct store_filter filter;
};

/* A query, while it is made for the index. */
struct search_query {
	FILE		*want, *not;	/* owned: words that must and must not
					 * occur */
	int		 nwant, nnot;
};

/*
 * The scans. Columns: where the next slice goes on, exchange, reply (0: the
 * newest), and whether the row is one of those that are looked for. ?1 is the
 * user, ?2 before, ?3 the query or the kind of review, ?14 whether everybody's
 * exchanges are looked at, ?15 the oldest exchange that is looked at: the index
 * could take long to find the next one that matches. The first two are two
 * statements because one with OR could not use an index.
 */
#define SEARCH_OWN \
	"SELECT e.id, e.id, 0, " STORE_FILTER " FROM exchange e " \
	"WHERE e.uid = ?1 AND e.id < ?2 ORDER BY e.id DESC"
#define SEARCH_ALL \
	"SELECT e.id, e.id, 0, " STORE_FILTER " FROM exchange e " \
	"WHERE e.id < ?2 ORDER BY e.id DESC"
#define SEARCH_MATCH \
	"SELECT s.rowid, s.rowid, 0, (?14 OR e.uid = ?1) AND " STORE_FILTER \
	" FROM search s JOIN exchange e ON e.id = s.rowid " \
	"WHERE s.search MATCH ?3 AND s.rowid < ?2 AND s.rowid >= ?15 " \
	"ORDER BY s.rowid DESC"

/*
 * What an operator has to review, each reply that this operator has not rated:
 *   unrated	nobody has rated it
 *   second	somebody has
 *   disputed	one has rated it good and another one bad
 *   flagged	the filters have found something in it or its prompt
 * A blocked reply is among the flagged ones only, and not if it is the
 * operator's own.
 */
#define SEARCH_REVIEW \
	"SELECT r.id, e.id, r.id, NOT EXISTS (SELECT 1 FROM rating " \
	"WHERE reply = r.id AND uid = ?1) AND CASE ?3 WHEN 'unrated' THEN " \
	"r.state = 'done' AND r.text <> '' AND NOT EXISTS (SELECT 1 " \
	"FROM rating WHERE reply = r.id) WHEN 'second' THEN " \
	"r.state = 'done' AND EXISTS (SELECT 1 FROM rating " \
	"WHERE reply = r.id) WHEN 'disputed' THEN r.state = 'done' AND " \
	"(SELECT min(thumb) = -1 AND max(thumb) = 1 FROM rating ra " \
	"WHERE reply = r.id AND NOT EXISTS (SELECT 1 FROM rating " \
	"WHERE supersedes = ra.id)) ELSE r.state <> 'running' AND " \
	"(r.state <> 'blocked' OR e.uid <> ?1) AND EXISTS (SELECT 1 " \
	"FROM verdict WHERE reply = r.id AND action <> 'allow') END AND " \
	STORE_FILTER " FROM reply r JOIN exchange e ON e.id = r.exchange " \
	"WHERE r.id < ?2 ORDER BY r.id DESC"

/* One item; ?1 is the exchange, ?2 the reply or 0. */
#define SEARCH_ITEM \
	"SELECT e.id, e.conversation, e.kind, e.created, e.uid, e.name, " \
	"e.prompt, r.id, r.state, m.name, a.thumb, a.reasons, " \
	"a.ideal IS NOT NULL, length(CAST(r.text AS BLOB)) " \
	"FROM exchange e LEFT JOIN reply r ON r.id = CASE ?2 WHEN 0 THEN " \
	"(SELECT max(id) FROM reply WHERE exchange = e.id) ELSE ?2 END " \
	"LEFT JOIN model m ON m.id = r.model LEFT JOIN rating a " \
	"ON a.reply = r.id AND a.uid = e.uid AND NOT EXISTS (SELECT 1 " \
	"FROM rating WHERE supersedes = a.id) WHERE e.id = ?1"

static const char *const store_search_reviews[] = { "unrated", "second",
    "disputed", "flagged", NULL };

static int	store_search_check(struct store *, struct search_args *,
		    struct fault *);
static char	*store_search_query(const char *, int, struct fault *);
static const char *store_search_word(struct search_query *, const char *);
static int	store_search_open(struct store *, struct search_args *,
		    sqlite3_stmt **);
static int	store_search_item(struct store *, const struct search_args *,
		    int64_t, int64_t, struct store_request *, int64_t *);
static int	store_search_excerpt(struct store *, const struct search_args *,
		    int64_t, json_t *);

#define A(member) offsetof(struct search_args, member)
static const struct field store_search_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "query", FIELD_STRING, FIELD_NULLABLE, 0, SEARCH_BYTES, A(query) },
	{ "review", FIELD_STRING, FIELD_NULLABLE, 0, 16, A(review) },
	{ "before", FIELD_INT, FIELD_NULLABLE, 1, JSON_INT_MAX, A(before) },
	{ "limit", FIELD_INT, 0, 1, 1000, A(limit) },
	{ "admin", FIELD_BOOL, 0, 0, 0, A(admin) },
	{ "all", FIELD_BOOL, 0, 0, 0, A(all) },
	STORE_FILTER_FIELDS(A(filter)),
};
#undef A

/* search */
int
store_search(struct store *st, struct store_request *req)
{
	struct search_args	 a = { .before = JSON_INT_MAX,
				    .limit = SEARCH_LIMIT };
	sqlite3_stmt		*q;
	json_t			*next;
	int64_t			 last = 0, n = 0, bytes = 0;
	int			 r, pass, looked = 0;

	if ((r = fields_read(req->msg, store_search_fields,
	    nitems(store_search_fields), &a, &req->fault)) != 0 ||
	    (r = store_search_check(st, &a, &req->fault)) != 0 ||
	    (r = store_search_open(st, &a, &q)) != 0)
		goto out;
	while ((r = sql_step(st, q)) == 1) {
		pass = sqlite3_column_int(q, 3);
		if ((pass && n == a.limit) || bytes >= STORE_SLICE ||
		    looked++ == STORE_LOOK)
			break;
		last = sqlite3_column_int64(q, 0);
		if (!pass)
			continue;
		if ((r = store_search_item(st, &a, sqlite3_column_int64(q, 1),
		    sqlite3_column_int64(q, 2), req, &bytes)) != 0) {
			sql_end(q);
			goto out;
		}
		n++;
	}
	if (r < 0)
		goto out;
	if (r == 1)
		sql_end(q);
	else if (a.low > 0) {		/* the index may have older ones */
		last = a.low;
		r = 1;
	}
	msg_set_bool(req->done, "more", r == 1);
	if (r == 1 && n < a.limit) {
		next = json_object();
		msg_set_int(next, "before", last);
		msg_set_int(next, "limit", a.limit - n);
		msg_set(req->done, "next", next);
	}
	r = 0;
out:
	free(a.match);
	return (r);
}

/* Check what is looked for, and make the query for the index. */
static int
store_search_check(struct store *st, struct search_args *a,
    struct fault *f)
{
	int	r;

	if ((r = store_filter_read(st, &a->filter, a->admin, f)) != 0)
		return (r);
	if ((a->all || a->review != NULL) && !a->admin)
		return (fault_set(f, "denied", a->all ? "all" : "review",
		    "%s: for operators only", a->all ? "all" : "review"));
	if (a->review != NULL && vocabulary_find(store_search_reviews,
	    a->review) == -1)
		return (vocabulary_fault(f, "bad_field", "review",
		    store_search_reviews, a->review));
	if (a->query == NULL)
		return (0);
	if (a->review != NULL)
		return (fault_set(f, "bad_field", "query",
		    "query: not together with review"));
	a->match = store_search_query(a->query, a->admin, f);
	return (a->match == NULL ? CHAT_EFORMAT : 0);
}

/* Begin the scan. */
static int
store_search_open(struct store *st, struct search_args *a, sqlite3_stmt **q)
{
	int64_t	newest = 0;
	int	r;

	if (a->match != NULL) {
		if ((r = sql_int(st, &newest, "SELECT max(id) FROM exchange",
		    "")) < 0)
			return (r);
		if (a->before > newest + 1)
			a->before = newest + 1;
		if (a->before > SEARCH_SPAN)
			a->low = a->before - SEARCH_SPAN;
	}
	return (sql_open(st, q, a->review != NULL ? SEARCH_REVIEW :
	    a->match != NULL ? SEARCH_MATCH : a->all ? SEARCH_ALL : SEARCH_OWN,
	    a->match == NULL ? "iisi" STORE_FILTER_TYPES :
	    "iisi" STORE_FILTER_TYPES "ii", a->uid, a->before,
	    a->review != NULL ? a->review : a->match, (int64_t)a->admin,
	    STORE_FILTER_ARGS(&a->filter), (int64_t)a->all, a->low));
}

/* Does a character belong to no word of the index? Roughly: beyond ASCII, only
 * signs that are often typed. */
static int
store_search_sign(uint32_t c)
{
	if (c < 0x80)
		return (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		    (c >= 'a' && c <= 'z')));
	return ((c < 0xc0 && c != 0xaa && c != 0xb5 && c != 0xba) ||
	    c == 0xd7 || c == 0xf7 || (c >= 0x2000 && c < 0x2070) ||
	    (c >= 0x2190 && c < 0x2c00) || (c >= 0x3000 && c < 0x3004) ||
	    (c >= 0x3008 && c < 0x3021) || (c >= 0xfe00 && c < 0xfe70) ||
	    c == 0xfeff || (c >= 0x1f000 && c < 0x1fb00));
}

/*
 * Make the query for the index: all words must occur, except those with a minus
 * before them, which must not. Without admin, the texts that only operators
 * may see are left out. Returns a new string, or NULL with *f filled.
 */
static char *
store_search_query(const char *text, int admin, struct fault *f)
{
	struct search_query	 sq = { 0 };
	char			*want = NULL, *not = NULL, *out = NULL;
	size_t			 nwant, nnot;

	if ((sq.want = open_memstream(&want, &nwant)) == NULL ||
	    (sq.not = open_memstream(&not, &nnot)) == NULL)
		abort();
	while (*text != '\0' && sq.nwant + sq.nnot <= SEARCH_WORDS)
		text = store_search_word(&sq, text);
	fclose(sq.want);
	fclose(sq.not);
	if (sq.nwant + sq.nnot > SEARCH_WORDS)
		fault_set(f, "bad_field", "query", "query: expected at most "
		    "%d words and phrases, found more", SEARCH_WORDS);
	else if (sq.nwant == 0)
		fault_set(f, "bad_field", "query", "query: expected a word "
		    "that is looked for, found %s", sq.nnot > 0 ?
		    "only words that must not occur" : "none");
	else
		out = xasprintf("%s : ((%s)%s%s%s)", admin ?
		    "{prompt reply ideal comment hidden}" :
		    "{prompt reply ideal comment}", want,
		    sq.nnot > 0 ? " NOT (" : "", not, sq.nnot > 0 ? ")" : "");
	free(want);
	free(not);
	return (out);
}

/* Add the word or the phrase at text to the query. Returns what follows it. */
static const char *
store_search_word(struct search_query *sq, const char *text)
{
	const char	*s = text, *end;
	FILE		*to;
	uint32_t	 c;
	int		 n, minus, quoted, letters = 0, *count;

	if (strchr(" \t\r\n", *s) != NULL)
		return (s + 1);
	minus = *s == '-';
	s += minus;
	quoted = *s == '"';
	s += quoted;
	end = s + (quoted ? strcspn(s, "\"") : strcspn(s, " \t\r\n\""));
	for (text = s; text < end; text += n > 0 ? n : 1) {
		if ((n = utf8_decode(text, (size_t)(end - text), &c)) > 0)
			letters |= !store_search_sign(c);
	}
	text = end + (quoted && *end == '"');
	if (!letters)		/* nothing that the index knows */
		return (text);
	to = minus ? sq->not : sq->want;
	count = minus ? &sq->nnot : &sq->nwant;
	fprintf(to, "%s\"%.*s\"", (*count)++ == 0 ? "" : minus ? " OR " :
	    " AND ", (int)(end - s), s);
	return (text);
}

/* Send one item. */
static int
store_search_item(struct store *st, const struct search_args *a,
    int64_t exchange, int64_t reply, struct store_request *req, int64_t *bytes)
{
	sqlite3_stmt	*q;
	json_t		*m, *o;
	char		*title;
	int		 r;

	if ((r = sql_open(st, &q, SEARCH_ITEM, "ii", exchange, reply)) != 0 ||
	    (r = sql_step(st, q)) != 1)
		return (r);
	m = json_object();
	o = json_object();
	msg_set(m, "exchange", o);
	sql_integer(o, "exchange", q, 0);
	msg_set(o, "conversation", json_null());
	sql_integer(o, "conversation", q, 1);
	sql_text(o, "kind", q, 2);
	sql_integer(o, "created", q, 3);
	sql_integer(o, "uid", q, 4);
	sql_text(o, "user", q, 5);
	title = store_title((const char *)sqlite3_column_text(q, 6));
	msg_set_string(o, "title", title);
	free(title);
	sql_integer(o, "reply", q, 7);
	sql_text(o, "state", q, 8);
	sql_text(o, "model", q, 9);
	if (sqlite3_column_type(q, 10) != SQLITE_NULL) {
		sql_integer(o, "thumb", q, 10);
		sql_json(o, "reasons", q, 11);
		msg_set_bool(o, "ideal", sqlite3_column_int(q, 12));
	}
	*bytes += STORE_ROW + sqlite3_column_bytes(q, 6) +
	    sqlite3_column_int64(q, 13);
	sql_end(q);
	if (a->match != NULL) {
		*bytes += SEARCH_EXCERPT;
		if ((r = store_search_excerpt(st, a, exchange, o)) < 0) {
			json_decref(m);
			return (r);
		}
	}
	req->item(req->arg, m);
	return (0);
}

/* Set the part of a text that has the words, and the places of the words in
 * it. */
static int
store_search_excerpt(struct store *st, const struct search_args *a,
    int64_t exchange, json_t *o)
{
	sqlite3_stmt	*q;
	json_t		*marks, *mark;
	const char	*s;
	char		*text;
	int64_t		 begin = -1;
	size_t		 n = 0;
	int		 r;

	if ((r = sql_open(st, &q, "SELECT snippet(search, -1, char(2), "
	    "char(3), '...', 24) FROM search WHERE search MATCH ? "
	    "AND rowid = ?", "si", a->match, exchange)) != 0 ||
	    (r = sql_step(st, q)) != 1)
		return (r);
	marks = json_array();
	s = (const char *)sqlite3_column_text(q, 0);
	text = xmalloc((size_t)sqlite3_column_bytes(q, 0) + 1);
	for (; s != NULL && *s != '\0'; s++) {
		if (*s == SEARCH_BEGIN)
			begin = (int64_t)n;
		else if (*s != SEARCH_END)
			text[n++] = *s;
		else if (begin != -1) {
			mark = json_pack("[I, I]", begin, (int64_t)n);
			json_array_append_new(marks, mark);
			begin = -1;
		}
	}
	sql_end(q);
	msg_set_text(o, "excerpt", text, n);
	msg_set(o, "marks", marks);
	free(text);
	return (0);
}
