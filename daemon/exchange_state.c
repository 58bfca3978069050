/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States and events of an exchange: one table, read by exchange_move and
 * walked by a test.
 */
#include "exchange_impl.h"

#include "log.h"

#define NO	EXCHANGE_STATES
#define RECV	EXCHANGE_RECEIVED
#define BEGI	EXCHANGE_BEGINNING
#define SCRE	EXCHANGE_SCREENING
#define QUEU	EXCHANGE_QUEUED
#define GENE	EXCHANGE_GENERATING
#define HELD	EXCHANGE_HELD
#define COMM	EXCHANGE_COMMITTING
#define GONE	EXCHANGE_GONE

/*
 * Some cells that need a reason:
 *   screening, SCREEN	first the pre-prompt, then the prompt
 *   queued, QUEUE	the engine is up again
 *   queued, WRITTEN	a cancelled reply may end before it has started
 *   queued, LOST	the engine died before it had started the reply
 *   queued, JUDGED	text from before the engine's death
 */
const struct exchange_rule exchange_rules[EXCHANGE_STATES] = {
	/* BEGIN SCREEN QUEUE START TEXT WRITTEN LOST JUDGED END AGAIN STORED
	 * FORGET */
	[EXCHANGE_RECEIVED] = { "received", 0,
	    { BEGI, NO, NO, NO, NO, NO, NO, NO, COMM, NO, NO, GONE } },
	[EXCHANGE_BEGINNING] = { "beginning", WAITS_STORE,
	    { NO, SCRE, QUEU, NO, NO, NO, NO, NO, COMM, NO, NO, GONE } },
	[EXCHANGE_SCREENING] = { "screening", WAITS_FILTER,
	    { NO, SCRE, QUEU, NO, NO, NO, NO, NO, COMM, NO, NO, GONE } },
	[EXCHANGE_QUEUED] = { "queued", WAITS_ENGINE | WAITS_FILTER,
	    { NO, NO, QUEU, GENE, NO, HELD, QUEU, QUEU, COMM, NO, NO,
	    GONE } },
	[EXCHANGE_GENERATING] = { "generating", WAITS_ENGINE | WAITS_FILTER,
	    { NO, NO, NO, NO, GENE, HELD, QUEU, GENE, COMM, NO, NO, GONE } },
	[EXCHANGE_HELD] = { "held", WAITS_FILTER,
	    { NO, NO, NO, NO, NO, NO, NO, HELD, COMM, NO, NO, GONE } },
	[EXCHANGE_COMMITTING] = { "committing", WAITS_STORE,
	    { NO, NO, NO, NO, NO, NO, NO, NO, NO, COMM, GONE, GONE } },
	[EXCHANGE_GONE] = { "gone", 0,
	    { NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO } },
};

/* May this event come now? */
int
exchange_allows(const struct exchange *x, enum exchange_event e)
{
	return (exchange_rules[x->state].next[e] != EXCHANGE_STATES);
}

/* Change the state after an event. */
void
exchange_move(struct exchange *x, enum exchange_event e)
{
	if (!exchange_allows(x, e))
		fatalx("exchange %lld: event %d while %s", (long long)x->id,
		    (int)e, exchange_rules[x->state].name);
	x->state = exchange_rules[x->state].next[e];
}

/* Compare the outstanding requests with the table. */
int
exchange_is_sound(const struct exchange *x)
{
	const int	 waits = exchange_rules[x->state].waits;

	return ((x->store_req == 0 || (waits & WAITS_STORE) != 0) &&
	    (x->engine_req == 0 || (waits & WAITS_ENGINE) != 0) &&
	    (x->judge == NULL || (waits & WAITS_FILTER) != 0) &&
	    (x->modeljudge == NULL || x->state == EXCHANGE_SCREENING) &&
	    (!x->failing || x->state == EXCHANGE_COMMITTING));
}
