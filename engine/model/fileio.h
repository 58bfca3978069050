/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a model: opening a file if it can be trusted, and reading its
 * bytes.
 */
#ifndef MODEL_FILEIO_H
#define MODEL_FILEIO_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

/*
 * Open a file for reading. It must be a regular file that passes
 * fileio_trusted, in a folder that passes it too, and it must not be a Git LFS
 * pointer. If path is a symbolic link, each folder on the way and the opened
 * file are checked. Returns 0, *fd (the caller closes it) and *size in bytes,
 * or an error with *f filled (code "bad_model").
 */
int	 fileio_open(const char *path, int *fd, uint64_t *size,
	    struct fault *f);

/* The same for a file of at most max bytes, which is read as a whole into *text
 * (owned, *n bytes and a NUL). */
int	 fileio_text(const char *path, size_t max, char **text, size_t *n,
	    struct fault *f);

/* Does a folder pass fileio_trusted? Returns 0, or an error with *f filled. */
int	 fileio_folder(const char *path, struct fault *f);

/*
 * Check that the file open at fd belongs to root or to our account, and that
 * only its owner may write to it. The open file is checked, so it can't be
 * replaced afterwards. A folder that others may write to passes if it is
 * sticky, since only the owner of a file can replace the file there. Returns 0,
 * or CHAT_EFORMAT with *f filled; path is only used for the message.
 */
int	 fileio_trusted(int fd, const char *path, struct fault *f);

/* Read all of n bytes at byte off of fd. Returns 0, CHAT_ESYSTEM, or
 * CHAT_EFORMAT if the file ends before. */
int	 fileio_read(int fd, void *out, size_t n, uint64_t off);

/* Words for the last error of fileio_read. */
const char *fileio_why(int r);

#endif
