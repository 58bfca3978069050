/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The self-test: compares one variant of the kernels with another before it is
 * used.
 */
#ifndef CPU_SELFTEST_H
#define CPU_SELFTEST_H

struct kernels;

/*
 * Do a and b give the same bits? Computes small random products in bf16, int8
 * and int4, whose sizes are no multiples of any tile or block, and attention.
 * Takes some milliseconds. Returns 1 or 0.
 */
int	selftest_agree(const struct kernels *a, const struct kernels *b);

#endif
