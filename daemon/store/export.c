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
#include "export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "sha256.h"
#include "xmalloc.h"

static int	export_open(struct export *, struct fault *);
static int	export_begin(struct export *);
static int	export_piece(struct export *, int (*)(struct export *),
		    FILE *);
static char	*export_print(json_t *, size_t *);
static int	export_twice(struct export *, const char *, size_t);
static void	export_grow(struct export *);
static void	export_put(struct export *, json_t *);

/* The function for each of vocabulary_formats. */
#define EXPORT_WRITER(name, word, use)	export_##name,
static int	(*const export_writers[])(struct export *) = {
	VOCABULARY_FORMATS(EXPORT_WRITER)
};
#undef EXPORT_WRITER

/* Print a row as a line: a new string of *n bytes. The line ends that JSON
 * allows in a string, but that some programs cut lines at, are escaped. */
static char *
export_print(json_t *row, size_t *n)
{
	size_t	 len, i, k;
	char	*s = msg_line(row, &len), *out = xmalloc(len * 2 + 1);

	for (i = k = 0; i < len; i++) {
		if (i + 2 < len && memcmp(s + i, "\xe2\x80", 2) == 0 &&
		    (s[i + 2] == '\xa8' || s[i + 2] == '\xa9')) {
			memcpy(out + k, s[i + 2] == '\xa8' ? "\\u2028" :
			    "\\u2029", 6);
			k += 6;
			i += 2;
		} else if (i + 1 < len && memcmp(s + i, "\xc2\x85", 2) == 0) {
			memcpy(out + k, "\\u0085", 6);
			k += 6;
			i++;
		} else
			out[k++] = s[i];
	}
	free(s);
	out[k] = '\0';
	*n = k;
	return (out);
}

/* Make room for more hashes. */
static void
export_grow(struct export *ex)
{
	uint64_t	*old = ex->seen;
	size_t		 n = ex->seen_size, i, k;

	ex->seen_size = n == 0 ? 4096 : n * 2;
	ex->seen = xcalloc(ex->seen_size, sizeof *ex->seen);
	for (i = 0; i < n; i++) {
		if (old[i] == 0)
			continue;
		for (k = old[i] % ex->seen_size; ex->seen[k] != 0;
		    k = (k + 1) % ex->seen_size)
			;
		ex->seen[k] = old[i];
	}
	free(old);
}

/* Has this text been written before? Two of a million different texts count as
 * one with a chance of one in thirty million. */
static int
export_twice(struct export *ex, const char *s, size_t n)
{
	char		 hex[SHA256_HEX];
	struct sha256	 sum;
	uint64_t	 h;
	size_t		 k;

	sha256_init(&sum);
	sha256_add(&sum, s, n);
	sha256_end(&sum, hex);
	hex[16] = '\0';
	if ((h = strtoull(hex, NULL, 16)) == 0)
		h = 1;
	if (ex->nseen * 4 >= ex->seen_size * 3)
		export_grow(ex);
	for (k = h % ex->seen_size; ex->seen[k] != 0;
	    k = (k + 1) % ex->seen_size) {
		if (ex->seen[k] == h)
			return (1);
	}
	ex->seen[k] = h;
	ex->nseen++;
	return (0);
}

/* Write a row. */
static void
export_put(struct export *ex, json_t *row)
{
	const char	*first = ex->counts.rows == 0 ? ex->begin :
			    ex->between;
	size_t		 n;
	char		*s = export_print(row, &n);

	if (first != NULL)
		fputs(first, ex->out);
	fwrite(s, 1, n, ex->out);
	free(s);
}

/* Write a row with its metadata. */
int
export_row(struct export *ex, json_t *row, json_t *metadata,
    const struct export_reply *r)
{
	int64_t	 limit = 128;
	char	*s;
	size_t	 n;
	int	 i, twice = 0;

	if (ex->opt->unique) {
		s = export_print(row, &n);
		twice = export_twice(ex, s, n);
		free(s);
	}
	if (twice) {
		export_lacks(ex, LACK_DUPLICATE);
		json_decref(row);
		json_decref(metadata);
		return (0);
	}
	if (ex->opt->sidecar) {
		json_decref(row);
		row = json_object();
		msg_set_int(row, "row", ex->counts.rows);
		json_object_update(row, metadata);
	} else if (!ex->opt->bare && metadata != NULL)
		msg_set(row, "metadata", json_incref(metadata));
	export_put(ex, row);
	json_decref(row);
	json_decref(metadata);
	ex->counts.rows++;
	if (r == NULL)
		return (1);
	for (i = 0; i < EXPORT_BUCKETS - 1 && r->tokens > limit; i++)
		limit *= 2;
	ex->counts.tokens[i]++;
	return (1);
}

