/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors 0, 1 and 2, which a program may be started without, and errors
 * of what it prints.  Every program calls stdfds_init first of all.
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
 * Write out what standard output holds.  Where that fails, or an earlier
 * write has failed, the program ends: with a message and status 1, or, where
 * nobody reads any more (EPIPE), by SIGPIPE without a word.
 */
void	stdfds_flush(void);

#endif
