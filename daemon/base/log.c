/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logging to stderr, for the journal or for a person.
 */
#include "log.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char	*log_name = "chatd";
static enum log_level	 log_max = LOG_LEVEL_INFO;
static int		 log_journal;

static void	log_line(enum log_level, const char *, va_list, int);

/* Does stderr go to the journal?  JOURNAL_STREAM names its device:inode. */
static int
log_is_journal(void)
{
	const char	*s;
	struct stat	 st;
	char		 buf[64];

	if ((s = getenv("JOURNAL_STREAM")) == NULL ||
	    fstat(STDERR_FILENO, &st) == -1)
		return (0);
	snprintf(buf, sizeof buf, "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
	return (strcmp(s, buf) == 0);
}

/* Set name and level, and find out whether stderr is the journal. */
void
log_init(const char *name, enum log_level level)
{
	log_name = name;
	log_max = level;
	log_journal = log_is_journal();
}

/* Set the most talkative level shown. */
void
log_set_level(enum log_level level)
{
	log_max = level;
}

/* Turn a level's name into the level. */
int
log_level_parse(const char *word)
{
	static const char *const words[] = { "error", "warn", "info",
	    "debug" };
	int	 i;

	for (i = 0; i < 4; i++) {
		if (strcmp(word, words[i]) == 0)
			return (i);
	}
	return (-1);
}

/* Write one event as one line with one write(2). */
static void
log_line(enum log_level level, const char *fmt, va_list ap, int err)
{
	static const int	 priorities[] = { 3, 4, 6, 7 };
	char			 text[2048], line[4096], when[32];
	size_t			 n = 0, i;
	struct tm		 tm;
	time_t			 now;
	unsigned char		 c;

	if (level > log_max)
		return;
	i = (size_t)vsnprintf(text, sizeof text, fmt, ap);
	if (err != 0 && i < sizeof text)
		snprintf(text + i, sizeof text - i, ": %s", strerror(err));
	if (log_journal) {
		/* The journal adds the name of the service; only helpers add
		 * their own. */
		n = (size_t)snprintf(line, sizeof line, "<%d>%s%s",
		    priorities[level], strcmp(log_name, "chatd") == 0 ? "" :
		    log_name, strcmp(log_name, "chatd") == 0 ? "" : ": ");
	} else {
		now = time(NULL);
		localtime_r(&now, &tm);
		strftime(when, sizeof when, "%H:%M:%S", &tm);
		n = (size_t)snprintf(line, sizeof line, "%s %s: ", when,
		    log_name);
	}
	for (i = 0; text[i] != '\0' && n < sizeof line - 6; i++) {
		c = (unsigned char)text[i];
		if (c < 0x20 || c == 0x7f)
			n += (size_t)snprintf(line + n, 5, "\\x%02x", c);
		else
			line[n++] = (char)c;
	}
	line[n++] = '\n';
	while (write(STDERR_FILENO, line, n) == -1 && errno == EINTR)
		;
}

/* Log something to act on, with errno. */
void
log_warn(const char *fmt, ...)
{
	va_list	 ap;
	int	 e = errno;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_WARN, fmt, ap, e);
	va_end(ap);
	errno = e;
}

/* Something to act on. */
void
log_warnx(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_WARN, fmt, ap, 0);
	va_end(ap);
}

/* A life-cycle event. */
void
log_info(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_INFO, fmt, ap, 0);
	va_end(ap);
}

/* All the rest. */
void
log_debug(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_DEBUG, fmt, ap, 0);
	va_end(ap);
}

/* Log the reason, with errno, and exit. */
void
fatal(const char *fmt, ...)
{
	va_list	 ap;
	int	 e = errno;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_ERROR, fmt, ap, e);
	va_end(ap);
	exit(1);
}

/* Say why and exit. */
void
fatalx(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_line(LOG_LEVEL_ERROR, fmt, ap, 0);
	va_end(ap);
	exit(1);
}
