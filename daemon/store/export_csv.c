/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The export format "csv": a table of ratings by RFC 4180, with a header line.
 * Fields are written as they are stored, even if they begin with "=".  A
 * spreadsheet must import the columns as text, or it takes such a field for a
 * formula.
 */
#include "store.h"

#include <string.h>

#include "json.h"
#include "xmalloc.h"

static void	export_csv_field(FILE *, const char *, size_t);
static void	export_csv_row(struct export *, sqlite3_stmt *);

/* The text of a blocked reply is only in an export of all users, because the
 * user has not seen it. */
static const char export_csv_query[] =
"SELECT a.id AS rating, a.reply, r.exchange, e.conversation, a.uid, "
"strftime('%Y-%m-%dT%H:%M:%S', a.created / 1000, 'unixepoch') || "
"printf('.%03dZ', a.created % 1000) AS rated, a.thumb, "
"(SELECT group_concat(value, ' ') FROM json_each(a.reasons)) AS reasons, "
"m.name AS model, m.precision, m.digest, r.seed, r.params, r.state, e.kind, "
"e.preprompt, e.prompt, CASE WHEN r.state = 'blocked' AND ?1 <> -1 THEN '' "
"ELSE r.text END AS reply_text, a.ideal, a.comment "
"FROM rating a JOIN reply r ON r.id = a.reply "
"JOIN exchange e ON e.id = r.exchange JOIN model m ON m.id = r.model "
"WHERE ((e.uid = ?1 AND a.uid = ?1) OR ?1 = -1) AND a.id > ?2 "
"AND a.id <= ?3 AND NOT EXISTS "
"(SELECT 1 FROM rating WHERE supersedes = a.id AND id <= ?3) ORDER BY a.id";

/* Write a field, in quotes if it needs them. */
static void
export_csv_field(FILE *out, const char *s, size_t n)
{
	size_t	 i;

	if (strcspn(s, ",\"\r\n") == n && (n == 0 ||
	    (s[0] != ' ' && s[n - 1] != ' '))) {
		fwrite(s, 1, n, out);
		return;
	}
	putc('"', out);
	for (i = 0; i < n; i++) {
		if (s[i] == '"')
			putc('"', out);
		putc(s[i], out);
	}
	putc('"', out);
}

/* Write a row. */
static void
export_csv_row(struct export *ex, sqlite3_stmt *q)
{
	const char	*s;
	int		 i;

	for (i = 0; i < sqlite3_column_count(q); i++) {
		if (i > 0)
			putc(',', ex->out);
		if ((s = (const char *)sqlite3_column_text(q, i)) != NULL)
			export_csv_field(ex->out, s,
			    (size_t)sqlite3_column_bytes(q, i));
	}
	fputs("\r\n", ex->out);
}

/* Write one row for each rating. */
int
export_csv(struct export *ex)
{
	sqlite3_stmt	*q;
	int		 i, r;

	if ((r = sql_open(&ex->st, &q, export_csv_query, "iii", ex->uid,
	    ex->last, ex->rating)) != 0)
		return (r);
	for (i = 0; ex->pieces == 0 && i < sqlite3_column_count(q); i++)
		fprintf(ex->out, "%s%s", i > 0 ? "," : "",
		    sqlite3_column_name(q, i));
	if (ex->pieces == 0)
		fputs("\r\n", ex->out);
	while ((r = sql_step(&ex->st, q)) == 1 && !export_full(ex)) {
		ex->last = sqlite3_column_int64(q, 0);
		export_csv_row(ex, q);
	}
	if (r == 1)
		sql_end(q);
	return (r);
}
