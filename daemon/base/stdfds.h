/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors 0, 1 and 2, which may be closed when a program starts, and errors
 * of standard output.  Every program calls stdfds_init first.
 */
#ifndef STDFDS_H
#define STDFDS_H

/*
 * Open /dev/null in place of each of the descriptors 0, 1 and 2 that is
 * closed, so that no file that is opened later gets its number.  Then reading
 * from 0 gives the end of input, writing to 1 fails with EBADF, and output to 2
 * is lost.  At its exit the program flushes standard output, as stdfds_flush
 * does.
 *
 *   program   its name, for messages; borrowed until the exit
 *
 * Ends the program with status 1 if /dev/null can't be opened.
 */
void	stdfds_init(const char *program);

/*
 * Flush standard output.  If that fails, or an earlier write has failed, the
 * program ends with a message and status 1.  If nobody reads any more (EPIPE),
 * it ends by SIGPIPE without a message.
 */
void	stdfds_flush(void);

#endif
