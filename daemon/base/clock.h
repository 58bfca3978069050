/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two clocks in milliseconds: one to measure with, one to write down.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Never jumps; counts from some moment of this boot. */
int64_t	clock_monotonic(void);

/* The same in microseconds. */
int64_t	 clock_micros(void);

/* The same in seconds, to the nanosecond: for measuring. */
double	clock_seconds(void);

/* Since 1970 UTC; may be set back or forward by people. */
int64_t	clock_wall(void);

#endif
