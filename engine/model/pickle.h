/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pickle in a PyTorch checkpoint: a table of tensors by name, each a view
 * of a numbered storage. A pickle is a program. This interpreter knows only the
 * instructions and names that such a table needs; two static tables list them.
 * A name in the file is only compared with these names, and nothing outside of
 * the interpreter is called.
 */
#ifndef MODEL_PICKLE_H
#define MODEL_PICKLE_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define PICKLE_BYTES_MAX	(16 * 1024 * 1024)	/* of a pickle */
#define PICKLE_OBJECTS_MAX	(1024 * 1024)	/* objects made in all */
#define PICKLE_MEMO_MAX		(1024 * 1024)	/* memo numbers below this */
#define PICKLE_TENSORS_MAX	65536
#define PICKLE_STACK_MAX	16384
#define PICKLE_MARKS_MAX	64		/* nested */
#define PICKLE_STRING_MAX	1024		/* bytes of a string */
#define PICKLE_KEY_MAX		32		/* of a storage, NUL included */
#define PICKLE_DIMS_MAX		8		/* of a tensor */

/* Each way a pickle can be wrong. */
enum pickle_error {
	PICKLE_OK,
	PICKLE_TOO_BIG,		/* over PICKLE_BYTES_MAX */
	PICKLE_END,		/* ends inside an instruction, or before STOP */
	PICKLE_TRAILING,	/* bytes after STOP */
	PICKLE_PROTOCOL,	/* does not start with PROTO 2 */
	PICKLE_OPCODE,		/* an instruction that is not supported */
	PICKLE_GLOBAL,		/* a name that is not supported */
	PICKLE_STACK,		/* takes more values than there are, or leaves
				 * values */
	PICKLE_MARK,		/* no mark, or too many */
	PICKLE_MEMO,		/* number over the limit, or never stored */
	PICKLE_OBJECTS,		/* over the limits above */
	PICKLE_STRING,		/* too long, not UTF-8, control characters */
	PICKLE_INTEGER,		/* over 64 bits */
	PICKLE_CALL,		/* a supported name with wrong arguments */
	PICKLE_DICT,		/* items for another object, or a key without
				 * value */
	PICKLE_STORAGE,		/* a persistent id that is not a storage */
	PICKLE_TENSOR,		/* sizes that contradict each other */
	PICKLE_RESULT		/* the result is not a dictionary of tensors by
				 * name */
};

/* Element types a storage can have. */
enum pickle_type {
	PICKLE_F16, PICKLE_BF16, PICKLE_F32, PICKLE_F64, PICKLE_U8,
	PICKLE_BOOL, PICKLE_I64
};

struct pickle_tensor {
	char			*name;		/* owned */
	char			 key[PICKLE_KEY_MAX];	/* of its storage */
	enum pickle_type	 type;
	int64_t			 elems;		/* in the storage */
	int64_t			 offset;	/* in elements */
	int64_t			 extent;	/* elements from the first to
						 * the last, both included;
						 * offset + extent <= elems */
	int			 dims;
	int			 contiguous;	/* in order, without gaps */
	int			 overlaps;	/* two places may be the same
						 * element */
	int64_t			 shape[PICKLE_DIMS_MAX];
	int64_t			 stride[PICKLE_DIMS_MAX]; /* in elements; 0 for
							   * a dimension of size
							   * 1 */
};

struct pickle_table {
	struct pickle_tensor	*tensors;	/* owned; as in the file */
	size_t			 n;
};

/*
 * Read a pickle of n bytes; path is only used for messages. Returns PICKLE_OK
 * and *out (clear it), or another code with *f filled: one line with the byte
 * where the wrong instruction begins.
 */
enum pickle_error pickle_read(const char *path, const uint8_t *bytes,
	    size_t n, struct pickle_table *out, struct fault *f);
void	 pickle_clear(struct pickle_table *t);

/* Bytes of one element. */
size_t	 pickle_type_size(enum pickle_type t);

#endif
