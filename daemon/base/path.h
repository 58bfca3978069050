/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files and folders: create them with the right mode from the start, read small
 * ones whole.
 */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <stddef.h>
#include <sys/types.h>

/* a/b in a new string (owned by the caller). An absolute b stands alone. */
char	*path_join(const char *a, const char *b);

/* The folder of path, in a new string; "." if path has no slash. */
char	*path_folder(const char *path);

/* Remove slashes at the end, in place; "/" stays. */
void	path_trim(char *path);

/* Create every missing folder of path with mode. 0 or CHAT_ESYSTEM. */
int	path_mkdirs(const char *path, mode_t mode);

/* Remove a file, or a folder with everything in it. Links are removed, not
 * followed. It must not be one that others may write to. */
void	path_remove(const char *path);

/*
 * Read a regular file of at most max bytes into *buf (owned, NUL added after
 * *len bytes). Returns 0, CHAT_ESYSTEM, CHAT_EFORMAT (not a regular file) or
 * CHAT_ETOOBIG.
 */
int	path_read(const char *path, size_t max, char **buf, size_t *len);

#endif
