/*
 * An export: a read-only connection, one read transaction, and a writer of
 * lines.  The store that writes is not disturbed; what the formats choose is
 * in the files of the formats.
 */
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

static int	export_open(struct export *, struct fault *);

static const struct {
	const char	*name;
	int		(*write)(struct export *);
} export_formats[] = {
	{ "oig", export_oig },
	{ "messages", export_messages },
	{ "preference", export_preference },
	{ "csv", export_csv },
};

/* Is there such a format? */
int
export_known(const char *format)
{
	size_t	i;

	for (i = 0; i < nitems(export_formats); i++) {
		if (strcmp(format, export_formats[i].name) == 0)
			return (1);
	}
	return (0);
}

/* Write a line. */
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

/* Open the database for reading, and see that it is one of ours. */
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

/* Write one export. */
int
export_run(const char *format, const char *path, int64_t uid, FILE *out,
    struct fault *f)
{
	struct export	 ex = { .out = out, .uid = uid };
	size_t		 i;
	int		 r;

	ex.st.path = xstrdup(path);
	if ((r = export_open(&ex, f)) != 0)
		goto out;
	r = sql_run(&ex.st, "BEGIN", "");
	for (i = 0; r == 0 && i < nitems(export_formats); i++) {
		if (strcmp(format, export_formats[i].name) == 0)
			r = export_formats[i].write(&ex);
	}
	if (r != 0)
		store_fault(&ex.st, f);
	else if (fflush(out) != 0 || ferror(out)) {
		r = errno == EPIPE ? CHAT_ECLOSED : CHAT_ESYSTEM;
		fault_set(f, "store_unavailable", NULL,
		    "writing the export: %s", strerror(errno));
	}
out:
	sql_clear(&ex.st);
	sqlite3_close(ex.st.db);
	free(ex.st.path);
	return (r);
}
