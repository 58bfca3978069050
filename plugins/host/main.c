/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-filter's command line.
 */
#include <config.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "filterd.h"
#include "log.h"
#include "stdfds.h"

#ifdef WITH_SANITIZER
/* The leak checker would start a process, which the sandbox forbids. */
int	__lsan_is_turned_off(void);

/* Switch it off. */
int
__lsan_is_turned_off(void)
{
	return (1);
}
#endif

/* Start. */
int
main(int argc, char **argv)
{
	stdfds_init("chatd-filter");
	log_init("chatd-filter", LOG_LEVEL_INFO);
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("chatd-filter " PACKAGE_VERSION);
		return (0);
	}
	if (argc != 1) {
		fprintf(stderr, "usage: chatd-filter [--version]\n"
		    "It is started by chatd and speaks JSON lines on "
		    "standard input and output.\n");
		return (2);
	}
	return (filterd_run(STDIN_FILENO, STDOUT_FILENO));
}
