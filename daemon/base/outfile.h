/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New files: of mode 0600, compressed if their name asks for it (.gz, .zst),
 * and complete or not there at all.
 */
#ifndef BASE_OUTFILE_H
#define BASE_OUTFILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"
#include "sha256.h"

struct outfile;

/* What has become of a file. */
struct outfile_facts {
	int64_t	 bytes;			/* in the file */
	char	 sha256[SHA256_HEX];	/* of the file */
};

/*
 * Begin a file. Until outfile_end it has no name, so nothing is left if the
 * process is killed; where the file system has no such files, it is written
 * under another name in the same folder. Returns 0
 * and *out (owned by the caller), or with *f filled CHAT_ESYSTEM (a system call
 * has failed, or the file is there) or CHAT_EFORMAT (.zst, but this build can't
 * write it).
 */
int	 outfile_new(const char *path, struct outfile **out, struct fault *f);

/* Add n bytes. A failure is kept until outfile_end. */
void	 outfile_write(struct outfile *o, const void *p, size_t n);

/* Make a stream that writes to o, which is not released when the stream is
 * closed. */
FILE	*outfile_stream(struct outfile *o);

/* Complete the file, put it on disk and give it its name, if no other file has
 * taken it. Fills *facts (may be NULL). Releases o. Returns 0, or CHAT_ESYSTEM
 * with *f filled; then no file is left. */
int	 outfile_end(struct outfile *o, struct outfile_facts *facts,
	    struct fault *f);

/* Remove the unfinished file, and release o. NULL does nothing. */
void	 outfile_drop(struct outfile *o);

/* Write a whole file. Returns 0 or an error, as above. */
int	 outfile_put(const char *path, const char *text, size_t n,
	    struct fault *f);

#endif
