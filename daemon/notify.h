/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocols of systemd for notification and socket activation.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include "err.h"

/* Send state lines such as "READY=1". The arguments must be numbers or words
 * of chatd itself, never names or reasons: a line break would start another
 * state line. Sends nothing if NOTIFY_SOCKET is not set. */
void	 notify_send(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));
/* Send any text as one line of STATUS. */
void	 notify_status(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));

/*
 * Set *fd to the listening socket that systemd passed, or to -1 if it passed
 * none, and remove the variables LISTEN_* from the environment. Returns 0, or
 * CHAT_EFORMAT with *f filled if the descriptor is not a listening Unix stream
 * socket.
 */
int	 notify_listen_fd(int *fd, struct fault *f);

/* Half of WATCHDOG_USEC in milliseconds; 0 if it is not set for us. */
int	 notify_watchdog_ms(void);

/* Remove the variables, so that helpers do not see them. */
void	 notify_forget_environment(void);

#endif
