/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two clocks: one measures durations, the other gives the date.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds of a clock that never jumps. It counts from some moment of
 * this boot. */
int64_t	clock_monotonic(void);

/* Microseconds of the same clock. */
int64_t	 clock_micros(void);

/* Nanoseconds of the same clock. */
int64_t	 clock_nanos(void);

/* Seconds of the same clock, to the nanosecond. */
double	clock_seconds(void);

/* Milliseconds since 1970 UTC. An administrator may set this clock back or
 * forward. */
int64_t	clock_wall(void);

#endif
