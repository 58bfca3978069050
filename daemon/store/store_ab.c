/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ab: how the replies of each variant were rated by those who got them.  A
 * variant is a model with an adapter, or alone.  store_share.c has the
 * figures.
 *
 * Replies are looked at conversation by conversation, raw prompts first, since
 * the ratings of a conversation count together.  As in store_count.c, one slice
 * looks at STORE_LOOK of them, and the sums so far travel in "next".
 */
#include "store_share.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "vocabulary.h"
#include "xmalloc.h"

#define AB_VARIANTS	32	/* in an answer: those with the newest
				 * replies */
#define AB_SUMS		512	/* variants that are counted */

struct ab_args {
	int64_t		 uid, after, limit;
	int64_t		 conversation, exchange, reply;	/* the last ones looked
							 * at; 0: none, and raw
							 * prompts */
	int		 admin, any, looked;
	json_t		*at;		/* borrowed: these three, as an array */
	json_t		*sums;		/* owned */
	struct store_filter filter;
};

/* ?1 the conversation, 0: raw prompts; ?2 the last exchange and ?14 its last
 * reply looked at; ?3 whether replies count that were not assigned. */
#define AB_SCAN \
	"SELECT r.id, e.id, r.state IN ('done', 'cancelled') AND (?3 OR " \
	"r.assigned) AND (?10 IS NULL OR m.name = ?10 OR m.digest = ?10) " \
	"AND " STORE_FILTER ", (SELECT a.thumb FROM rating a " \
	"WHERE a.reply = r.id AND a.uid = e.uid AND NOT EXISTS (SELECT 1 " \
	"FROM rating WHERE supersedes = a.id)), m.name, m.digest, " \
	"ifnull(l.name, ''), ifnull(l.digest, '') FROM exchange e " \
	"CROSS JOIN reply r ON r.exchange = e.id JOIN model m " \
	"ON m.id = r.model LEFT JOIN adapter l ON l.id = r.adapter " \
	"WHERE e.conversation IS nullif(?1, 0) AND e.id >= ?2 AND " \
	"(e.id > ?2 OR r.id > ?14) ORDER BY e.id, r.id"
enum { AB_REPLY, AB_EXCHANGE, AB_WANTED, AB_THUMB, AB_NAMES };

#define A(member) offsetof(struct ab_args, member)
static const struct field store_ab_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "after", FIELD_INT, FIELD_NULLABLE, 0, JSON_INT_MAX, A(after) },
	{ "limit", FIELD_INT, 0, 1, 1, A(limit) },
	{ "at", FIELD_ARRAY, FIELD_NULLABLE, 0, 0, A(at) },
	{ "sums", FIELD_ARRAY, FIELD_NULLABLE, 0, 0, A(sums) },
	{ "admin", FIELD_BOOL, 0, 0, 0, A(admin) },
	{ "any", FIELD_BOOL, 0, 0, 0, A(any) },
	STORE_FILTER_FIELDS(A(filter)),
};
#undef A

/* What names a variant: the columns of AB_SCAN from AB_NAMES on, in the order
 * in which variants are sorted. */
static const char *const ab_names[] = { "model", "digest", "adapter",
	"adapter_digest" };

/* Compare a variant with the names at q. */
static int
store_ab_compare(const json_t *v, sqlite3_stmt *q)
{
	const char	*name;
	size_t		 i;
	int		 r;

	for (i = 0; i < nitems(ab_names); i++) {
		name = msg_string(v, ab_names[i]);
		if ((r = strcmp(name != NULL ? name : "", (const char *)
		    sqlite3_column_text(q, AB_NAMES + (int)i))) != 0)
			return (r);
	}
	return (0);
}

/* Find the variant of the reply at q, or make it at its place. NULL: there are
 * too many. */
static json_t *
store_ab_variant(json_t *sums, sqlite3_stmt *q)
{
	json_t	*v;
	size_t	 i, k;
	int	 r = 1;

	for (i = 0; i < json_array_size(sums); i++)
		if ((r = store_ab_compare(json_array_get(sums, i), q)) >= 0)
			break;
	if (r == 0 && i < json_array_size(sums))
		return (json_array_get(sums, i));
	if (json_array_size(sums) == AB_SUMS)
		return (NULL);
	v = json_object();
	for (k = 0; k < nitems(ab_names); k++)
		sql_text(v, ab_names[k], q, AB_NAMES + (int)k);
	json_array_insert_new(sums, i, v);
	return (v);
}

/* Count one more. */
static void
store_ab_add(json_t *v, const char *key)
{
	msg_set_int(v, key, msg_int(v, key, 0) + 1);
}

/* Count the reply at q. Returns 0, or CHAT_EFORMAT: there are too many
 * variants. */
static int
store_ab_reply(struct ab_args *a, sqlite3_stmt *q, struct fault *f)
{
	json_t	*v = store_ab_variant(a->sums, q);
	int	 thumb = sqlite3_column_int(q, AB_THUMB);
	size_t	 i;

	if (v == NULL)
		return (fault_set(f, "bad_field", "since", "since: these "
		    "replies are of more than %d variants; choose fewer with "
		    "since, until or model", AB_SUMS));
	store_ab_add(v, "replies");
	if (a->reply > msg_int(v, "last", 0))
		msg_set_int(v, "last", a->reply);
	store_share_add(v, a->conversation != 0 ? a->conversation :
	    -a->exchange, thumb);
	for (i = 0; sqlite3_column_type(q, AB_THUMB) != SQLITE_NULL &&
	    vocabulary_thumbs[i] != NULL; i++)
		if (vocabulary_thumb_values[i] == thumb)
			store_ab_add(v, vocabulary_thumbs[i]);
	return (0);
}

