/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ab: how the replies of each variant were rated by those who got them.  A
 * variant is a model with an adapter, or alone.
 *
 * The share of good ratings has the interval of E. B. Wilson ("Probable
 * inference, the law of succession, and statistical inference", 1927).  The
 * difference of two shares has the interval that R. G. Newcombe makes from two
 * of these ("Interval estimation for the difference between independent
 * proportions", 1998, method 10).
 *
 * As in store_count.c, one slice looks at STORE_LOOK replies, and the sums so
 * far travel in "next".
 */
#include "store.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "vocabulary.h"
#include "xmalloc.h"

#define AB_VARIANTS	32		/* variants in an answer */
#define AB_Z		1.959963984540054	/* of 95 per cent, two sides */

struct ab_args {
	int64_t		 uid, after, limit;
	int		 admin, any;
	json_t		*sums;		/* borrowed: those of the last slice */
	struct store_filter filter;
};

/* A share, and its interval. */
struct ab_share {
	double		 p, low, high;
};

/* ?2 the last reply looked at, ?3 whether replies count that were not
 * assigned. */
#define AB_SCAN \
	"SELECT r.id, r.state IN ('done', 'cancelled') AND (?3 OR " \
	"r.assigned) AND " STORE_FILTER ", m.name, m.digest, " \
	"ifnull(l.name, ''), ifnull(l.digest, ''), (SELECT a.thumb " \
	"FROM rating a WHERE a.reply = r.id AND a.uid = e.uid AND " \
	"NOT EXISTS (SELECT 1 FROM rating WHERE supersedes = a.id)) " \
	"FROM reply r JOIN exchange e ON e.id = r.exchange JOIN model m " \
	"ON m.id = r.model LEFT JOIN adapter l ON l.id = r.adapter " \
	"WHERE r.id > ?2 AND ?1 = ?1 ORDER BY r.id"

#define A(member) offsetof(struct ab_args, member)
static const struct field store_ab_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "after", FIELD_INT, FIELD_NULLABLE, 0, JSON_INT_MAX, A(after) },
	{ "limit", FIELD_INT, 0, 1, 1, A(limit) },
	{ "sums", FIELD_ARRAY, FIELD_NULLABLE, 0, 0, A(sums) },
	{ "admin", FIELD_BOOL, 0, 0, 0, A(admin) },
	{ "any", FIELD_BOOL, 0, 0, 0, A(any) },
	STORE_FILTER_FIELDS(A(filter)),
};
#undef A

/* What names a variant: the columns of AB_SCAN from 2 on, in the order in which
 * variants are sorted. */
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
		    sqlite3_column_text(q, 2 + (int)i))) != 0)
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
	if (json_array_size(sums) == AB_VARIANTS)
		return (NULL);
	v = json_object();
	for (k = 0; k < nitems(ab_names); k++)
		sql_text(v, ab_names[k], q, 2 + (int)k);
	json_array_insert_new(sums, i, v);
	return (v);
}

/* Count one more. */
static void
store_ab_add(json_t *v, const char *key)
{
	msg_set_int(v, key, msg_int(v, key, 0) + 1);
}

/* Count the reply at q. */
static void
store_ab_reply(json_t *sums, sqlite3_stmt *q)
{
	json_t	*v = store_ab_variant(sums, q);
	size_t	 i;

	if (v == NULL)
		return;
	store_ab_add(v, "replies");
	for (i = 0; sqlite3_column_type(q, 6) != SQLITE_NULL &&
	    vocabulary_thumbs[i] != NULL; i++)
		if (vocabulary_thumb_values[i] == sqlite3_column_int(q, 6))
			store_ab_add(v, vocabulary_thumbs[i]);
}

/* Wilson's interval of good of n, n above 0. */
static struct ab_share
store_ab_share(double good, double n)
{
	const double	 z2 = AB_Z * AB_Z, p = good / n;
	const double	 centre = (p + z2 / (2 * n)) / (1 + z2 / n);
	const double	 half = AB_Z / (1 + z2 / n) *
			    sqrt(p * (1 - p) / n + z2 / (4 * n * n));

	return ((struct ab_share){ p, fmax(0, centre - half),
	    fmin(1, centre + half) });
}

