/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations for relay.c (reads) and relay_write.c (writes) only.
 */
#ifndef DAEMON_RELAY_IMPL_H
#define DAEMON_RELAY_IMPL_H

#include "chatd.h"

#define RELAY_WAIT_MS	5000	/* for a store that is still starting */

/* End r if the store did not answer (msg is NULL) or answered with an error.
 * Returns 1 if r has ended, else 0. */
int	 relay_ended(struct request *r, json_t *msg);

/* End r and release msg if the store keeps failing to start. Returns 1 if r has
 * ended, else 0. */
int	 relay_refused(struct request *r, json_t *msg);

#endif
