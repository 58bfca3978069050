/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a model: open a file if it may be trusted, and read its bytes.
 */
#ifndef MODEL_FILEIO_H
#define MODEL_FILEIO_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

/*
 * Open a file for reading: a regular one that passes fileio_trusted, in a
 * folder that does, and not the text that Git LFS leaves in the place of a
 * file it has not fetched. A symbolic link is judged where it leads: each
 * folder on the way, and the file that was opened. 0, *fd (to be closed by the
 * caller) and *size in bytes; or an error with *f filled (code "bad_model").
 */
int	 fileio_open(const char *path, int *fd, uint64_t *size,
	    struct fault *f);

/* The same for a file of at most max bytes, read whole into *text (owned, NUL
 * behind its *n bytes). */
int	 fileio_text(const char *path, size_t max, char **text, size_t *n,
	    struct fault *f);

/* Does a folder pass fileio_trusted? 0, or an error with *f filled. */
int	 fileio_folder(const char *path, struct fault *f);

/*
 * Does what is open at fd belong to root or to our own account, and may its
 * owner alone write to it? Asked of the open file, so that nothing can be put
 * in its place afterwards. A folder that others may write to passes if it is
 * sticky, since there only the owner of a file can replace it. 0, or
 * CHAT_EFORMAT with *f filled; path is only named there.
 */
int	 fileio_trusted(int fd, const char *path, struct fault *f);

/* Read all of n bytes at byte off of fd. 0, CHAT_ESYSTEM, or CHAT_EFORMAT
 * where the file ends before. */
int	 fileio_read(int fd, void *out, size_t n, uint64_t off);

/* Words for what fileio_read has just returned, if not 0. */
const char *fileio_why(int r);

#endif
