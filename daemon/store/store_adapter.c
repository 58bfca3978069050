/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapters that wrote replies.
 */
#include "store.h"

#include "json.h"
#include "vocabulary.h"
#include "xmalloc.h"

/* Find or create the row of an adapter. */
int
store_adapter(struct store *st, json_t *adapter, int64_t *id,
    struct fault *f)
{
	struct { const char *name, *digest; } a = { "", "" };
	const struct field	 fields[] = {
		{ "name", FIELD_STRING, FIELD_REQUIRED, 0, ADAPTER_NAME_MAX,
		    0 },
		{ "digest", FIELD_STRING, FIELD_REQUIRED, 0, 256,
		    sizeof a.name },
	};
	int			 r;

	*id = 0;
	if (adapter == NULL)
		return (0);
	if ((r = fields_read(adapter, fields, nitems(fields), &a, f)) != 0)
		return (r);
	if ((r = sql_int(st, id, "SELECT id FROM adapter WHERE name = ? AND "
	    "digest = ?", "ss", a.name, a.digest)) != 0)
		return (r == 1 ? 0 : r);
	if ((r = sql_run(st, "INSERT INTO adapter (name, digest) VALUES (?, "
	    "?)", "ss", a.name, a.digest)) != 0)
		return (r);
	*id = sqlite3_last_insert_rowid(st->db);
	return (0);
}

/* Tell which adapter wrote a reply. */
void
store_adapter_tell(json_t *msg, sqlite3_stmt *q, int col)
{
	json_t	*o;

	if (sqlite3_column_type(q, col) != SQLITE_NULL) {
		o = json_object();
		sql_text(o, "name", q, col);
		sql_text(o, "digest", q, col + 1);
		msg_set(msg, "adapter", o);
	}
	msg_set_bool(msg, "assigned", sqlite3_column_int(q, col + 2));
}