/* Something is missing. */
void
export_lacks(struct export *ex, enum export_lack why)
{
	ex->counts.lacks[why]++;
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

/* The part of the split. */
const char *
export_split(const struct export *ex, const char *name)
{
	struct sha256	 s;
	char		 hex[SHA256_HEX];

	sha256_init(&s);
	sha256_add(&s, name, strcspn(name, "#"));
	sha256_end(&s, hex);
	hex[8] = '\0';
	return ((int64_t)(strtoul(hex, NULL, 16) % 100) < ex->opt->heldout ?
	    "heldout" : "train");
}

/* Check the words. */
int
export_check(const struct export_options *opt, struct fault *f)
{
	if (vocabulary_find(vocabulary_formats, opt->format) == -1)
		return (vocabulary_fault(f, "bad_field", "format",
		    vocabulary_formats, opt->format));
	if (vocabulary_format_rating(opt->format, opt->rating, f) != 0)
		return (CHAT_EFORMAT);
	if (opt->reason != NULL &&
	    vocabulary_find(vocabulary_reasons, opt->reason) == -1)
		return (vocabulary_fault(f, "bad_field", "reason",
		    vocabulary_reasons, opt->reason));
	if (opt->category != NULL && vocabulary_category(opt->category) == -1)
		return (vocabulary_fault(f, "bad_field", "category",
		    vocabulary_categories, opt->category));
	if (opt->split != NULL &&
	    vocabulary_find(vocabulary_splits, opt->split) == -1)
		return (vocabulary_fault(f, "bad_field", "split",
		    vocabulary_splits, opt->split));
	if (opt->heldout < 0 || opt->heldout > 100)
		return (fault_set(f, "bad_field", "heldout", "heldout: %lld is "
		    "not a percentage from 0 to 100", (long long)opt->heldout));
	if (opt->user != NULL && opt->uid != -1)
		return (fault_set(f, "bad_field", "user", "user: only for an "
		    "export of all users"));
	return (0);
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
	return (pseudonym_read(st->path, ex->key, f));
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
	ex->rated = sqlite3_column_int64(q, 2);
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

/* Write all pieces, then the manifest. */
static int
export_pieces(struct export *ex, FILE *out, json_t **to)
{
	json_t	*manifest;
	char	*s;
	size_t	 n;
	int	 r, i = vocabulary_find(vocabulary_formats, ex->opt->format);

	if ((r = export_begin(ex)) != 0)
		return (r);
	while ((r = export_piece(ex, export_writers[i], out)) == 1)
		;
	if (r != 0 || (!ex->opt->trailer && to == NULL) || ferror(out))
		return (r);
	if ((manifest = export_manifest(ex)) == NULL)
		return (CHAT_ESYSTEM);
	if (to != NULL) {
		*to = manifest;
		return (0);
	}
	s = msg_line(manifest, &n);
	putc('\0', out);
	fwrite(s, 1, n, out);
	free(s);
	json_decref(manifest);
	return (0);
}

/* Write one export. */
int
export_make(const struct export_options *opt, const char *path, FILE *out,
    json_t **manifest, struct fault *f)
{
	struct export	 ex = { .opt = opt, .uid = opt->uid };
	int		 r;

	if ((r = export_check(opt, f)) != 0)
		return (r);
	if (opt->rating != NULL)
		ex.rating = (enum export_rating)vocabulary_find(
		    vocabulary_choices, opt->rating);
	else if (vocabulary_format_use(opt->format) == FORMAT_RECORDS)
		ex.rating = RATING_ALL;
	ex.st.path = xstrdup(path);
	if ((r = export_open(&ex, f)) != 0)
		goto out;
	if ((r = export_pieces(&ex, out, manifest)) != 0)
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
	free(ex.seen);
	return (r);
}
