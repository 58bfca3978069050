/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF files, versions 2 and 3, of the architecture gptneox. The tensors, the
 * configuration and the tokenizer of one file are returned in the form that a
 * Hugging Face folder has. The weights are not read here.
 *
 * A file is: "GGUF", version, number of tensors, number of keys; the keys, each
 * a name, a type and a value; the tensors, each a name, its dimensions, a type
 * and an offset; padding; the data, to which the offsets are relative.
 */
#ifndef MODEL_GGUF_H
#define MODEL_GGUF_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "model.h"
#include "safetensors.h"

#define GGUF_METADATA_MAX	(64 * 1024 * 1024)	/* bytes before data */
#define GGUF_KEYS_MAX		4096
#define GGUF_TENSORS_MAX	65536
#define GGUF_NAME_MAX		64		/* bytes of a tensor's name */
#define GGUF_KEY_MAX		65535		/* bytes of a key's name */
#define GGUF_DIMS_MAX		4		/* dimensions of one tensor */
#define GGUF_ALIGNMENT_MAX	(1024 * 1024)	/* bytes */
#define GGUF_TOKEN_MAX		4096		/* bytes of one token */
#define GGUF_TOKENIZER_MAX	(16 * 1024 * 1024) /* bytes of the tokenizer's
						    * JSON */

/* Each way a file can be wrong. */
enum gguf_error {
	GGUF_OK,
	GGUF_READ,		/* the file can't be read, or has shrunk */
	GGUF_MAGIC,		/* not a GGUF file */
	GGUF_BIG_ENDIAN,	/* numbers have their high byte first */
	GGUF_VERSION,		/* version not 2 or 3 */
	GGUF_COUNT,		/* more keys or tensors than the limit or the
				 * file allows */
	GGUF_SHORT,		/* the file ends inside keys or tensors */
	GGUF_TOO_BIG,		/* over a limit above */
	GGUF_KEY,		/* a key's name is not printable text */
	GGUF_KEY_TWICE,		/* two keys have the same name */
	GGUF_TYPE,		/* a value of an unknown type */
	GGUF_NESTED,		/* an array of arrays */
	GGUF_BOOL,		/* a boolean that is not 0 or 1 */
	GGUF_MISSING,		/* a required key or tensor is missing */
	GGUF_WRONG_TYPE,	/* a known key's value has another type */
	GGUF_ARCHITECTURE,	/* the architecture is not gptneox */
	GGUF_SPLIT,		/* one part of several files */
	GGUF_ALIGNMENT,		/* the alignment is not a power of two from 8 */
	GGUF_NAME,		/* a tensor's name is too long or not text */
	GGUF_NAME_TWICE,	/* two tensors have the same name */
	GGUF_DIMS,		/* not 1 to 4 dimensions */
	GGUF_ZERO,		/* a dimension of 0 */
	GGUF_OVERFLOW,		/* the size overflows */
	GGUF_DTYPE,		/* an unknown type of elements */
	GGUF_BLOCK,		/* a row is not a whole number of blocks */
	GGUF_OFFSET,		/* an offset that is not aligned */
	GGUF_PAST_END,		/* data past the end of the file */
	GGUF_OVERLAP,		/* two tensors share bytes */
	GGUF_CONFIG,		/* a number out of its bounds */
	GGUF_UNSUPPORTED,	/* asks for a computation that is not
				 * supported */
	GGUF_TOKENIZER,		/* another kind of tokenizer */
	GGUF_TOKEN		/* the tokens or merges are malformed */
};

/* The content of a file. */
struct gguf {
	/*
	 * The tensors in order of begin, by the names of tensors.h if they have
	 * one there. begin and end count from the start of the file. Shapes
	 * have the rows first, as everywhere. A type that dtype.h does not know
	 * is not readable.
	 */
	struct st_table		 table;
	struct model_config	 config;
	char			*tokenizer;	/* owned: the text of an
						 * equivalent tokenizer.json, or
						 * NULL if the file has no
						 * tokenizer */
	size_t			 tokenizer_len;	/* bytes */
	/*
	 * The rows of query_key_value are [q k v][H][D]; in a folder they are
	 * [H][q k v][D].
	 */
	int			 split_qkv;
};

/*
 * Read the file open at fd, size bytes long; path is only used for messages.
 * Returns GGUF_OK and *out (clear it with gguf_clear), or another code with *f
 * filled (code "bad_model"): one line with the file, the key or tensor, and the
 * expected and found values.
 */
enum gguf_error	gguf_read(const char *path, int fd, uint64_t size,
		    struct gguf *out, struct fault *f);

void		gguf_clear(struct gguf *g);

#endif
