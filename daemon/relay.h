/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that the store answers.
 */
#ifndef DAEMON_RELAY_H
#define DAEMON_RELAY_H

#include <jansson.h>

struct chatd;
struct request;

/* Send msg (taken) to the store; its done or error ends r. */
void	 relay_store(struct request *r, json_t *msg);
/* The same for a deletion, which is logged if r is not the owner's. */
void	 relay_delete(struct request *r, json_t *msg);
/* The same for forget and adopt; what an operator does to others is logged. */
void	 relay_forget(struct request *r, json_t *msg);
void	 relay_adopt(struct request *r, json_t *msg);
/* The same for list and show: the items are passed on as fast as the client
 * reads them, and accounts take turns. */
void	 relay_read(struct request *r, json_t *msg);
/* Continue the reads that wait: there may be room or budget again. */
void	 relay_next(struct chatd *d);

/* Add the quotas of r's account to a message for the store. */
void	 relay_quota(const struct request *r, json_t *msg);
/* Send the notice quota_near, if the store's answer asks for it. */
void	 relay_near(struct request *r, const json_t *answer);

#endif
