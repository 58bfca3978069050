/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What relay.c (reads) and relay_write.c (writes) share.
 */
#ifndef DAEMON_RELAY_H
#define DAEMON_RELAY_H

#include "chatd.h"

#define RELAY_WAIT_MS	5000	/* for a store that is not up yet */

/* Does the store not come up? Then r is ended and msg released: 1. */
int	 relay_refused(struct request *r, json_t *msg);

/* Deal with what ends every request the same way: no answer, or an error.
 * Returns 1 if it did; r has then ended. */
int	 relay_ended(struct request *r, json_t *msg);

/* Does the store not come up? Then r has ended, and msg was taken: 1. */
int	 relay_refused(struct request *r, json_t *msg);

#endif
