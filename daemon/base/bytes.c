/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of bytes as text for people.
 */
#include "bytes.h"

#include <stdio.h>

#include "xmalloc.h"

/* Print n in the largest unit that gives at least 1. */
const char *
bytes_text(int64_t n, char buf[BYTES_TEXT])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double	 v = (double)n / 1024;
	size_t	 i = 0;

	if (n < 1024) {
		snprintf(buf, BYTES_TEXT, "%lld bytes", (long long)n);
		return (buf);
	}
	for (; v >= 1024 && i + 1 < nitems(units); i++)
		v /= 1024;
	snprintf(buf, BYTES_TEXT, "%.1f %s", v, units[i]);
	return (buf);
}