/* Look at replies of a->conversation. Returns 0 after the last one, 1 if the
 * slice is full, or an error. */
static int
store_ab_talk(struct store *st, struct ab_args *a, struct fault *f)
{
	sqlite3_stmt	*q;
	int		 r;

	if ((r = sql_open(st, &q, AB_SCAN, "iiii" STORE_FILTER_TYPES "i",
	    a->conversation, a->exchange, (int64_t)a->any, (int64_t)a->admin,
	    STORE_FILTER_ARGS(&a->filter), a->reply)) != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1 && a->looked < STORE_LOOK) {
		a->looked++;
		a->reply = sqlite3_column_int64(q, AB_REPLY);
		a->exchange = sqlite3_column_int64(q, AB_EXCHANGE);
		if (sqlite3_column_int(q, AB_WANTED) &&
		    (r = store_ab_reply(a, q, f)) != 0)
			break;
	}
	if (r != 0)
		sql_end(q);
	return (r);
}

/* Look at as many replies as a slice may. Returns 0 at the end of all, 1 if
 * there are more, or an error. */
static int
store_ab_slice(struct store *st, struct ab_args *a, struct fault *f)
{
	int64_t	next;
	int	r;

	while ((r = store_ab_talk(st, a, f)) == 0) {
		if ((r = sql_int(st, &next, "SELECT min(id) FROM conversation "
		    "WHERE id > ?", "i", a->conversation)) != 1)
			break;
		a->conversation = next;
		a->exchange = a->reply = 0;
		if (++a->looked >= STORE_LOOK)
			return (1);
	}
	return (r);
}

/* Take out all but the variants with the newest replies. Returns the number of
 * replies of the others. */
static int64_t
store_ab_cut(json_t *sums)
{
	json_t	*v;
	int64_t	 left = 0, last, oldest;
	size_t	 i, at;

	while (json_array_size(sums) > AB_VARIANTS) {
		oldest = INT64_MAX;
		at = 0;
		json_array_foreach(sums, i, v) {
			if ((last = msg_int(v, "last", 0)) < oldest) {
				oldest = last;
				at = i;
			}
		}
		left += msg_int(json_array_get(sums, at), "replies", 0);
		json_array_remove(sums, at);
	}
	return (left);
}

/* Make the answer from the sums. */
static void
store_ab_answer(json_t *done, json_t *sums)
{
	json_t	*list = json_array(), *o;
	size_t	 i, k;

	msg_set_int(done, "further", store_ab_cut(sums));
	for (i = 0; i < json_array_size(sums); i++)
		for (k = i + 1; k < json_array_size(sums); k++) {
			o = store_share_difference(json_array_get(sums, i),
			    json_array_get(sums, k));
			if (o == NULL)
				continue;
			msg_set_int(o, "from", (int64_t)i);
			msg_set_int(o, "to", (int64_t)k);
			json_array_append_new(list, o);
		}
	for (i = 0; i < json_array_size(sums); i++)
		store_share_complete(json_array_get(sums, i));
	msg_set(done, "variants", json_incref(sums));
	msg_set(done, "differences", list);
}

/* Say where the next slice begins. */
static void
store_ab_next(const struct ab_args *a, json_t *done)
{
	json_t	*next = json_object(), *at = json_array();

	json_array_append_new(at, json_integer(a->conversation));
	json_array_append_new(at, json_integer(a->exchange));
	json_array_append_new(at, json_integer(a->reply));
	msg_set_int(next, "after", a->after + a->looked);
	msg_set_int(next, "limit", 1);
	msg_set(next, "at", at);
	msg_set(next, "sums", json_incref(a->sums));
	msg_set(done, "next", next);
}

/* Check a request. */
static int
store_ab_read(struct store *st, struct ab_args *a, struct store_request *req)
{
	const char	*field;
	int		 r;

	if ((r = fields_read(req->msg, store_ab_fields,
	    nitems(store_ab_fields), a, &req->fault)) != 0 ||
	    (r = store_filter_read(st, &a->filter, a->admin,
	    &req->fault)) != 0)
		return (r);
	if (!a->admin)
		return (fault_set(&req->fault, "denied", NULL,
		    "ab: for operators only"));
	if (a->filter.rating == NULL && a->filter.reason == NULL)
		return (0);
	field = a->filter.rating != NULL ? "rating" : "reason";
	return (fault_set(&req->fault, "bad_field", field, "%s: ab measures "
	    "ratings, so replies can't be chosen by them", field));
}

/* ab */
int
store_ab(struct store *st, struct store_request *req)
{
	struct ab_args	 a = { .limit = 1 };
	int		 r;

	if ((r = store_ab_read(st, &a, req)) != 0)
		return (r);
	a.conversation = json_integer_value(json_array_get(a.at, 0));
	a.exchange = json_integer_value(json_array_get(a.at, 1));
	a.reply = json_integer_value(json_array_get(a.at, 2));
	a.sums = a.sums != NULL ? json_deep_copy(a.sums) : json_array();
	if ((r = store_ab_slice(st, &a, &req->fault)) == 1)
		store_ab_next(&a, req->done);
	else if (r == 0)
		store_ab_answer(req->done, a.sums);
	json_decref(a.sums);
	return (r < 0 ? r : 0);
}
