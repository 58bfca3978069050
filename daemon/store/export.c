/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An export: a read-only connection and a writer of lines.  The file of each
 * format (export_*.c) selects the rows.
 *
 * An export is read piece by piece.  The transaction of a piece ends before the
 * piece is written, because an open transaction keeps the log from being
 * written back, and the reader of the output may be slow.  Still, the export
 * shows the database as it was at the start: a row does not change after its
 * reply has ended, ids are never reused, and rows with an id above the highest
 * one at the start are left out.  There are two exceptions: rows that are
 * deleted during the export are missing, and a reply that was running at the
 * start may be included.
 */
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "vocabulary.h"
#include "xmalloc.h"

static int	export_open(struct export *, struct fault *);
static int	export_begin(struct export *);
static int	export_piece(struct export *, int (*)(struct export *),
		    FILE *);

/* The function for each of vocabulary_formats. */
#define EXPORT_WRITER(name)	export_##name,
static int	(*const export_writers[])(struct export *) = {
	VOCABULARY_FORMATS(EXPORT_WRITER)
};
#undef EXPORT_WRITER

/* Add a line to the piece. */
void
export_line(struct export *ex, json_t *msg)
{
	char	*s;
	size_t	 n;

	s = msg_line(msg, &n);
	fwrite(s, 1, n, ex->out);
	free(s);
	json_decref(msg);
}

/* One message of a conversation. */
json_t *
export_message(const char *role, const char *text)
{
	json_t	*m = json_object();

	msg_set_string(m, "role", role);
	msg_set_string(m, "content", text);
	return (m);
}

/* Open the database for reading, and check that it is a chatd database. */
static int
export_open(struct export *ex, struct fault *f)
{
	struct store	*st = &ex->st;
	int		 r, rc, version;

	rc = sqlite3_open_v2(st->path, &st->db, SQLITE_OPEN_READONLY, NULL);
	if (rc != SQLITE_OK) {
		sql_failed(st, rc);
		return (store_fault(st, f));
	}
	sqlite3_extended_result_codes(st->db, 1);
	sqlite3_busy_timeout(st->db, STORE_BUSY_MS);
	if ((r = schema_identify(st->db, st->path, &version, f)) != 0)
		return (r);
	if (version != SCHEMA_VERSION)
		return (fault_set(f, "store_unavailable", NULL, "%s has "
		    "schema version %d, not %d: start chatd on it first",
		    st->path, version, SCHEMA_VERSION));
	return (0);
}

/* Note the highest ids. */
static int
export_begin(struct export *ex)
{
	sqlite3_stmt	*q;
	int		 r;

	if ((r = sql_open(&ex->st, &q, "SELECT (SELECT max(id) "
	    "FROM exchange), (SELECT max(id) FROM reply), "
	    "(SELECT max(id) FROM rating)", "")) != 0 ||
	    (r = sql_step(&ex->st, q)) != 1)
		return (r);
	ex->exchange = sqlite3_column_int64(q, 0);
	ex->reply = sqlite3_column_int64(q, 1);
	ex->rating = sqlite3_column_int64(q, 2);
	sql_end(q);
	return (0);
}

/* Is the piece large enough? */
int
export_full(struct export *ex)
{
	return (ftell(ex->out) >= EXPORT_PIECE);
}

/* Read one piece, then write it to out. Returns 1 if there is more. */
static int
export_piece(struct export *ex, int (*format)(struct export *), FILE *out)
{
	char	*text = NULL;
	size_t	 n = 0;
	int	 r;

	if ((ex->out = open_memstream(&text, &n)) == NULL)
		abort();	/* out of memory */
	if ((r = sql_run(&ex->st, "BEGIN", "")) == 0)
		r = format(ex);
	if (!sqlite3_get_autocommit(ex->st.db))
		sqlite3_exec(ex->st.db, "ROLLBACK", NULL, NULL, NULL);
	fclose(ex->out);
	if (r >= 0)
		fwrite(text, 1, n, out);
	free(text);
	ex->pieces++;
	return (r == 1 && ferror(out) ? 0 : r);
}

/* Write one export. */
int
export_run(const char *format, const char *path, int64_t uid, FILE *out,
    struct fault *f)
{
	struct export	 ex = { .uid = uid };
	int		 i = vocabulary_find(vocabulary_formats, format), r;

	ex.st.path = xstrdup(path);
	if ((r = export_open(&ex, f)) != 0)
		goto out;
	if ((r = export_begin(&ex)) == 0) {
		while ((r = export_piece(&ex, export_writers[i], out)) == 1)
			;
	}
	if (r != 0)
		store_fault(&ex.st, f);
	else if (fflush(out) != 0 || ferror(out)) {
		r = errno == EPIPE ? CHAT_ECLOSED : CHAT_ESYSTEM;
		fault_set(f, "store_unavailable", NULL,
		    "writing the export: %s", strerror(errno));
		clearerr(out);		/* not reported again at exit */
	}
out:
	sql_clear(&ex.st);
	sqlite3_close(ex.st.db);
	free(ex.st.path);
	return (r);
}
