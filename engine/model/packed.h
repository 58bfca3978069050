/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A packed file: one model in one precision, in the layout that a backend
 * computes in, so that it is mapped and not converted.  This is the container
 * only; the tensors of the weights belong to the backend (for the CPU:
 * layout.h).
 *
 * It is a safetensors file.  Its metadata holds, as strings:
 *   chatd_packed   the container's version, PACKED_VERSION
 *   layout         whose weights these are, and in which version of them:
 *                  "cpu-1"
 *   precision      "fp32", "bf16", "int8", "int4"
 *   name           of the model it was made from
 *   source         the digest of that model's files, "sha256:" and 64 digits
 *   sha256         of all bytes after the header, 64 hex digits
 * The tensors config.json and tokenizer.json (U8) hold those files, filled up
 * with spaces.  tokenizer.tables (U8), which may be missing, holds what
 * parsing tokenizer.json gives (engine/text/tokenizer_tables.h), filled up with
 * zeros.  The data begins at a multiple of PACKED_ALIGN, and every
 * tensor at a multiple of 64 bytes from there.
 */
#ifndef MODEL_PACKED_H
#define MODEL_PACKED_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "packed_write.h"
#include "safetensors.h"
#include "sha256.h"

#define PACKED_VERSION	"2"
#define PACKED_ALIGN	4096
#define PACKED_TABLES	"tokenizer.tables"

struct packed {
	char		*path;		/* owned */
	int		 fd;
	uint64_t	 size;		/* of the file */
	uint64_t	 data;		/* first byte of the data */
	struct st_table	 table;		/* by begin, counted from data */
	/* in table.metadata: */
	const char	*layout, *precision, *name, *source, *sha256;
};

/* Is this safetensors table one of a packed file? */
int	 packed_is(const struct st_table *t);

/* Does the file open at fd begin as those that packed_header has made? */
int	 packed_begins(int fd);

/*
 * Make a packed file of an open one: fd and table are taken, data is the first
 * byte of its data. 0 and *out (owned), or an error with *f filled, fd closed.
 */
int	 packed_open(const char *path, int fd, uint64_t size, uint64_t data,
	    struct st_table *table, struct packed **out, struct fault *f);
void	 packed_free(struct packed *p);

/* The tensor of that name, or NULL. */
const struct st_tensor *packed_find(const struct packed *p,
	    const char *name);

/* The text of config.json or tokenizer.json in *text (owned, a NUL after *n
 * bytes). 0, or an error with *f filled: at most max bytes are taken. */
int	 packed_text(const struct packed *p, const char *name, size_t max,
	    char **text, size_t *n, struct fault *f);

/* The bytes of a tensor of type U8 in *bytes (owned, a NUL after *n). 0, or an
 * error with *f filled: at most max bytes are taken. */
int	 packed_bytes(const struct packed *p, const char *name, size_t max,
	    uint8_t **bytes, size_t *n, struct fault *f);

/* Read n bytes, the first of them at byte at of the data. 0, or an error with
 * *f filled: the file has become shorter, or its disk fails. */
int	 packed_read(const struct packed *p, void *out, size_t n, uint64_t at,
	    struct fault *f);

/*
 * Read all bytes after the header and compare their checksum with sha256;
 * progress (may be NULL) is called on the way. 0, or an error with *f filled.
 */
int	 packed_verify(const struct packed *p, void (*progress)(void *arg,
	    int64_t bytes, int64_t total), void *arg, struct fault *f);

/*
 * The first bytes of a packed file, up to its data: *n of them, owned, a
 * multiple of PACKED_ALIGN. The length does not depend on source and sha256,
 * which are 71 and 64 characters long; NULL stands for as many zeros.
 */
char	*packed_header(const char *layout, const char *precision,
	    const char *name, const char *source, const char *sha256,
	    const struct packed_tensor *t, size_t nt, size_t *n);

#endif
