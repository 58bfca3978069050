/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: all that the model had for a reply, and what it wrote; or a random
 * sample of replies that can be compared.
 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "protocol.h"
#include "xmalloc.h"

#define REPLAY_SAMPLE_MAX	200	/* replies in one answer */
#define REPLAY_SEED_MAX		0x7fffffff

/* SQL: the place of the reply r in the order of a seed, from 1 on. Each step is
 * a permutation of the numbers of 31 bits, so two replies never share a place:
 * times an odd number, and x ^ x >> 15. */
#define REPLAY_STEP(x)	"((" x " * 1103515245 + ?4) & 2147483647)"
#define REPLAY_FOLD(x)	"((" x " | (" x " >> 15)) - (" x " & (" x " >> 15)))"
#define REPLAY_PLACE \
	"SELECT id, exchange, 1 + " REPLAY_STEP("y") " AS place FROM (SELECT " \
	"*, " REPLAY_FOLD("x") " AS y FROM (SELECT r.id, r.exchange, " \
	REPLAY_STEP("(r.id & 2147483647)") " AS x FROM reply r "

struct replay_args {
	int64_t		 uid, exchange, reply, sample;
	int64_t		 seed;		/* of the order; 0: a new one */
	int64_t		 after;		/* the place before; 0: none */
	int		 admin, all;
};

static int	store_replay_sample(struct store *, struct replay_args *,
		    json_t *);
static void	store_replay_ids(json_t *, sqlite3_stmt *, int);
static int	store_replay_history(struct store *, int64_t, int64_t, int64_t,
		    json_t *);
static int	store_replay_reply(struct store *, const struct replay_args *,
		    struct store_request *);

#define A(member) offsetof(struct replay_args, member)
static const struct field store_replay_fields[] = {
	{ "uid", FIELD_INT, FIELD_REQUIRED, 0, STORE_UID_MAX, A(uid) },
	{ "exchange", FIELD_INT, FIELD_NULLABLE, 1, JSON_INT_MAX,
	    A(exchange) },
	{ "reply", FIELD_INT, FIELD_NULLABLE, 1, JSON_INT_MAX, A(reply) },
	{ "sample", FIELD_INT, FIELD_NULLABLE, 1, REPLAY_SAMPLE_MAX,
	    A(sample) },
	{ "seed", FIELD_INT, FIELD_NULLABLE, 1, REPLAY_SEED_MAX, A(seed) },
	{ "after", FIELD_INT, FIELD_NULLABLE, 1, JSON_INT_MAX, A(after) },
	{ "all", FIELD_BOOL, 0, 0, 0, A(all) },
	{ "admin", FIELD_BOOL, 0, 0, 0, A(admin) },
};
#undef A

/* Draw replies that have tokens: those that come next in the order of the
 * seed. */
static int
store_replay_sample(struct store *st, struct replay_args *a, json_t *done)
{
	sqlite3_stmt	*q;
	json_t		*list = json_array(), *o;
	uint32_t	 seed;
	int		 r;

	if (a->seed == 0) {
		sqlite3_randomness(sizeof seed, &seed);
		a->seed = 1 + seed % REPLAY_SEED_MAX;
	}
	msg_set(done, "replies", list);
	msg_set_int(done, "seed", a->seed);
	if ((r = sql_open(st, &q, "SELECT * FROM (" REPLAY_PLACE
	    "JOIN exchange e ON e.id = r.exchange WHERE r.ids <> x'' "
	    "AND r.state <> 'running' AND (?1 OR e.uid = ?2)))) "
	    "WHERE place > ?5 ORDER BY place LIMIT ?3", "iiiii",
	    (int64_t)a->all, a->uid, a->sample, a->seed, a->after)) != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1) {
		o = json_object();
		sql_integer(o, "reply", q, 0);
		sql_integer(o, "exchange", q, 1);
		json_array_append_new(list, o);
		a->after = sqlite3_column_int64(q, 2);
	}
	msg_set_int(done, "after", a->after);
	return (r);
}

/* Set "ids" to the tokens in a column: uint32, least significant byte first. */
static void
store_replay_ids(json_t *done, sqlite3_stmt *q, int col)
{
	const unsigned char	*p = sqlite3_column_blob(q, col);
	json_t			*ids = json_array();
	int			 i, n = sqlite3_column_bytes(q, col);

	for (i = 0; i + 4 <= n; i += 4)
		json_array_append_new(ids, json_integer(p[i] |
		    p[i + 1] << 8 | p[i + 2] << 16 |
		    (json_int_t)p[i + 3] << 24));
	msg_set(done, "ids", ids);
}

