/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line to stderr per event.  Under systemd (stderr is the journal) each
 * line carries its priority as <3>..<7>; on a terminal or in a file it carries
 * the time and the program's name.  Control characters in a message are
 * escaped, so that one event is always one line.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG };

/* Name the program (borrowed: static) and the most talkative level shown. */
void	log_init(const char *name, enum log_level level);
void	log_set_level(enum log_level level);

/* "error", "warn", "info", "debug" to a level; -1 for another word. */
int	log_level_parse(const char *word);

#define LOG_PRINTF __attribute__((format(printf, 1, 2)))
void	log_warn(const char *fmt, ...) LOG_PRINTF;	/* adds errno */
void	log_warnx(const char *fmt, ...) LOG_PRINTF;
void	log_info(const char *fmt, ...) LOG_PRINTF;
void	log_debug(const char *fmt, ...) LOG_PRINTF;
/* For start-up and for what can't happen: log and exit with status 1. */
void	fatal(const char *fmt, ...) LOG_PRINTF
	    __attribute__((noreturn));			/* adds errno */
void	fatalx(const char *fmt, ...) LOG_PRINTF __attribute__((noreturn));

#endif
