/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acts against the system and other processes, for the zoo.
 */
#ifndef TESTS_ACTS_H
#define TESTS_ACTS_H

/*
 * Do the act of that name to the process $CHATD_TEST_TARGET, or to what
 * descriptor 2 is, by system call: so that nothing stands between the plugin
 * and the kernel. Returns the call's result, or -2 for an unknown name.
 */
long	acts_do(const char *act);

#endif
