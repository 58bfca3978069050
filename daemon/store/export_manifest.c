/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest: what an export has, what it has left out, and why.
 */
#include <config.h>
#include "export.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json.h"
#include "xmalloc.h"

#define MANIFEST_TOMBSTONES	10000	/* at most, the newest ones */

static json_t	*manifest_filters(const struct export *);
static json_t	*manifest_ratings(const struct export *);
static json_t	*manifest_lacks(const struct export *);
static json_t	*manifest_tokens(const struct export *);
static json_t	*manifest_kto(const struct export *);
static int	 manifest_rows(struct export *, json_t *, const char *);

/* The filters that were given. */
static json_t *
manifest_filters(const struct export *ex)
{
	const struct export_options	*o = ex->opt;
	json_t				*m = json_object();

	msg_set_string(m, "users", o->uid == -1 ? "all" : "one");
	if (o->since != 0)
		msg_set_int(m, "since", o->since);
	if (o->until != 0)
		msg_set_int(m, "until", o->until);
	/* Without the filter, only formats of examples choose by rating. */
	if (o->rating != NULL || vocabulary_format_use(o->format) ==
	    FORMAT_EXAMPLES)
		msg_set_string(m, "rating", vocabulary_choices[ex->rating]);
	msg_set_string(m, "reason", o->reason);
	msg_set_string(m, "category", o->category);
	msg_set_string(m, "model", o->model);
	if (o->user != NULL)	/* the manifest names nobody */
		msg_set_bool(m, "user", 1);
	msg_set_string(m, "split", o->split);
	msg_set_int(m, "heldout", o->heldout);
	msg_set_string(m, "consent", o->uid != -1 ? "own data" : o->consent ?
	    "given" : "not refused");
	msg_set_bool(m, "unique", o->unique);
	msg_set_bool(m, "bare", o->bare);
	return (m);
}

/* How the replies of the dialogues were rated. */
static json_t *
manifest_ratings(const struct export *ex)
{
	const struct export_counts	*c = &ex->counts;
	json_t				*m = json_object(), *reasons;
	int				 i;

	msg_set_int(m, "good", c->good);
	msg_set_int(m, "neutral", c->neutral);
	msg_set_int(m, "bad", c->bad);
	msg_set_int(m, "unrated", c->unrated);
	msg_set_int(m, "ideal", c->ideals);
	reasons = json_object();
	for (i = 0; vocabulary_reasons[i] != NULL; i++)
		msg_set_int(reasons, vocabulary_reasons[i], c->reasons[i]);
	msg_set(m, "reasons", reasons);
	return (m);
}

/* What was left out. */
static json_t *
manifest_lacks(const struct export *ex)
{
	static const char *const names[LACKS] = {
		[LACK_CUT] = "cut", [LACK_CONTEXT] = "context",
		[LACK_RUNNING] = "running", [LACK_UNSEEN] = "unseen",
		[LACK_PAIR] = "pair", [LACK_DUPLICATE] = "duplicate",
	};
	json_t	*m = json_object();
	int	 i;

	for (i = 0; i < LACKS; i++)
		msg_set_int(m, names[i], ex->counts.lacks[i]);
	return (m);
}

/* The lengths of the rows in tokens, as the model counted prompt and reply. */
static json_t *
manifest_tokens(const struct export *ex)
{
	json_t	*m = json_object();
	char	 name[32];
	int64_t	 limit = 128;
	int	 i;

	for (i = 0; i < EXPORT_BUCKETS; i++, limit *= 2) {
		if (i + 1 < EXPORT_BUCKETS)
			snprintf(name, sizeof name, "%lld", (long long)limit);
		else
			snprintf(name, sizeof name, "more");
		msg_set_int(m, name, ex->counts.tokens[i]);
	}
	return (m);
}

/* The balance of the labels. Trainers want weight x true : weight x false
 * between 1:1 and 4:3; these weights make it 1:1. */
static json_t *
manifest_kto(const struct export *ex)
{
	const int64_t	*n = ex->counts.labels;
	json_t		*m = json_object();

	msg_set_int(m, "true", n[1]);
	msg_set_int(m, "false", n[0]);
	if (n[0] > 0 && n[1] > 0) {
		msg_set_real(m, "desirable_weight", n[1] < n[0] ?
		    (double)n[0] / (double)n[1] : 1);
		msg_set_real(m, "undesirable_weight", n[0] < n[1] ?
		    (double)n[1] / (double)n[0] : 1);
	}
	return (m);
}

/* Add the rows of a query to a list. The names of its columns are the keys. */
static int
manifest_rows(struct export *ex, json_t *list, const char *sql)
{
	sqlite3_stmt	*q;
	json_t		*o;
	int		 i, r;

	if ((r = sql_open(&ex->st, &q, sql, "iii", ex->reply,
	    (int64_t)MANIFEST_TOMBSTONES, ex->uid)) != 0)
		return (r);
	while ((r = sql_step(&ex->st, q)) == 1) {
		o = json_object();
		for (i = 0; i < sqlite3_column_count(q); i++) {
			if (sqlite3_column_type(q, i) == SQLITE_INTEGER)
				sql_integer(o, sqlite3_column_name(q, i), q, i);
			else
				sql_text(o, sqlite3_column_name(q, i), q, i);
		}
		json_array_append_new(list, o);
	}
	return (r);
}

/* Make the manifest. */
json_t *
export_manifest(struct export *ex)
{
	json_t	*m = json_object(), *models = json_array(),
		*gone = json_array();
	/* These two are no walk over dialogues. */
	const int	 talks = strcmp(ex->opt->format, "csv") != 0 &&
			    strcmp(ex->opt->format, "moderation") != 0;

	msg_set_string(m, "format", ex->opt->format);
	msg_set_string(m, "tool", "chatd " PACKAGE_VERSION);
	msg_set_int(m, "schema", SCHEMA_VERSION);
	msg_set_int(m, "made", clock_wall());
	msg_set(m, "filters", manifest_filters(ex));
	msg_set_int(m, "rows", ex->counts.rows);
	if (talks) {
		msg_set_int(m, "conversations", ex->counts.conversations);
		msg_set_int(m, "raw_prompts", ex->counts.raw);
		msg_set(m, "tokens", manifest_tokens(ex));
	}
	if (talks || strcmp(ex->opt->format, "csv") == 0)
		msg_set(m, "ratings", manifest_ratings(ex));
	msg_set(m, "left_out", manifest_lacks(ex));
	if (strcmp(ex->opt->format, "kto") == 0)
		msg_set(m, "kto", manifest_kto(ex));
	msg_set(m, "models", models);
	msg_set(m, "tombstones", gone);
	if (manifest_rows(ex, models, "SELECT m.name, m.digest, m.precision, "
	    "count(*) AS replies FROM reply r JOIN model m ON m.id = r.model "
	    "JOIN exchange e ON e.id = r.exchange WHERE r.id <= ?1 "
	    "AND ?2 = ?2 AND (e.uid = ?3 OR ?3 = -1) GROUP BY m.digest, "
	    "m.name, m.precision ORDER BY 1, 2, 3") != 0 ||
	    manifest_rows(ex, gone, "SELECT kind, name, deleted FROM "
	    "tombstone WHERE ?1 = ?1 AND ?3 = -1 ORDER BY id DESC "
	    "LIMIT ?2") != 0) {
		json_decref(m);
		return (NULL);
	}
	return (m);
}
