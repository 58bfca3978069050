/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consent: may a user's conversations be used for training?  What is said about
 * one conversation goes before what is said about all.
 */
#include "store.h"

#include <string.h>

#include "json.h"
#include "protocol.h"
#include "vocabulary.h"
#include "xmalloc.h"

struct consent_args {
	const char	*consent, *name;
	int64_t		 uid, conversation;
};

static const char *const consent_words[] = { "no", "yes", "unset", NULL };

#define A(member) offsetof(struct consent_args, member)
static const struct field store_consent_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "conversation", FIELD_INT, FIELD_NULLABLE, 1, JSON_INT_MAX,
	    A(conversation) },
	{ "consent", FIELD_STRING, FIELD_NULLABLE, 0, 16, A(consent) },
	{ "name", FIELD_STRING, FIELD_NULLABLE, 0, 256, A(name) },
};
#undef A

static int	store_consent_set(struct store *, const struct consent_args *,
		    struct fault *);
static int	store_consent_get(struct store *, const struct consent_args *,
		    json_t *);

/* Note what the user says. */
static int
store_consent_set(struct store *st, const struct consent_args *a,
    struct fault *f)
{
	int	word = vocabulary_find(consent_words, a->consent), r;

	if (word == -1)
		return (vocabulary_fault(f, "bad_field", "consent",
		    consent_words, a->consent));
	if (a->conversation != 0)
		return (sql_run(st, "UPDATE conversation SET consent = "
		    "nullif(?2, 2) WHERE id = ?1", "ii", a->conversation,
		    (int64_t)word));
	if ((r = sql_run(st, "INSERT INTO account (uid, consent) "
	    "VALUES (?1, nullif(?2, 2)) ON CONFLICT (uid) DO UPDATE SET "
	    "consent = excluded.consent", "ii", a->uid, (int64_t)word)) != 0)
		return (r);
	return (account_named(st, a->uid, a->name));
}

/* Answer with what holds now. */
static int
store_consent_get(struct store *st, const struct consent_args *a, json_t *done)
{
	int64_t	v = 0;
	int	r;

	if (a->conversation != 0)
		r = sql_int(st, &v, "SELECT consent FROM v_conversation "
		    "WHERE conversation = ?", "i", a->conversation);
	else
		r = sql_int(st, &v, "SELECT consent FROM account "
		    "WHERE uid = ?", "i", a->uid);
	if (r < 0)
		return (r);
	msg_set_string(done, "consent", consent_words[r == 0 ? 2 : v != 0]);
	return (0);
}

/* consent */
int
store_consent(struct store *st, struct store_request *req)
{
	struct consent_args	 a = { 0 };
	int64_t			 uid = -1;
	int			 r;

	if ((r = fields_read(req->msg, store_consent_fields,
	    nitems(store_consent_fields), &a, &req->fault)) != 0)
		return (r);
	if (a.conversation != 0) {
		if ((r = sql_int(st, &uid, "SELECT uid FROM conversation "
		    "WHERE id = ?", "i", a.conversation)) < 0)
			return (r);
		if (r == 0 || uid != a.uid)
			return (fault_set(&req->fault, "not_found",
			    "conversation", "no conversation %lld",
			    (long long)a.conversation));
	}
	if (a.consent != NULL &&
	    (r = store_consent_set(st, &a, &req->fault)) != 0)
		return (r);
	return (store_consent_get(st, &a, req->done));
}
