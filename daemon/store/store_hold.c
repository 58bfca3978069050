/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts whose number was given to somebody else.  The name of each account
 * is kept.  If a number comes with another name, what it has stored belongs to
 * the one before: it is held under a number that no account can have, and only
 * operators see it.  They erase it (forget), or give it to an account (adopt),
 * for example if the account was only renamed.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "log.h"
#include "protocol.h"
#include "pseudonym.h"
#include "xmalloc.h"

#define HOLD_STEP	4294967296LL	/* above every number of an account */
#define HOLD_OLD	4294967296LL	/* what is held began here, among the
					 * imported users */

struct adopt_args {
	const char	*from, *to, *name;
	int64_t		 uid;
};

static int	store_hold_name(struct store *, int64_t, char **);
static int	store_hold_move(struct store *, int64_t, int64_t);
static int	store_hold_free(struct store *, int64_t, int64_t *);
static int	store_hold_begin(struct store *, int64_t, const char *,
		    const char *);

#define A(member) offsetof(struct adopt_args, member)
static const struct field store_adopt_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "name", FIELD_STRING, FIELD_NULLABLE, 0, 256, A(name) },
	{ "from", FIELD_STRING, FIELD_REQUIRED, 1, 256, A(from) },
	{ "to", FIELD_STRING, FIELD_REQUIRED, 1, 256, A(to) },
};
#undef A

/* Get the name that an account had when it was last seen (owned by the caller,
 * NULL: not known). */
static int
store_hold_name(struct store *st, int64_t uid, char **name)
{
	sqlite3_stmt	*q;
	int		 r;

	*name = NULL;
	if ((r = sql_open(st, &q, "SELECT name FROM account WHERE uid = ?",
	    "i", uid)) != 0 || (r = sql_step(st, q)) != 1)
		return (r);
	*name = xstrdup((const char *)sqlite3_column_text(q, 0));
	sql_end(q);
	return (0);
}

/* Give all that one number has stored to another number. */
static int
store_hold_move(struct store *st, int64_t from, int64_t to)
{
	static const char *const moves[] = {
		"INSERT INTO account (uid) VALUES (?2) ON CONFLICT DO NOTHING",
		/* The sums of account move with the conversations and sizes. */
		"UPDATE account SET conversations = conversations + "
		    "(SELECT conversations FROM account WHERE uid = ?1), "
		    "bytes = bytes + (SELECT bytes FROM account "
		    "WHERE uid = ?1) WHERE uid = ?2",
		/* If one of the two has refused training (0), both have. */
		"UPDATE account SET consent = (SELECT min(consent) "
		    "FROM account WHERE uid IN (?1, ?2)) WHERE uid = ?2",
		"UPDATE account SET conversations = 0, bytes = 0, "
		    "consent = NULL WHERE uid = ?1 AND ?2 <> ?1",
		"UPDATE size SET uid = ?2 WHERE uid = ?1",
		"UPDATE exchange SET uid = ?2 WHERE conversation IN (SELECT id "
		    "FROM conversation WHERE uid = ?1)",
		"UPDATE exchange SET uid = ?2 WHERE conversation IS NULL "
		    "AND uid = ?1",
		"UPDATE conversation SET uid = ?2 WHERE uid = ?1",
		"UPDATE rating SET uid = ?2 WHERE uid = ?1",
		"UPDATE draft SET uid = ?2 WHERE uid = ?1",
	};
	size_t	 i;
	int	 r = 0;

	for (i = 0; r == 0 && i < nitems(moves); i++)
		r = sql_run(st, moves[i], "ii", from, to);
	return (r);
}

/* Find a number under which nothing is held. */
static int
store_hold_free(struct store *st, int64_t uid, int64_t *held)
{
	int64_t	there = 0;
	int	r;

	for (*held = uid + PSEUDONYM_HELD; (r = sql_int(st, &there,
	    "SELECT 1 FROM account WHERE uid = ?", "i", *held)) == 1;
	    *held += HOLD_STEP)
		;
	return (r);
}

/* The number belongs to somebody else now. */
static int
store_hold_begin(struct store *st, int64_t uid, const char *old,
    const char *name)
{
	int64_t	held, stored = 0;
	int	r;

	if ((r = sql_int(st, &stored, "SELECT 1 FROM account WHERE uid = ?1 "
	    "AND (conversations > 0 OR bytes > 0) UNION ALL SELECT 1 "
	    "FROM rating WHERE uid = ?1 LIMIT 1", "i", uid)) < 0)
		return (r);
	if (r == 1) {
		if ((r = store_hold_free(st, uid, &held)) != 0 ||
		    (r = store_hold_move(st, uid, held)) != 0 ||
		    (r = sql_run(st, "UPDATE account SET name = ?2 "
		    "WHERE uid = ?1", "is", held, old)) != 0)
			return (r);
		log_warnx("uid %lld was %s and is %s now: what %s has stored "
		    "is held as account %lld. See chatctl(1), adopt and "
		    "forget", (long long)uid, old, name, old,
		    (long long)held);
	}
	return (sql_run(st, "UPDATE account SET name = ?2 WHERE uid = ?1",
	    "is", uid, name));
}

/* Give accounts that are held under an old number a number of their own. An
 * imported user has no name in the table account. */
