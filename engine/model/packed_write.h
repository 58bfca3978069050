/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a packed file (packed.h): the container, for every backend. The
 * backend defines the tensors and fills them. The module of a backend includes
 * this header for its types, and calls packed_write through its host.
 */
#ifndef MODEL_PACKED_WRITE_H
#define MODEL_PACKED_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define PACKED_DIMS_MAX	8	/* of one tensor */

struct model;

/* One tensor of a packed file. */
struct packed_tensor {
	const char	*name, *dtype;	/* borrowed: "F32", "BF16", "U8", ... */
	int		 dims;		/* dimensions of shape */
	int64_t		 shape[PACKED_DIMS_MAX];
	uint64_t	 begin, end;	/* bytes, counted from the first data
					 * byte */
};

struct packed_job {
	struct model	*model;		/* borrowed: not a packed model */
	const char	*out;		/* path of the file */
	const char	*layout;	/* layout of the tensors: "cpu-1" */
	const char	*precision;	/* "int8" */
	const void	*tables;	/* borrowed: tables of the tokenizer */
	size_t		 ntables;	/* their bytes; 0 if there are none */
	/* borrowed: n weights, n > 0, in order and without gaps; begin and end
	 * count from the first weight, and are multiples of 64 */
	const struct packed_tensor *tensors;
	size_t		 n;
	/* Read the model (model_stream, once) and write every byte of the
	 * weights; data is the first byte of weight 0, at a multiple of 64.
	 * Returns 0, or an error with *f filled. */
	int		(*fill)(void *arg, uint8_t *data, struct fault *f);
	void		*arg;
};

/*
 * Write a packed file. Its name appears only after the whole file is on the
 * disk; an old packed file of that name is then replaced. A process that is
 * killed leaves nothing, except on file systems without O_TMPFILE, where it
 * leaves a file out.part-PID. Returns 0, or an error with *f filled (code
 * "bad_file" if the disk is the cause).
 */
int	 packed_write(const struct packed_job *job, struct fault *f);

#endif
