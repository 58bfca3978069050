/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a program with a clean slate: two descriptors, default signals, a
 * process group of its own (Ctrl-C on chatd's terminal is chatd's).
 */
#ifndef DAEMON_SPAWN_H
#define DAEMON_SPAWN_H

#include <sys/types.h>

/*
 * Run argv[0] with in as its descriptor 0 (-1: /dev/null), out as its 1, our
 * standard error as its 2 and nothing else open. Returns its process id, or
 * -1 with errno set.
 */
pid_t	spawn_program(char *const argv[], int in, int out);

#endif
