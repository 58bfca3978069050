/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts that the files reading GGUF share: gguf.c reads bytes, gguf_keys.c
 * and gguf_tensors.c read keys and tensors, and gguf_config.c and gguf_vocab.c
 * interpret them.
 */
#ifndef MODEL_GGUF_IMPL_H
#define MODEL_GGUF_IMPL_H

#include "gguf.h"
#include "tensors.h"

#define GGUF_BUFFER	16384	/* bytes read at a time */
#define GGUF_WORD_MAX	64	/* bytes of a word, NUL included */
#define GGUF_ALIGNED	32	/* by default */

/* Types of values, as numbered in files. */
enum gguf_type {
	GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32,
	GGUF_BOOLEAN, GGUF_STRING, GGUF_ARRAY, GGUF_U64, GGUF_I64, GGUF_F64,
	GGUF_TYPES
};

/* A key. The values of strings and arrays stay in the file. */
struct gguf_key {
	char		*name;		/* owned */
	enum gguf_type	 type;
	enum gguf_type	 elem;		/* of an array */
	uint64_t	 n;		/* bytes of a string, or elements of an
					 * array */
	uint64_t	 at;		/* byte where the value begins */
	uint64_t	 bits;		/* any other value, not widened */
};

/* The kind of number to read. */
enum gguf_kind { GGUF_INTEGER, GGUF_REAL, GGUF_TRUTH };

/* The state of gguf_read. */
struct gguf_load {
	const char	*path;		/* borrowed */
	int		 fd;		/* borrowed */
	uint64_t	 size;
	struct fault	*f;		/* borrowed */
	uint64_t	 at;		/* the next byte to read */
	struct gguf_key	*keys;		/* owned; in order of names */
	size_t		 nkeys;
	uint64_t	 ntensors;	/* the count in the header */
	struct gguf	*out;		/* borrowed: the result so far */
	uint64_t	 buf_at;	/* where buf begins in the file */
	size_t		 buf_n;
	uint8_t		 buf[GGUF_BUFFER];
};

/* Report one line: the file, the key or tensor (or NULL), and what is wrong.
 * Returns why. */
enum gguf_error	gguf_fail(struct gguf_load *l, enum gguf_error why,
		    const char *what, const char *fmt, ...)
		    __attribute__((format(printf, 4, 5)));

/* Read n bytes, or a little-endian number, at l->at. Returns GGUF_SHORT,
 * GGUF_TOO_BIG or GGUF_READ on failure. */
enum gguf_error	gguf_take(struct gguf_load *l, void *out, uint64_t n);
enum gguf_error	gguf_take_u32(struct gguf_load *l, uint32_t *out);
enum gguf_error	gguf_take_u64(struct gguf_load *l, uint64_t *out);

/* Skip n bytes, with the same limits. */
enum gguf_error	gguf_skip(struct gguf_load *l, uint64_t n);

/* Is this printable UTF-8? */
int		gguf_is_text(const char *s, size_t n);

/* The key of that name, or NULL. */
const struct gguf_key *gguf_find(const struct gguf_load *l,
		    const char *name);

/* Find the key of that name; GGUF_MISSING if there is none. */
enum gguf_error	gguf_need(struct gguf_load *l, const char *name,
		    const struct gguf_key **out);

/* Return the number of a key, or GGUF_WRONG_TYPE. */
enum gguf_error	gguf_number(struct gguf_load *l, const struct gguf_key *k,
		    enum gguf_kind kind, double *out);

/* Return the string of a key, or GGUF_WRONG_TYPE. A string that is too long is
 * cut; one that is not printable becomes "(no text)". l->at does not change. */
enum gguf_error	gguf_word(struct gguf_load *l, const struct gguf_key *k,
		    char out[GGUF_WORD_MAX]);

/* Go to the array of that name with elements of type elem, and return its
 * length. Returns GGUF_MISSING or GGUF_WRONG_TYPE on failure. */
enum gguf_error	gguf_array(struct gguf_load *l, const char *name,
		    enum gguf_type elem, uint64_t *n);

/* Return the tensor of a part (of layer 0), or NULL. */
const struct st_tensor *gguf_tensor(const struct gguf_load *l,
		    enum tensor part);

/* Read the parts of a file after its header, in this order: n keys, and so
 * on. */
enum gguf_error	gguf_keys(struct gguf_load *l, uint64_t n);
enum gguf_error	gguf_tensors(struct gguf_load *l);
enum gguf_error	gguf_config(struct gguf_load *l);
enum gguf_error	gguf_vocab(struct gguf_load *l);

#endif