int
store_hold_settle(struct store *st)
{
	sqlite3_stmt	*q;
	int64_t		 from, to;
	int		 r;

	for (;;) {
		if ((r = sql_open(st, &q, "SELECT uid FROM account "
		    "WHERE uid >= ? AND uid < ? AND name IS NOT NULL LIMIT 1",
		    "ii", (int64_t)HOLD_OLD, (int64_t)PSEUDONYM_HELD)) != 0 ||
		    (r = sql_step(st, q)) != 1)
			return (r);
		from = sqlite3_column_int64(q, 0);
		sql_end(q);
		to = from - HOLD_OLD + PSEUDONYM_HELD;
		if ((r = sql_run(st, "BEGIN IMMEDIATE", "")) == 0 &&
		    (r = store_hold_move(st, from, to)) == 0 &&
		    (r = sql_run(st, "UPDATE account SET name = (SELECT name "
		    "FROM account WHERE uid = ?1) WHERE uid = ?2", "ii", from,
		    to)) == 0 &&
		    (r = sql_run(st, "DELETE FROM account WHERE uid = ?", "i",
		    from)) == 0)
			r = sql_run(st, "COMMIT", "");
		if (r != 0) {
			if (!sqlite3_get_autocommit(st->db))
				sqlite3_exec(st->db, "ROLLBACK", NULL, NULL,
				    NULL);
			return (r);
		}
		log_info("what is held as account %lld is held as account "
		    "%lld now", (long long)from, (long long)to);
	}
}

/* Compare the name in a message with the one that we know. */
int
store_hold(struct store *st, const json_t *msg)
{
	int64_t		 uid = msg_int(msg, "uid", -1);
	const char	*name = msg_string(msg, "name");
	char		*old;
	int		 r;

	if (uid < 0 || !account_is_name(name))
		return (0);
	if ((r = store_hold_name(st, uid, &old)) == 0 && account_is_name(old) &&
	    strcmp(old, name) != 0)
		r = store_hold_begin(st, uid, old, name);
	free(old);
	return (r);
}

/* Does that number belong to somebody else than name? */
int
store_is_held(struct store *st, int64_t uid, const char *name)
{
	char	*old;
	int	 r;

	if (!account_is_name(name))
		return (0);
	if ((r = store_hold_name(st, uid, &old)) == 0)
		r = account_is_name(old) && strcmp(old, name) != 0;
	free(old);
	return (r);
}

/* The same for a file. */
int
store_file_is_held(const char *path, int64_t uid, const char *name)
{
	struct store	 st = { .path = (char *)(uintptr_t)path };
	int		 r = 0;

	if (sqlite3_open_v2(path, &st.db, SQLITE_OPEN_READONLY, NULL) ==
	    SQLITE_OK) {
		sqlite3_busy_timeout(st.db, STORE_BUSY_MS);
		r = store_is_held(&st, uid, name) == 1;
	}
	sql_clear(&st);
	sqlite3_close(st.db);
	return (r);
}

/* adopt: give what is held to an account. */
int
store_adopt(struct store *st, struct store_request *req)
{
	struct adopt_args	a = { 0 };
	struct fault		*f = &req->fault;
	int64_t			 from, to, n = 0;
	int			 r;

	if ((r = fields_read(req->msg, store_adopt_fields,
	    nitems(store_adopt_fields), &a, f)) != 0 ||
	    (r = account_find(st, a.from, "from", &from, f)) != 0 ||
	    (r = account_find(st, a.to, "to", &to, f)) != 0)
		return (r);
	if (from < PSEUDONYM_HELD || to >= PSEUDONYM_IMPORTED)
		return (fault_set(f, "bad_field", from < PSEUDONYM_HELD ?
		    "from" : "to", "expected from an account that is held "
		    "(%lld or more) to one that is not", PSEUDONYM_HELD));
	if ((r = sql_int(st, &n, "SELECT conversations FROM account "
	    "WHERE uid = ?", "i", from)) < 0)
		return (r);
	if (r == 0)
		return (fault_set(f, "not_found", "from", "nothing is held as "
		    "account %lld", (long long)from));
	if ((r = sql_int(st, &n, "SELECT count(*) FROM rating a "
	    "JOIN reply r ON r.id = a.reply JOIN exchange e "
	    "ON e.id = r.exchange WHERE (a.uid = ?1 AND e.uid = ?2) "
	    "OR (a.uid = ?2 AND e.uid = ?1)", "ii", from, to)) < 0)
		return (r);
	if (n > 0)
		return (fault_set(f, "bad_field", "to", "account %lld has "
		    "rated replies of account %lld, so both can't be one",
		    (long long)to, (long long)from));
	if ((r = sql_int(st, &n, "SELECT count(*) FROM rating a JOIN rating b "
	    "ON b.reply = a.reply WHERE a.uid = ?1 AND b.uid = ?2", "ii",
	    from, to)) < 0)
		return (r);
	if (n > 0)
		return (fault_set(f, "bad_field", "to", "both accounts have "
		    "rated the same reply, so they can't be one"));
	if ((r = sql_run(st, "DELETE FROM draft WHERE uid = ?1 AND reply IN "
	    "(SELECT reply FROM draft WHERE uid = ?2)", "ii", from, to)) != 0 ||
	    (r = store_hold_move(st, from, to)) != 0 ||
	    (r = sql_run(st, "DELETE FROM account WHERE uid = ?", "i",
	    from)) != 0)
		return (r);
	msg_set_int(req->done, "from", from);
	msg_set_int(req->done, "to", to);
	return (0);
}
