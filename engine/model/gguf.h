/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF files, versions 2 and 3, of the architecture gptneox: tensors,
 * configuration and tokenizer of one file, in the terms of a Hugging Face
 * folder.  Reading weights is left to others.
 *
 * A file is: "GGUF", version, number of tensors, number of keys; the keys,
 * each a name, a type and a value; the tensors, each a name, its dimensions,
 * a type and an offset; padding; the data, to which the offsets are relative.
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
#define GGUF_DIMS_MAX		4		/* of one tensor */
#define GGUF_ALIGNMENT_MAX	(1024 * 1024)	/* bytes */
#define GGUF_TOKEN_MAX		4096		/* bytes of one token */
#define GGUF_TOKENIZER_MAX	(16 * 1024 * 1024) /* bytes of its JSON */

/* Each way a file can be wrong. */
enum gguf_error {
	GGUF_OK,
	GGUF_READ,		/* the file can't be read, or has shrunk */
	GGUF_MAGIC,		/* no GGUF file */
	GGUF_BIG_ENDIAN,	/* numbers have their high byte first */
	GGUF_VERSION,		/* version not 2 or 3 */
	GGUF_COUNT,		/* more keys or tensors than there can be */
	GGUF_SHORT,		/* the file ends inside keys or tensors */
	GGUF_TOO_BIG,		/* over a limit above */
	GGUF_KEY,		/* a key's name is no text */
	GGUF_KEY_TWICE,		/* two keys of one name */
	GGUF_TYPE,		/* a value of an unknown type */
	GGUF_NESTED,		/* an array of arrays */
	GGUF_BOOL,		/* a boolean that is not 0 or 1 */
	GGUF_MISSING,		/* a key or tensor that must be there */
	GGUF_WRONG_TYPE,	/* a known key's value has another type */
	GGUF_ARCHITECTURE,	/* not gptneox */
	GGUF_SPLIT,		/* one part of several files */
	GGUF_ALIGNMENT,		/* no power of two from 8 */
	GGUF_NAME,		/* a tensor's name is no text of its length */
	GGUF_NAME_TWICE,	/* two tensors of one name */
	GGUF_DIMS,		/* not 1 to 4 dimensions */
	GGUF_ZERO,		/* a dimension of 0 */
	GGUF_OVERFLOW,		/* the size overflows */
	GGUF_DTYPE,		/* an unknown type of elements */
	GGUF_BLOCK,		/* rows are no whole blocks */
	GGUF_OFFSET,		/* an offset that is not aligned */
	GGUF_PAST_END,		/* data behind the end of the file */
	GGUF_OVERLAP,		/* two tensors share bytes */
	GGUF_CONFIG,		/* a number out of its bounds */
	GGUF_UNSUPPORTED,	/* computes in a way not known here */
	GGUF_TOKENIZER,		/* another kind of tokenizer */
	GGUF_TOKEN		/* tokens or merges are not as they must be */
};

/* What is in a file. */
struct gguf {
	/*
	 * Tensors by the names of tensors.h where they have one, in order of
	 * begin. begin and end count from the start of the file; shapes are
	 * rows first, as everywhere; types that dtype.h does not know are not
	 * readable.
	 */
	struct st_table		 table;
	struct model_config	 config;
	char			*tokenizer;	/* owned: the text of an equal
						 * tokenizer.json; NULL: the
						 * file has no tokenizer */
	size_t			 tokenizer_len;	/* bytes */
	/*
	 * The rows of query_key_value are [q k v][H][D] where a folder's are
	 * [H][q k v][D].
	 */
	int			 split_qkv;
};

/*
 * Read the file open at fd, size bytes long; path is only named in errors.
 * GGUF_OK and *out (clear it with gguf_clear), or another code with *f filled
 * (code "bad_model"): one line that names file, key or tensor, expected and
 * found.
 */
enum gguf_error	gguf_read(const char *path, int fd, uint64_t size,
		    struct gguf *out, struct fault *f);

void		gguf_clear(struct gguf *g);

#endif
