/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The export format "csv": a table of ratings by RFC 4180, with a header line.
 * Fields are written as they are stored, even if they begin with "=".  A
 * spreadsheet must import the columns as text, or it takes such a field for a
 * formula.
 */
#include "export.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

static void	export_csv_text(FILE *, const char *, size_t);
static void	export_csv_field(struct export *, sqlite3_stmt *, int);
static void	export_csv_row(struct export *, sqlite3_stmt *, int);
static void	export_csv_count(struct export *, sqlite3_stmt *);
static int	export_csv_wanted(const struct export *, sqlite3_stmt *);

/* The text of a blocked reply is only in an export of all users, because the
 * user has not seen it. */
static const char export_csv_query[] =
"SELECT a.id AS rating, a.reply, r.exchange, e.conversation, "
EXPORT_NAME " AS dialogue, a.uid AS user, a.name, "
"strftime('%Y-%m-%dT%H:%M:%S', a.created / 1000, 'unixepoch') || "
"printf('.%03dZ', a.created % 1000) AS rated, a.thumb, "
"(SELECT group_concat(value, ' ') FROM json_each(a.reasons)) AS reasons, "
"m.name AS model, m.precision, m.digest, r.seed, r.params, r.state, e.kind, "
"e.preprompt, e.prompt, CASE WHEN r.state = 'blocked' AND ?1 <> -1 THEN '' "
"ELSE r.text END AS reply_text, a.ideal, a.comment, r.stop, "
"l.name AS adapter, l.digest AS adapter_digest, " EXPORT_IDEAL("a", "r")
" AS counts "
"FROM rating a JOIN reply r ON r.id = a.reply "
"JOIN exchange e ON e.id = r.exchange JOIN model m ON m.id = r.model "
"LEFT JOIN adapter l ON l.id = r.adapter "
"WHERE (e.uid = ?1 OR ?1 = -1) AND a.id > ?2 AND ?3 = ?3 AND "
EXPORT_OPINION("a", "?4", "?1") " AND " EXPORT_FILTERS " ORDER BY a.id";

/* Columns that are counted, or not written as they are. The last one says
 * whether the ideal text counts. */
enum { CSV_DIALOGUE = 4, CSV_USER = 5, CSV_NAME = 6, CSV_THUMB = 8,
    CSV_REASONS = 9, CSV_ADAPTER = 23, CSV_DIGEST = 24, CSV_COUNTS = 25 };

/* Write a text in quotes. */
static void
export_csv_text(FILE *out, const char *s, size_t n)
{
	size_t	 i;

	putc('"', out);
	for (i = 0; i < n; i++) {
		if (s[i] == '"')
			putc('"', out);
		putc(s[i], out);
	}
	putc('"', out);
}

/* Write a field: a number as it is, a text in quotes, nothing for null. So an
 * empty text and "NA" differ from null. */
static void
export_csv_field(struct export *ex, sqlite3_stmt *q, int i)
{
	char	*user;

	if (i == CSV_USER) {
		user = pseudonym(ex->key, sqlite3_column_int64(q, i),
		    (const char *)sqlite3_column_text(q, CSV_NAME));
		export_csv_text(ex->out, user, strlen(user));
		free(user);
	} else if (sqlite3_column_type(q, i) == SQLITE_INTEGER)
		fprintf(ex->out, "%lld",
		    (long long)sqlite3_column_int64(q, i));
	else if (sqlite3_column_type(q, i) != SQLITE_NULL)
		export_csv_text(ex->out, (const char *)
		    sqlite3_column_text(q, i),
		    (size_t)sqlite3_column_bytes(q, i));
}

/* Is it a column of the table? Users do not see the variant. */
static int
export_csv_shown(const struct export *ex, int i)
{
	return (i != CSV_NAME && i != CSV_COUNTS && (ex->uid == -1 ||
	    (i != CSV_ADAPTER && i != CSV_DIGEST)));
}

/* Write a row, or (head) the names of the columns. */
static void
export_csv_row(struct export *ex, sqlite3_stmt *q, int head)
{
	int	 i;

	for (i = 0; i < sqlite3_column_count(q); i++) {
		if (!export_csv_shown(ex, i))
			continue;
		if (i > 0)
			putc(',', ex->out);
		if (head)
			fputs(sqlite3_column_name(q, i), ex->out);
		else
			export_csv_field(ex, q, i);
	}
	fputs("\r\n", ex->out);
}

/* Does the filter "rating" let the row pass? */
static int
export_csv_wanted(const struct export *ex, sqlite3_stmt *q)
{
	const int	thumb = sqlite3_column_int(q, CSV_THUMB);
	const int	ideal = sqlite3_column_int(q, CSV_COUNTS);

	if (ex->opt->split != NULL && strcmp(ex->opt->split, export_split(ex,
	    (const char *)sqlite3_column_text(q, CSV_DIALOGUE))) != 0)
		return (0);
	switch (ex->rating) {
	case RATING_VOUCHED:
		return (thumb > 0 || ideal);
	case RATING_GOOD:
		return (thumb > 0);
	case RATING_BAD:
		return (thumb < 0);
	case RATING_NEUTRAL:
		return (thumb == 0);
	case RATING_NONE:
		return (0);
	case RATING_IDEAL:
		return (ideal);
	case RATING_ANY:
	case RATING_ALL:
		break;
	}
	return (1);
}

/* Count a row for the manifest. */
static void
export_csv_count(struct export *ex, sqlite3_stmt *q)
{
	const int	 thumb = sqlite3_column_int(q, CSV_THUMB);
	const char	*reasons = (const char *)sqlite3_column_text(q,
			    CSV_REASONS);
	int		 i;

	ex->counts.rows++;
	ex->counts.good += thumb > 0;
	ex->counts.bad += thumb < 0;
	ex->counts.neutral += thumb == 0;
	ex->counts.ideals += sqlite3_column_int(q, CSV_COUNTS);
	for (i = 0; reasons != NULL && vocabulary_reasons[i] != NULL; i++)
		ex->counts.reasons[i] += strstr(reasons,
		    vocabulary_reasons[i]) != NULL;
}

/* Write one row for each rating. */
int
export_csv(struct export *ex)
{
	sqlite3_stmt	*q;
	int		 r;

	if ((r = sql_open(&ex->st, &q, export_csv_query, "iiii" EXPORT_TYPES,
	    ex->uid, ex->last, ex->reply, ex->rated,
	    EXPORT_ARGS(ex->opt))) != 0)
		return (r);
	if (ex->pieces == 0)
		export_csv_row(ex, q, 1);
	while ((r = sql_step(&ex->st, q)) == 1 && !export_full(ex)) {
		ex->last = sqlite3_column_int64(q, 0);
		if (!export_csv_wanted(ex, q))
			continue;
		export_csv_count(ex, q);
		export_csv_row(ex, q, 0);
	}
	if (r == 1)
		sql_end(q);
	return (r);
}
