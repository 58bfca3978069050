/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter process as a function, so that tests can link it.
 */
#ifndef FILTERD_H
#define FILTERD_H

/*
 * Serve requests from descriptor in, answers to out, until the input ends.
 * Returns the exit status of the process: 0, or 1 after a failure.
 */
int	filterd_run(int in, int out);

#endif
