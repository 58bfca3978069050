/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the files that read GGUF: gguf.c takes bytes, gguf_keys.c and
 * gguf_tensors.c read keys and tensors, gguf_config.c and gguf_vocab.c make
 * something of them.
 */
#ifndef MODEL_GGUF_IMPL_H
#define MODEL_GGUF_IMPL_H

#include "gguf.h"
#include "tensors.h"

#define GGUF_BUFFER	16384	/* bytes read at a time */
#define GGUF_WORD_MAX	64	/* bytes of a word, NUL included */
#define GGUF_ALIGNED	32	/* where the file does not say */

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
	uint64_t	 n;		/* bytes of a string, elements of an
					 * array */
	uint64_t	 at;		/* byte where they begin */
	uint64_t	 bits;		/* any other value, not widened */
};

/* What a number is to be read as. */
enum gguf_kind { GGUF_INTEGER, GGUF_REAL, GGUF_TRUTH };

/* A file while it is read. */
struct gguf_load {
	const char	*path;		/* borrowed */
	int		 fd;		/* borrowed */
	uint64_t	 size;
	struct fault	*f;		/* borrowed */
	uint64_t	 at;		/* the next byte to take */
	struct gguf_key	*keys;		/* owned; in order of names */
	size_t		 nkeys;
	uint64_t	 ntensors;	/* as the file says */
	struct gguf	*out;		/* borrowed: what has been read */
	uint64_t	 buf_at;	/* where in the file buf begins */
	size_t		 buf_n;
	uint8_t		 buf[GGUF_BUFFER];
};

/* One line: file, key or tensor (NULL: none), what is wrong. Returns why. */
enum gguf_error	gguf_fail(struct gguf_load *l, enum gguf_error why,
		    const char *what, const char *fmt, ...)
		    __attribute__((format(printf, 4, 5)));

/* Take n bytes, or a little-endian number, at l->at. GGUF_SHORT,
 * GGUF_TOO_BIG or GGUF_READ where they can't be had. */
enum gguf_error	gguf_take(struct gguf_load *l, void *out, uint64_t n);
enum gguf_error	gguf_take_u32(struct gguf_load *l, uint32_t *out);
enum gguf_error	gguf_take_u64(struct gguf_load *l, uint64_t *out);

/* Leave n bytes out, with the same limits. */
enum gguf_error	gguf_skip(struct gguf_load *l, uint64_t n);

/* Printable UTF-8? */
int		gguf_is_text(const char *s, size_t n);

/* The key of that name, or NULL. */
const struct gguf_key *gguf_find(const struct gguf_load *l,
		    const char *name);

/* The key of that name, or GGUF_MISSING. */
enum gguf_error	gguf_need(struct gguf_load *l, const char *name,
		    const struct gguf_key **out);

/* The number of a key, or GGUF_WRONG_TYPE. */
enum gguf_error	gguf_number(struct gguf_load *l, const struct gguf_key *k,
		    enum gguf_kind kind, double *out);

/* The string of a key, or GGUF_WRONG_TYPE. One that is longer is cut, one
 * that is no text is "(no text)". l->at stays where it is. */
enum gguf_error	gguf_word(struct gguf_load *l, const struct gguf_key *k,
		    char out[GGUF_WORD_MAX]);

/* Go to the array of that name, of elem, and say how long it is. GGUF_MISSING
 * or GGUF_WRONG_TYPE where it is not there. */
enum gguf_error	gguf_array(struct gguf_load *l, const char *name,
		    enum gguf_type elem, uint64_t *n);

/* The tensor of a part (of layer 0), or NULL. */
const struct st_tensor *gguf_tensor(const struct gguf_load *l,
		    enum tensor part);

/* The parts of a file behind its header, in this order: n keys, and so on. */
enum gguf_error	gguf_keys(struct gguf_load *l, uint64_t n);
enum gguf_error	gguf_tensors(struct gguf_load *l);
enum gguf_error	gguf_config(struct gguf_load *l);
enum gguf_error	gguf_vocab(struct gguf_load *l);

#endif
