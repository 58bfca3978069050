/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The amount of data that each user has stored.  Each operation reports by how
 * many bytes an exchange has grown.  Triggers in the database (schema.c) keep
 * the sum for each user, so a check of a quota only compares numbers.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

static int	account_over(struct store_request *, const char *,
		    const char *, int64_t, int64_t);

/* An exchange has grown. */
int
account_grow(struct store *st, int64_t exchange, int64_t uid, int64_t bytes)
{
	return (sql_run(st, "INSERT INTO size (exchange, uid, bytes) "
	    "VALUES (?, ?, ?) ON CONFLICT (exchange) DO UPDATE SET "
	    "bytes = bytes + excluded.bytes", "iii", exchange, uid, bytes));
}

/* Is text the name of an account, as far as we know it? A name of digits stands
 * for a number that has no name. */
int
account_is_name(const char *text)
{
	return (text != NULL && text[strspn(text, "0123456789")] != '\0');
}

/* Find the account number of "user", a number or a name that the account had
 * when it was last seen. */
int
account_find(struct store *st, const char *user, const char *field,
    int64_t *uid, struct fault *f)
{
	sqlite3_stmt	*q;
	int64_t		 other;
	int		 r;

	if (!account_is_name(user)) {
		*uid = strtoll(user, NULL, 10);
		return (strlen(user) > 0 && strlen(user) <= 15 ? 0 :
		    fault_set(f, "bad_field", field, "%s: expected the name "
		    "or number of an account, found \"%s\"", field, user));
	}
	if ((r = sql_open(st, &q, "SELECT uid FROM account WHERE name = ? "
	    "ORDER BY uid", "s", user)) != 0 || (r = sql_step(st, q)) < 0)
		return (r);
	if (r == 0)
		return (fault_set(f, "not_found", field, "%s has stored "
		    "nothing under that name; try the number of the account",
		    user));
	*uid = sqlite3_column_int64(q, 0);
	if ((r = sql_step(st, q)) != 1)
		return (r);
	other = sqlite3_column_int64(q, 0);
	sql_end(q);
	return (fault_set(f, "bad_field", field, "%s is the name of the "
	    "accounts %lld and %lld: expected one of the numbers", user,
	    (long long)*uid, (long long)other));
}

/* Note the name of an account that has stored something. */
int
account_named(struct store *st, int64_t uid, const char *name)
{
	if (!account_is_name(name))
		return (0);
	return (sql_run(st, "UPDATE account SET name = ?2 "
	    "WHERE uid = ?1 AND name IS NOT ?2", "is", uid, name));
}

/* Compare usage with a limit: refuse, warn, or do nothing. */
static int
account_over(struct store_request *req, const char *field, const char *words,
    int64_t used, int64_t limit)
{
	json_t	*near;

	if (limit == 0)
		return (0);
	if (used > limit) {
		req->used = used;
		req->limit = limit;
		return (fault_set(&req->fault, "quota", field, "this would "
		    "make %lld %s, at most %lld are kept for a user: delete "
		    "some first", (long long)used, words, (long long)limit));
	}
	if (used < limit - limit / 10)
		return (0);
	near = json_object();
	msg_set_string(near, "field", field);
	msg_set_int(near, "used", used);
	msg_set_int(near, "limit", limit);
	msg_set(req->done, "near", near);
	return (0);
}

/* Is the user within the quota? */
int
account_check(struct store *st, struct store_request *req, int64_t uid,
    int made, const struct account_quota *q)
{
	sqlite3_stmt	*row;
	int64_t		 conversations, bytes;
	int		 r;

	if (q->conversations == 0 && q->bytes == 0)
		return (0);
	if ((r = sql_open(st, &row, "SELECT conversations, bytes "
	    "FROM account WHERE uid = ?", "i", uid)) != 0 ||
	    (r = sql_step(st, row)) != 1)
		return (r);
	conversations = sqlite3_column_int64(row, 0);
	bytes = sqlite3_column_int64(row, 1);
	sql_end(row);
	if (made && (r = account_over(req, "conversations", "conversations",
	    conversations, q->conversations)) != 0)
		return (r);
	return (account_over(req, "bytes", "bytes", bytes, q->bytes));
}
