/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a safetensors file: which tensors are inside, of which type
 * and shape, and where their bytes are.  Reading those bytes is shards.c's.
 * The prefix st_ stands for safetensors.
 *
 * A file is: 8 bytes, the length N of the header, little-endian; N bytes of
 * JSON, {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ...}; the
 * data, to which the offsets are relative.  Every byte of the data belongs
 * to exactly one tensor.
 */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "model.h"

#define SAFETENSORS_HEADER_MAX	(16 * 1024 * 1024)	/* bytes of JSON */
#define SAFETENSORS_DIMS_MAX	8			/* of one tensor */
/* Values and keys in the JSON: a matrix has twelve, as json_measure counts, so
 * this is more than 32,768 matrices. */
#define SAFETENSORS_VALUES_MAX	(400 * 1024)

/* Each way a header can be wrong. */
enum st_error {
	ST_OK,
	ST_NO_LENGTH,		/* not even the 8 bytes are there */
	ST_HEADER_TOO_BIG,	/* over SAFETENSORS_HEADER_MAX */
	ST_HEADER_PAST_END,	/* header longer than the file */
	ST_JSON,		/* not one strict JSON object of not too
				 * many values */
	ST_METADATA,		/* __metadata__ not an object of strings */
	ST_ENTRY,		/* not exactly dtype, shape, data_offsets */
	ST_DTYPE,		/* no type of this format */
	ST_SHAPE,		/* not up to 8 integers from 0 */
	ST_OVERFLOW,		/* the product of the shape overflows */
	ST_OFFSETS,		/* not two integers from 0 */
	ST_REVERSED,		/* end before begin */
	ST_PAST_END,		/* end behind the data */
	ST_LENGTH,		/* bytes do not match dtype and shape */
	ST_OVERLAP,		/* two tensors share bytes */
	ST_HOLE,		/* bytes that belong to no tensor */
	ST_TRAILING		/* bytes behind the last tensor */
};

/* One tensor of a file. */
struct st_tensor {
	char		*name;		/* owned */
	int		 readable;	/* a type that weights may have */
	enum dtype	 dtype;		/* if readable */
	const char	*dtype_name;	/* as in the file: static */
	int		 dims;
	int64_t		 shape[SAFETENSORS_DIMS_MAX];
	int		 strided;	/* elements do not lie in order, only in
					 * files of PyTorch: */
	int64_t		 stride[SAFETENSORS_DIMS_MAX]; /* in elements */
	uint64_t	 begin, end;	/* bytes in the data, of the first
					 * element to the last */
};

struct st_table {
	struct st_tensor *tensors;	/* owned; in order of begin */
	size_t		  n;
	json_t		 *metadata;	/* owned: strings; NULL: none */
};

/*
 * Check the 8 bytes at the start of a file of size bytes: how long the header
 * is, in *header. ST_OK, ST_NO_LENGTH, ST_HEADER_TOO_BIG or
 * ST_HEADER_PAST_END with *f filled (path is only named there).
 */
enum st_error	safetensors_length(const char *path, const uint8_t start[8],
		    uint64_t size, uint64_t *header, struct fault *f);

/*
 * Read a header of n bytes in front of data bytes of data. ST_OK and *out
 * (clear it with safetensors_clear), or another code with *f filled: one line
 * that names file, tensor, expected and found.
 */
enum st_error	safetensors_parse(const char *path, const char *header,
		    size_t n, uint64_t data, struct st_table *out,
		    struct fault *f);

/*
 * The same for a whole file, open at fd and size bytes long: 0, *data (the
 * byte where its data begins) and *out, or an error with *f filled.
 */
int		safetensors_read(const char *path, int fd, uint64_t size,
		    uint64_t *data, struct st_table *out, struct fault *f);

void		safetensors_clear(struct st_table *t);

#endif
