/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a safetensors file: names, types, shapes and places of the
 * tensors. shards.c reads their bytes. The prefix st_ stands for safetensors.
 *
 * A file is: 8 bytes, the length N of the header, little-endian; N bytes of
 * JSON, {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ...}; the
 * data, to which the offsets are relative. Every byte of the data belongs to
 * exactly one tensor.
 */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "model.h"

#define SAFETENSORS_HEADER_MAX	(16 * 1024 * 1024)	/* bytes of JSON */
#define SAFETENSORS_DIMS_MAX	8			/* dimensions of one
							 * tensor */
/* Values and keys in the JSON. json_measure counts twelve for a matrix, so this
 * allows more than 32,768 matrices. */
#define SAFETENSORS_VALUES_MAX	(400 * 1024)

/* Each way a header can be wrong. */
enum st_error {
	ST_OK,
	ST_NO_LENGTH,		/* shorter than the 8 bytes of the length */
	ST_HEADER_TOO_BIG,	/* over SAFETENSORS_HEADER_MAX */
	ST_HEADER_PAST_END,	/* header longer than the file */
	ST_JSON,		/* not one strict JSON object, or too many
				 * values */
	ST_METADATA,		/* __metadata__ is not an object of strings */
	ST_ENTRY,		/* members are not exactly dtype, shape,
				 * data_offsets */
	ST_DTYPE,		/* a type that the format does not have */
	ST_SHAPE,		/* not up to 8 non-negative integers */
	ST_OVERFLOW,		/* the product of the shape overflows */
	ST_OFFSETS,		/* not two non-negative integers */
	ST_REVERSED,		/* end before begin */
	ST_PAST_END,		/* end is past the data */
	ST_LENGTH,		/* number of bytes does not match dtype and
				 * shape */
	ST_OVERLAP,		/* two tensors share bytes */
	ST_HOLE,		/* bytes between two tensors */
	ST_TRAILING		/* bytes after the last tensor */
};

/* One tensor of a file. */
struct st_tensor {
	char		*name;		/* owned */
	int		 readable;	/* weights can have this type */
	enum dtype	 dtype;		/* only if readable */
	const char	*dtype_name;	/* name in the file: static */
	int		 dims;
	int64_t		 shape[SAFETENSORS_DIMS_MAX];
	int		 strided;	/* the elements are not in order; this
					 * is only possible in files of
					 * PyTorch: */
	int64_t		 stride[SAFETENSORS_DIMS_MAX]; /* in elements */
	uint64_t	 begin, end;	/* bytes from the first to the last
					 * element */
};

struct st_table {
	struct st_tensor *tensors;	/* owned; in order of begin */
	size_t		  n;
	json_t		 *metadata;	/* owned: strings; NULL if missing */
};

/*
 * Check the 8 bytes at the start of a file of size bytes, and return the length
 * of the header in *header. Returns ST_OK, or ST_NO_LENGTH, ST_HEADER_TOO_BIG
 * or ST_HEADER_PAST_END with *f filled (path is only used for messages).
 */
enum st_error	safetensors_length(const char *path, const uint8_t start[8],
		    uint64_t size, uint64_t *header, struct fault *f);

/*
 * Read a header of n bytes, which is followed by `data` bytes of data. Returns
 * ST_OK and *out (clear it with safetensors_clear), or another code with *f
 * filled: one line with the file, the tensor, and the expected and found
 * values.
 */
enum st_error	safetensors_parse(const char *path, const char *header,
		    size_t n, uint64_t data, struct st_table *out,
		    struct fault *f);

/*
 * The same for a file open at fd, size bytes long. Returns 0, *data (the byte
 * where its data begins) and *out, or an error with *f filled.
 */
int		safetensors_read(const char *path, int fd, uint64_t size,
		    uint64_t *data, struct st_table *out, struct fault *f);

void		safetensors_clear(struct st_table *t);

#endif