/* The share of a variant. Returns 0 if none of its replies was rated. */
static int
store_ab_rated(const json_t *v, struct ab_share *out)
{
	const double	 good = (double)msg_int(v, "good", 0);
	const double	 n = good + (double)msg_int(v, "bad", 0);

	if (n > 0)
		*out = store_ab_share(good, n);
	return (n > 0);
}

/* Complete a variant: each count, and its share. */
static void
store_ab_complete(json_t *v)
{
	const char *const *word;
	struct ab_share	 s;

	for (word = vocabulary_thumbs; *word != NULL; word++)
		msg_set_int(v, *word, msg_int(v, *word, 0));
	msg_set_int(v, "rated", msg_int(v, "good", 0) + msg_int(v, "bad", 0));
	if (!store_ab_rated(v, &s)) {
		msg_set(v, "share", json_null());
		return;
	}
	msg_set_real(v, "share", s.p);
	msg_set_real(v, "low", s.low);
	msg_set_real(v, "high", s.high);
}

/* Newcombe's interval of the share of b less that of a. */
static json_t *
store_ab_difference(const struct ab_share *a, const struct ab_share *b)
{
	const double	 d = b->p - a->p;
	json_t		*o = json_object();

	msg_set_real(o, "difference", d);
	msg_set_real(o, "low", d - hypot(b->p - b->low, a->high - a->p));
	msg_set_real(o, "high", d + hypot(b->high - b->p, a->p - a->low));
	return (o);
}

/* Make the answer from the sums. */
static void
store_ab_answer(json_t *done, json_t *sums)
{
	json_t		*list = json_array(), *o;
	struct ab_share	 a, b;
	size_t		 i, k, n = json_array_size(sums);

	for (i = 0; i < n; i++)
		store_ab_complete(json_array_get(sums, i));
	for (i = 0; i < n; i++)
		for (k = i + 1; k < n; k++) {
			if (!store_ab_rated(json_array_get(sums, i), &a) ||
			    !store_ab_rated(json_array_get(sums, k), &b))
				continue;
			o = store_ab_difference(&a, &b);
			msg_set_int(o, "from", (int64_t)i);
			msg_set_int(o, "to", (int64_t)k);
			json_array_append_new(list, o);
		}
	msg_set(done, "variants", json_incref(sums));
	msg_set(done, "differences", list);
}

/* ab */
int
store_ab(struct store *st, struct store_request *req)
{
	struct ab_args	 a = { .limit = 1 };
	sqlite3_stmt	*q;
	json_t		*sums, *next;
	int		 r, looked = 0;

	if ((r = fields_read(req->msg, store_ab_fields,
	    nitems(store_ab_fields), &a, &req->fault)) != 0 ||
	    (r = store_filter_read(st, &a.filter, a.admin,
	    &req->fault)) != 0)
		return (r);
	if (!a.admin)
		return (fault_set(&req->fault, "denied", NULL,
		    "ab: for operators only"));
	if ((r = sql_open(st, &q, AB_SCAN, "iiii" STORE_FILTER_TYPES, a.uid,
	    a.after, (int64_t)a.any, (int64_t)a.admin,
	    STORE_FILTER_ARGS(&a.filter))) != 0)
		return (r);
	sums = a.sums != NULL ? json_deep_copy(a.sums) : json_array();
	while ((r = sql_step(st, q)) == 1 && looked++ < STORE_LOOK) {
		a.after = sqlite3_column_int64(q, 0);
		if (sqlite3_column_int(q, 1))
			store_ab_reply(sums, q);
	}
	if (r == 1) {
		sql_end(q);
		next = json_object();
		msg_set_int(next, "after", a.after);
		msg_set_int(next, "limit", 1);
		msg_set(next, "sums", json_incref(sums));
		msg_set(req->done, "next", next);
	} else if (r == 0)
		store_ab_answer(req->done, sums);
	json_decref(sums);
	return (r < 0 ? r : 0);
}
