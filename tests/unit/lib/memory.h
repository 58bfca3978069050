/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: how much memory something takes.
 */
#ifndef TEST_MEMORY_H
#define TEST_MEMORY_H

/*
 * Run run(arg) in a child and fail the test where it takes more than limit
 * MiB at its peak, with what this process has, or where it returns other than
 * 1. Where a sanitizer takes memory of its own only the latter.
 */
void	memory_run(int (*run)(void *), void *arg, long limit);

#endif
