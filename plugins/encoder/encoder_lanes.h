/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight lanes, as the compiler's vectors.
 */
#ifndef ENCODER_LANES_H
#define ENCODER_LANES_H

#include <stdint.h>

typedef float	v8f __attribute__((vector_size(32)));
typedef int32_t	v8i __attribute__((vector_size(32)));

#endif
