/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors 0, 1 and 2, which may be closed when a program starts, and errors
 * of standard output.  Every program calls stdfds_init first.
 */
#ifndef STDFDS_H
#define STDFDS_H

/*
 * Open /dev/null in place of each of the descriptors 0, 1 and 2 that is
 * closed, so that no file that is opened later gets its number.  Reading the
 * first gives the end of input, writing to the second fails with EBADF,
 * writing to the third is lost.  From here on the program's exit flushes
 * standard output and ends with 1 where that fails, as stdfds_flush does.
 *
 *   program   its name, for the message; borrowed for ever
 *
 * Ends the program with 1 where /dev/null can't be opened.
 */
void	stdfds_init(const char *program);

/*
 * Write out what standard output holds.  If that fails, or an earlier write has
 * failed, the program ends with a message and status 1, or by SIGPIPE without a
 * message if nobody reads any more (EPIPE).
 */
void	stdfds_flush(void);

#endif
