/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the pickle reader: the machine of pickle.c, and the names of
 * pickle_call.c.
 *
 * Every value is an object in one array and is identified by its index. The
 * members of a tuple are consecutive indices in a second array. Nothing is
 * freed or changed before the end, so sharing and cycles need no extra work.
 */
#ifndef MODEL_PICKLE_IMPL_H
#define MODEL_PICKLE_IMPL_H

#include "pickle.h"

enum pickle_kind {
	PICKLE_K_NONE, PICKLE_K_BOOL, PICKLE_K_INT, PICKLE_K_STRING,
	PICKLE_K_TUPLE, PICKLE_K_DICT, PICKLE_K_GLOBAL, PICKLE_K_STORAGE,
	PICKLE_K_TENSOR
};

/* A value. */
struct pickle_object {
	enum pickle_kind	 kind;
	uint32_t		 first;		/* string: byte of the pickle;
						 * tuple: first of its members;
						 * tensor: index of the
						 * tensor */
	uint32_t		 n;		/* bytes or members */
	int64_t			 i;		/* integer, or number of
						 * elements */
	const struct pickle_global *global;	/* name, or type of a storage */
};

/* One item of one dictionary. */
struct pickle_item {
	uint32_t	 dict, key, value;	/* indices of objects */
};

/* The machine. */
struct pickle {
	const char		*path;
	const uint8_t		*bytes;
	size_t			 n, at, op;	/* op: start of the current
						 * instruction */
	struct fault		*f;
	struct pickle_object	*objects;	/* owned, like all pointers
						 * below */
	size_t			 nobjects, objects_room;
	uint32_t		*members;	/* members of all tuples */
	size_t			 nmembers, members_room;
	struct pickle_item	*items;		/* items of all dictionaries */
	size_t			 nitems, items_room;
	struct pickle_tensor	*tensors;	/* without their names */
	size_t			 ntensors, tensors_room;
	uint32_t		*memo;		/* index of object + 1; 0: not
						 * stored */
	size_t			 memo_room;
	uint32_t		 stack[PICKLE_STACK_MAX];
	size_t			 depth;
	uint32_t		 marks[PICKLE_MARKS_MAX];
	size_t			 nmarks;
};

/* A supported name. */
struct pickle_global {
	const char	*module, *name;
	/* Call it with a tuple of arguments; NULL if it can't be called. */
	enum pickle_error (*call)(struct pickle *, const uint32_t *, size_t,
			    uint32_t *);
	int		 storage;	/* type is the element type of a
					 * storage */
	enum pickle_type type;
};

/* An instruction. */
struct pickle_op {
	const char		*name;
	/* NULL: the name is known, but the instruction is refused. */
	enum pickle_error	(*run)(struct pickle *, int arg);
	int			 arg;	/* bytes of its argument, or number of
					 * values */
};

/* Return the instruction of that code, or NULL. */
const struct pickle_op *pickle_op_find(uint8_t code);

/* Report an error: the file, the byte, and what is wrong. */
enum pickle_error pickle_fail(struct pickle *p, enum pickle_error why,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Make a new object; all members except kind are zero. */
enum pickle_error pickle_new(struct pickle *p, enum pickle_kind kind,
	    uint32_t *out);

/* Make room for one more than n elements of size bytes at array. */
void	*pickle_grow(void *array, size_t n, size_t *room, size_t size);

/* Return the global of that name, or NULL. */
const struct pickle_global *pickle_global_find(const char *module,
	    const char *name);

/* Make a storage from its persistent id. */
enum pickle_error pickle_storage(struct pickle *p, uint32_t pid,
	    uint32_t *out);

#endif
