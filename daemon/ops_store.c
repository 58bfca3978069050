/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations that the store answers: ratings, search and statistics.
 */
#include "ops_impl.h"

#include "clock.h"
#include "protocol.h"
#include "xmalloc.h"

/* rate: a person's opinion of a reply, or an operator's decision about a block
 * of somebody else. */
void
ops_rate(struct request *r, struct ops_args *a)
{
	struct fault	 f;
	json_t		*m;

	if (a->review && !r->operator) {
		request_fail(r, "denied", "review: for operators only");
		return;
	}
	if (ops_prompt(r, "ideal", a->ideal, &f) != 0 ||
	    ops_prompt(r, "comment", a->comment, &f) != 0) {
		request_fault(r, &f);
		return;
	}
	m = ops_to_store(r, "rate", a->review);
	msg_set_int(m, "exchange", a->exchange);
	if (a->reply > 0)
		msg_set_int(m, "reply", a->reply);
	/* Fields that are not given keep the values of the user's last
	 * rating. */
	if (a->thumb != OPS_NO_THUMB)
		msg_set_int(m, "thumb", a->thumb);
	msg_set(m, "reasons", json_incref(a->reasons));
	msg_set_string(m, "ideal", a->ideal);
	msg_set_string(m, "comment", a->comment);
	msg_set_string(m, "name", peer_name(r->uid));
	msg_set_int(m, "time", clock_wall());
	relay_quota(r, m);
	relay_store(r, m);
}

/* unrate: take the newest rating of a reply back. */
void
ops_unrate(struct request *r, struct ops_args *a)
{
	json_t	*m = ops_to_store(r, "unrate", 0);

	msg_set_int(m, "rating", a->rated);
	relay_store(r, m);
}

/* consent: may the user's conversations be used for training? */
void
ops_consent(struct request *r, struct ops_args *a)
{
	json_t	*m = ops_to_store(r, "consent", 0);

	msg_set_string(m, "consent", a->word);
	if (a->conversation > 0)
		msg_set_int(m, "conversation", a->conversation);
	msg_set_string(m, "name", peer_name(r->uid));
	relay_store(r, m);
}

/* import: a row of an export. */
void
ops_import(struct request *r, struct ops_args *a)
{
	json_t	*m = msg_op("import", -1);

	msg_set_string(m, "row", a->word);
	relay_store(r, m);
}

/* Put a filter into a message. */
void
ops_filter(json_t *m, const struct ops_args *a)
{
	if (a->since > 0)
		msg_set_int(m, "since", a->since);
	if (a->until > 0)
		msg_set_int(m, "until", a->until);
	msg_set_string(m, "rating", a->rating);
	msg_set_string(m, "reason", a->reason);
	msg_set_string(m, "category", a->category);
	msg_set_string(m, "model", a->model);
	msg_set_string(m, "user", a->user);
}

/* Is this about the data of others, which only operators may see? Then r has
 * been refused if its user is not one. */
static int
ops_refused(struct request *r, const char *field, int others)
{
	if (!others || r->operator)
		return (0);
	request_fail(r, "denied", "%s: for operators only", field);
	return (1);
}

/* search: exchanges with these words, or what an operator has to review. */
void
ops_search(struct request *r, struct ops_args *a)
{
	json_t	*m;

	if (ops_refused(r, "all", a->all) ||
	    ops_refused(r, "review", a->queue != NULL))
		return;
	m = ops_to_store(r, "search", 1);
	msg_set_string(m, "query", a->query);
	msg_set_string(m, "review", a->queue);
	if (a->before > 0)
		msg_set_int(m, "before", a->before);
	msg_set_int(m, "limit", a->limit);
	if (a->all)
		msg_set_bool(m, "all", 1);
	ops_filter(m, a);
	relay_read(r, m);
}

/* stats: how much there is, how it was rated, and how far raters agree. */
void
ops_stats(struct request *r, struct ops_args *a)
{
	json_t	*m;

	if (ops_refused(r, "all", a->all))
		return;
	m = ops_to_store(r, "count", 1);
	msg_set_int(m, "limit", 1);
	if (a->all)
		msg_set_bool(m, "all", 1);
	ops_filter(m, a);
	relay_read(r, m);
}

/* ab: how the replies of each variant were rated. */
void
ops_ab(struct request *r, struct ops_args *a)
{
	json_t	*m = ops_to_store(r, "ab", 1);

	msg_set_int(m, "limit", 1);
	if (a->any)
		msg_set_bool(m, "any", 1);
	ops_filter(m, a);
	relay_read(r, m);
}
