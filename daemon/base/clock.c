/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks.
 */
#include "clock.h"

#include <time.h>

/* Read a clock. */
static int64_t
clock_read(clockid_t which)
{
	struct timespec	 ts;

	clock_gettime(which, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

/* Milliseconds of a clock that never jumps. */
int64_t
clock_monotonic(void)
{
	return (clock_read(CLOCK_MONOTONIC));
}

/* Microseconds of a clock that never jumps. */
int64_t
clock_micros(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

/* Nanoseconds of a clock that never jumps. */
int64_t
clock_nanos(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
}

/* Seconds of a clock that never jumps. */
double
clock_seconds(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec + (double)ts.tv_nsec * 1e-9);
}

/* Milliseconds since 1970. */
int64_t
clock_wall(void)
{
	return (clock_read(CLOCK_REALTIME));
}
