/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times from chatd as local time, and local times and ages from options.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "xmalloc.h"

/* Write a time. */
const char *
stamp_text(int64_t ms, const char *format, char *text)
{
	struct tm	 tm;
	time_t		 t = (time_t)(ms / 1000);

	if (localtime_r(&t, &tm) == NULL ||
	    strftime(text, STAMP_TEXT, format, &tm) == 0)
		snprintf(text, STAMP_TEXT, "?");
	return (text);
}

/* The number of seconds in one unit of an age, or 0. */
static int64_t
stamp_unit(const char *unit)
{
	static const struct {
		const char	*unit;
		int64_t		 seconds;
	} table[] = { { "m", 60 }, { "h", 3600 }, { "d", 86400 },
	    { "w", 604800 } };
	size_t	 i;

	for (i = 0; i < nitems(table); i++)
		if (strcmp(table[i].unit, unit) == 0)
			return (table[i].seconds);
	return (0);
}

/* Read a time. */
int
stamp_read(const char *text, int64_t *ms)
{
	static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%dT%H:%M",
	    "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S" };
	struct tm	 tm, same;
	const char	*end;
	char		*unit;
	long		 n;
	time_t		 t;
	size_t		 i;

	n = strtol(text, &unit, 10);
	if (*text >= '0' && *text <= '9' && n <= 100000 &&
	    stamp_unit(unit) > 0) {
		*ms = clock_wall() - n * stamp_unit(unit) * 1000;
		return (*ms > 0 ? 0 : -1);
	}
	for (i = 0; i < nitems(forms); i++) {
		memset(&tm, 0, sizeof tm);
		end = strptime(text, forms[i], &tm);
		if (end == NULL || *end != '\0')
			continue;
		tm.tm_isdst = -1;
		same = tm;
		if ((t = mktime(&tm)) <= 0 || tm.tm_mday != same.tm_mday)
			return (-1);
		*ms = (int64_t)t * 1000;
		return (0);
	}
	return (-1);
}
