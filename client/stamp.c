/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times from chatd as local time.
 */
#include "chatctl.h"

#include <time.h>

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
