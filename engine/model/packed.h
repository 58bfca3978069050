/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A packed file: one model in one precision, in the layout of a backend, so
 * that it is mapped and not converted. This is only the container. The backend
 * defines the tensors of the weights (for the CPU: layout.h).
 *
 * It is a safetensors file. Its metadata has these strings:
 *   chatd_packed   version of the container, PACKED_VERSION
 *   layout         layout of the weights, with its version: "cpu-1"
 *   precision      "fp32", "bf16", "int8", "int4"
 *   name           name of the model that was packed
 *   source         digest of that model's files, "sha256:" and 64 digits
 *   sha256         of all bytes after the header, 64 hex digits
 * The tensors config.json and tokenizer.json (U8) have the content of those
 * files, padded with spaces. tokenizer.tables (U8), which may be missing, has
 * the parsed tokenizer.json (engine/text/tokenizer_tables.h), padded with
 * zeros. The data begins at a multiple of PACKED_ALIGN, and every tensor at a
 * multiple of 64 bytes after that.
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
	struct st_table	 table;		/* in order of begin, counted from
					 * data */
	/* borrowed from table.metadata: */
	const char	*layout, *precision, *name, *source, *sha256;
};

/* Does this safetensors table belong to a packed file? */
int	 packed_is(const struct st_table *t);

/* Does the file open at fd begin like the headers of packed_header? */
int	 packed_begins(int fd);

/*
 * Make a packed file from an open file. fd and table are taken; data is the
 * first byte of its data. Returns 0 and *out (owned), or an error with *f
 * filled; fd is then closed.
 */
int	 packed_open(const char *path, int fd, uint64_t size, uint64_t data,
	    struct st_table *table, struct packed **out, struct fault *f);
void	 packed_free(struct packed *p);

/* The tensor of that name, or NULL. */
const struct st_tensor *packed_find(const struct packed *p,
	    const char *name);

/* Return the text of config.json or tokenizer.json in *text (owned, *n bytes
 * and a NUL). It has at most max bytes. Returns 0, or an error with *f
 * filled. */
int	 packed_text(const struct packed *p, const char *name, size_t max,
	    char **text, size_t *n, struct fault *f);

/* Return the bytes of a tensor of type U8 in *bytes (owned, *n bytes and a
 * NUL). It has at most max bytes. Returns 0, or an error with *f filled. */
int	 packed_bytes(const struct packed *p, const char *name, size_t max,
	    uint8_t **bytes, size_t *n, struct fault *f);

/* Read n bytes of the data from byte `at` on. Returns 0, or an error with *f
 * filled: the file has become shorter, or its disk fails. */
int	 packed_read(const struct packed *p, void *out, size_t n, uint64_t at,
	    struct fault *f);

/*
 * Read all bytes after the header and compare their checksum with sha256.
 * progress (may be NULL) is called while reading. Returns 0, or an error with
 * *f filled.
 */
int	 packed_verify(const struct packed *p, void (*progress)(void *arg,
	    int64_t bytes, int64_t total), void *arg, struct fault *f);

/*
 * The first bytes of a packed file, up to its data: *n bytes (owned), a
 * multiple of PACKED_ALIGN. source has 71 characters and sha256 has 64. NULL
 * stands for that many zeros, so the length does not depend on them.
 */
char	*packed_header(const char *layout, const char *precision,
	    const char *name, const char *source, const char *sha256,
	    const struct packed_tensor *t, size_t nt, size_t *n);

#endif
