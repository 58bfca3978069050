/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversations: creation and titles.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "utf8.h"
#include "xmalloc.h"

struct new_args {
	const char		*title, *name;
	int64_t			 uid, time;
	struct account_quota	 quota;
};

#define A(member) offsetof(struct new_args, member)
static const struct field new_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "name", FIELD_STRING, FIELD_NULLABLE, 0, 256, A(name) },
	{ "title", FIELD_STRING, FIELD_NULLABLE, 0, 0, A(title) },
	{ "time", FIELD_INT, FIELD_REQUIRED, 0, JSON_INT_MAX, A(time) },
	ACCOUNT_FIELDS(A(quota)),
};
#undef A

/* Make a title: control characters and line ends become spaces. */
char *
store_title(const char *text)
{
	size_t		 n = strlen(text), i = 0, k = 0, chars = 0;
	char		*title;
	uint32_t	 cp;
	int		 len;

	title = xmalloc(STORE_TITLE_CHARS * 4 + 1);
	while (i < n && chars < STORE_TITLE_CHARS) {
		if ((len = utf8_decode(text + i, n - i, &cp)) <= 0)
			break;
		if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 ||
		    cp == 0x2029)
			cp = ' ';
		i += (size_t)len;
		if (cp == ' ' && (k == 0 || title[k - 1] == ' '))
			continue;
		k += (size_t)utf8_encode(cp, title + k);
		chars++;
	}
	while (k > 0 && title[k - 1] == ' ')
		k--;
	title[k] = '\0';
	return (title);
}

/* new: an empty conversation. */
int
store_new(struct store *st, struct store_request *req)
{
	struct new_args	 a = { .title = "" };
	char		*title;
	int		 r;

	if ((r = fields_read(req->msg, new_fields, nitems(new_fields), &a,
	    &req->fault)) != 0)
		return (r);
	title = store_title(a.title);
	r = sql_run(st, "INSERT INTO conversation (uid, title, created, "
	    "updated, name) VALUES (?1, ?2, ?3, ?3, ?4)", "isis", a.uid, title,
	    a.time, a.name);
	free(title);
	if (r != 0)
		return (r);
	msg_set_int(req->done, "conversation",
	    sqlite3_last_insert_rowid(st->db));
	if ((r = account_named(st, a.uid, a.name)) != 0)
		return (r);
	return (account_check(st, req, a.uid, 1, &a.quota));
}
