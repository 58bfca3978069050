/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pickle in a PyTorch checkpoint: a table of tensors by name, each a view
 * of a numbered storage.  A pickle is a program; this interpreter knows only
 * the instructions and the names that such a table is made of, from two
 * static tables, and calls nothing: a name from outside is only compared.
 */
#ifndef MODEL_PICKLE_H
#define MODEL_PICKLE_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define PICKLE_BYTES_MAX	(16 * 1024 * 1024)	/* of a pickle */
#define PICKLE_OBJECTS_MAX	(1024 * 1024)	/* made, in all */
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
	PICKLE_TRAILING,	/* bytes behind STOP */
	PICKLE_PROTOCOL,	/* does not start with PROTO 2 */
	PICKLE_OPCODE,		/* an instruction that no table needs */
	PICKLE_GLOBAL,		/* a name that no table needs */
	PICKLE_STACK,		/* takes more than is there, or piles up */
	PICKLE_MARK,		/* no mark, or too many */
	PICKLE_MEMO,		/* number over the limit, or never stored */
	PICKLE_OBJECTS,		/* more than the limits above */
	PICKLE_STRING,		/* too long, no UTF-8, control characters */
	PICKLE_INTEGER,		/* over 64 bits */
	PICKLE_CALL,		/* a known name with other arguments */
	PICKLE_DICT,		/* items for something else, or half of one */
	PICKLE_STORAGE,		/* a persistent id that is no storage */
	PICKLE_TENSOR,		/* sizes that contradict each other */
	PICKLE_RESULT		/* not a dictionary of tensors by name */
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
	int64_t			 extent;	/* elements from the first
						 * to the last, both counted;
						 * offset + extent <= elems */
	int			 dims;
	int			 contiguous;	/* in order, without gaps */
	int			 overlaps;	/* an element may be there
						 * twice */
	int64_t			 shape[PICKLE_DIMS_MAX];
	int64_t			 stride[PICKLE_DIMS_MAX]; /* in elements; 0 of
						 * a dimension of one */
};

struct pickle_table {
	struct pickle_tensor	*tensors;	/* owned; as in the file */
	size_t			 n;
};

/*
 * Read a pickle of n bytes; path is only named in errors. PICKLE_OK and *out
 * (clear it), or another code with *f filled: one line, with the byte at which
 * the instruction at fault stands.
 */
enum pickle_error pickle_read(const char *path, const uint8_t *bytes,
	    size_t n, struct pickle_table *out, struct fault *f);
void	 pickle_clear(struct pickle_table *t);

/* Bytes of one element. */
size_t	 pickle_type_size(enum pickle_type t);

#endif
