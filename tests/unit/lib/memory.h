/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of memory use: measures the peak of a function in a child.
 */
#ifndef TEST_MEMORY_H
#define TEST_MEMORY_H

/*
 * Run run(arg) in a child. Fail the test if the peak of the child is above
 * limit MiB (including the memory that this process has), or if run does not
 * return 1. With sanitizers, which use memory of their own, only the result is
 * checked.
 */
void	memory_run(int (*run)(void *), void *arg, long limit);

#endif
