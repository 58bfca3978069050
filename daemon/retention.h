/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is older than chatd.yaml allows is deleted.
 */
#ifndef DAEMON_RETENTION_H
#define DAEMON_RETENTION_H

struct chatd;

/* Begin; d->store must exist before the event loop runs. */
void	 retention_init(struct chatd *d);
/* Release the timer. */
void	 retention_clear(void);

#endif