/* Read the earlier turns as they were when the reply was begun: with the newest
 * reply of each that there was. Newest first, as many as fit. */
static int
store_replay_history(struct store *st, int64_t exchange, int64_t reply,
    int64_t left, json_t *history)
{
	sqlite3_stmt	*q;
	json_t		*turn;
	int		 r;

	if ((r = sql_open(st, &q, "SELECT e.prompt, r.text FROM exchange e "
	    "JOIN reply r ON r.id = (SELECT max(id) FROM reply "
	    "WHERE exchange = e.id AND id < ?2) WHERE e.id < ?1 AND "
	    "e.conversation = (SELECT conversation FROM exchange "
	    "WHERE id = ?1) AND e.id >= ifnull((SELECT max(t.id) FROM "
	    "exchange t WHERE t.conversation = e.conversation AND t.topic = 1 "
	    "AND t.id <= ?1), 0) AND r.state IN ('done', 'cancelled', "
	    "'interrupted') AND r.text <> '' ORDER BY e.id DESC", "ii",
	    exchange, reply)) != 0)
		return (r);
	while ((r = sql_step(st, q)) == 1) {
		left -= sqlite3_column_bytes(q, 0) +
		    sqlite3_column_bytes(q, 1);
		if (left < 0) {
			sql_end(q);
			return (0);
		}
		turn = json_object();
		sql_text(turn, "prompt", q, 0);
		sql_text(turn, "reply", q, 1);
		json_array_insert_new(history, 0, turn);
	}
	return (r);
}

/* Answer with one reply, the newest one if none is named. */
static int
store_replay_reply(struct store *st, const struct replay_args *a,
    struct store_request *req)
{
	json_t		*d = req->done, *history = json_array(), *model;
	sqlite3_stmt	*q;
	int64_t		 reply, room;
	int		 r;

	msg_set(d, "history", history);
	if ((r = sql_open(st, &q, "SELECT r.id, e.id, e.conversation, "
	    "e.prompt, e.preprompt, r.params, r.ids, r.state, r.stop, "
	    "r.prompt_tokens, r.dropped, r.build, m.digest, m.precision, "
	    "l.name, l.digest, r.assigned FROM exchange e JOIN reply r "
	    "ON r.exchange = e.id JOIN model m ON m.id = r.model "
	    "LEFT JOIN adapter l ON l.id = r.adapter WHERE e.id = ?1 AND "
	    "(e.uid = ?2 OR ?3) AND ?4 IN (0, r.id) ORDER BY r.id DESC "
	    "LIMIT 1", "iiii", a->exchange, a->uid, (int64_t)a->admin,
	    a->reply)) != 0 || (r = sql_step(st, q)) < 0)
		return (r);
	if (r == 0)
		return (fault_set(&req->fault, "not_found", "exchange",
		    "no exchange %lld with such a reply",
		    (long long)a->exchange));
	reply = sqlite3_column_int64(q, 0);
	msg_set_int(d, "reply", reply);
	sql_integer(d, "exchange", q, 1);
	msg_set(d, "conversation", json_null());
	sql_integer(d, "conversation", q, 2);
	sql_text(d, "prompt", q, 3);
	sql_text(d, "preprompt", q, 4);
	sql_json(d, "params", q, 5);
	store_replay_ids(d, q, 6);
	sql_text(d, "state", q, 7);
	sql_text(d, "stop", q, 8);
	sql_integer(d, "prompt_tokens", q, 9);
	sql_integer(d, "dropped", q, 10);
	sql_text(d, "build", q, 11);
	model = json_object();
	sql_text(model, "digest", q, 12);
	sql_text(model, "precision", q, 13);
	msg_set(d, "model", model);
	store_adapter_tell(d, q, 14);
	room = TEXT_BYTES_MAX - sqlite3_column_bytes(q, 3);
	sql_end(q);
	return (store_replay_history(st, a->exchange, reply,
	    room < HISTORY_BYTES_MAX ? room : HISTORY_BYTES_MAX, history));
}

/* replay */
int
store_replay(struct store *st, struct store_request *req)
{
	struct replay_args	a = { 0 };
	int			r;

	if ((r = fields_read(req->msg, store_replay_fields,
	    nitems(store_replay_fields), &a, &req->fault)) != 0)
		return (r);
	if ((a.sample != 0) == (a.exchange != 0))
		return (fault_set(&req->fault, "bad_field", "exchange",
		    "expected either exchange or sample"));
	if (a.all && !a.admin)
		return (fault_set(&req->fault, "denied", "all",
		    "all: for operators only"));
	return (a.sample != 0 ? store_replay_sample(st, &a, req->done) :
	    store_replay_reply(st, &a, req));
}
