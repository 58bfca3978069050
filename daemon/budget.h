/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time of chatd's loop that is spent on one account. While chatd reads the
 * lines of one account, or passes on its answers, it can serve nobody else. So
 * an account gets a quarter of the loop's time, plus a short burst. An account
 * that stays below that never waits.
 */
#ifndef DAEMON_BUDGET_H
#define DAEMON_BUDGET_H

#include <event2/event.h>
#include <stdint.h>
#include <sys/types.h>

struct budget;

/* wake is called when an account that had to wait may continue, see
 * budget_later. */
struct budget	*budget_new(struct event_base *base, void (*wake)(void *arg),
		    void *arg);
void		 budget_free(struct budget *b);

/* Milliseconds until work may be done for the account; 0: now. A budget that
 * is NULL limits nothing. */
int64_t		 budget_wait(const struct budget *b, uid_t uid);

/* Have wake called in ms, or before. */
void		 budget_later(struct budget *b, int64_t ms);

/* Charge the account for us microseconds. */
void		 budget_charge(struct budget *b, uid_t uid, int64_t us);

#endif
