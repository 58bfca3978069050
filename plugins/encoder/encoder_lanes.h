/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight lanes, as the compiler's vectors.
 */
#ifndef ENCODER_LANES_H
#define ENCODER_LANES_H

#include <stdint.h>

typedef float	v8f __attribute__((vector_size(32)));
typedef int32_t	v8i __attribute__((vector_size(32)));

/* Before a loop over an array that shall stay in registers. */
#ifdef __clang__
#define UNROLL	_Pragma("unroll")
#else
#define UNROLL	_Pragma("GCC unroll 8")
#endif

#endif
