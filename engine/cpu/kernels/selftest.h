/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trial of one variant of the kernels against another, before it is used.
 */
#ifndef CPU_TRIAL_H
#define CPU_TRIAL_H

struct kernels;

/*
 * Do a and b give the same bits? Small random products in bf16, int8 and
 * int4, with cuts and edges in every direction, and attention; some
 * milliseconds. 1 or 0.
 */
int	selftest_agree(const struct kernels *a, const struct kernels *b);

#endif
