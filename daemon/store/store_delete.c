/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delete: remove a conversation or a raw prompt with everything that belongs to
 * it.
 */
#include "store.h"

#include <string.h>

#include "json.h"
#include "protocol.h"
#include "xmalloc.h"

struct delete_args {
	const char	*name;
	int64_t		 uid, conversation, exchange;
	int		 admin;
};

static int	store_delete_find(struct store *, const struct delete_args *,
		    struct store_request *);

#define A(member) offsetof(struct delete_args, member)
static const struct field store_delete_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "name", FIELD_STRING, FIELD_NULLABLE, 0, 256, A(name) },
	{ "conversation", FIELD_INT, FIELD_NULLABLE, 1, JSON_INT_MAX,
	    A(conversation) },
	{ "exchange", FIELD_INT, FIELD_NULLABLE, 1, JSON_INT_MAX,
	    A(exchange) },
	{ "admin", FIELD_BOOL, 0, 0, 0, A(admin) },
};
#undef A

/* Check that it exists and that the user may delete it. Sets its kind, id and
 * owner in done. */
static int
store_delete_find(struct store *st, const struct delete_args *a,
    struct store_request *req)
{
	const char	*what = a->exchange != 0 ? "exchange" :
			    "conversation";
	int64_t		 uid = 0, in = 0;
	int64_t		 id = a->exchange != 0 ? a->exchange :
			    a->conversation;
	int		 r;

	if ((a->conversation != 0) == (a->exchange != 0))
		return (fault_set(&req->fault, "bad_field", "conversation",
		    "expected conversation or exchange%s", id == 0 ? "" :
		    ", not both"));
	if (a->exchange != 0)
		r = sql_int(st, &uid, "SELECT uid FROM exchange "
		    "WHERE id = ?1 AND (uid = ?2 OR ?3)", "iii", id, a->uid,
		    (int64_t)a->admin);
	else
		r = sql_int(st, &uid, "SELECT uid FROM conversation "
		    "WHERE id = ?1 AND (uid = ?2 OR ?3)", "iii", id, a->uid,
		    (int64_t)a->admin);
	if (r == 0)
		return (fault_set(&req->fault, "not_found", what, "no %s %lld",
		    what, (long long)id));
	msg_set_int(req->done, "uid", uid);
	msg_set_int(req->done, what, id);
	if (r < 0 || a->exchange == 0)
		return (r < 0 ? r : 0);
	if ((r = sql_int(st, &in, "SELECT conversation FROM exchange "
	    "WHERE id = ?", "i", id)) == 1)
		return (fault_set(&req->fault, "bad_field", "exchange",
		    "exchange %lld is part of conversation %lld: only the "
		    "whole of it can be deleted", (long long)id,
		    (long long)in));
	return (r);
}

/* delete */
int
store_delete(struct store *st, struct store_request *req)
{
	struct delete_args	a = { 0 };
	int			r;

	if ((r = fields_read(req->msg, store_delete_fields,
	    nitems(store_delete_fields),
	    &a, &req->fault)) != 0 || (r = store_delete_find(st, &a, req)) != 0)
		return (r);
	if (a.exchange != 0)
		r = sql_run(st, "DELETE FROM exchange WHERE id = ?", "i",
		    a.exchange);
	else
		r = sql_run(st, "DELETE FROM conversation WHERE id = ?", "i",
		    a.conversation);
	if (r == 0)
		st->wipe = st->purge = st->shrink = 1;
	return (r);
}
