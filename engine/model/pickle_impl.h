/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the pickle reader: the machine of pickle.c, and the names that
 * pickle_call.c knows.
 *
 * Every value is an object in one array and is named by its place there; a
 * tuple's members are a run of such numbers in a second array.  Nothing is
 * ever freed or changed before the end, so sharing and cycles cost nothing.
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
						 * tuple: of members; tensor:
						 * of tensors */
	uint32_t		 n;		/* bytes or members */
	int64_t			 i;		/* integer, or elements */
	const struct pickle_global *global;	/* name, or storage's type */
};

/* One key of one dictionary. */
struct pickle_item {
	uint32_t	 dict, key, value;	/* objects */
};

/* The machine. */
struct pickle {
	const char		*path;
	const uint8_t		*bytes;
	size_t			 n, at, op;	/* op: where this one began */
	struct fault		*f;
	struct pickle_object	*objects;	/* owned, as all below */
	size_t			 nobjects, objects_room;
	uint32_t		*members;	/* of all tuples */
	size_t			 nmembers, members_room;
	struct pickle_item	*items;		/* of all dictionaries */
	size_t			 nitems, items_room;
	struct pickle_tensor	*tensors;	/* not yet named */
	size_t			 ntensors, tensors_room;
	uint32_t		*memo;		/* object + 1; 0: not stored */
	size_t			 memo_room;
	uint32_t		 stack[PICKLE_STACK_MAX];
	size_t			 depth;
	uint32_t		 marks[PICKLE_MARKS_MAX];
	size_t			 nmarks;
};

/* A name that may be in a checkpoint. */
struct pickle_global {
	const char	*module, *name;
	/* Call it with a tuple of arguments; NULL: can't be called. */
	enum pickle_error (*call)(struct pickle *, const uint32_t *, size_t,
			    uint32_t *);
	int		 storage;	/* type is that of a storage */
	enum pickle_type type;
};

/* An instruction. */
struct pickle_op {
	const char		*name;
	/* NULL: known, and refused by that name. */
	enum pickle_error	(*run)(struct pickle *, int arg);
	int			 arg;	/* bytes of its number, or values */
};

/* The instruction of that code, or NULL. */
const struct pickle_op *pickle_op_find(uint8_t code);

/* Fail: file, byte, words. */
enum pickle_error pickle_fail(struct pickle *p, enum pickle_error why,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A new object, all zero but its kind. */
enum pickle_error pickle_new(struct pickle *p, enum pickle_kind kind,
	    uint32_t *out);

/* Room for one more than n elements of size bytes at array. */
void	*pickle_grow(void *array, size_t n, size_t *room, size_t size);

/* The global of that name, or NULL. */
const struct pickle_global *pickle_global_find(const char *module,
	    const char *name);

/* A storage from its persistent id. */
enum pickle_error pickle_storage(struct pickle *p, uint32_t pid,
	    uint32_t *out);

#endif
