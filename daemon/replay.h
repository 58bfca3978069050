/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: a logged reply is written again and compared.
 */
#ifndef DAEMON_REPLAY_H
#define DAEMON_REPLAY_H

#include <jansson.h>

struct request;

/* Compare the reply that msg (taken, for the store) names. Ends r. */
void	 replay_new(struct request *r, json_t *msg);

#endif
