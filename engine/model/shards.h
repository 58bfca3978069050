/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The weight files of a model, opened, and a table of all the tensors in
 * them.  What a model needs of it is model.c's, reading it all stream.c's.
 */
#ifndef MODEL_SHARDS_H
#define MODEL_SHARDS_H

#include <stddef.h>
#include <stdint.h>

#include "safetensors.h"

struct shards;

/* Where one tensor is. */
struct shard_tensor {
	const struct st_tensor	*st;	/* borrowed from the shards */
	size_t			 file;	/* index of its weight file */
	uint64_t		 at;	/* byte in that file */
};

/*
 * Open the weight files of the folder at path: model.safetensors, or the
 * shards named by model.safetensors.index.json; where neither is there,
 * pytorch_model.bin or the shards of pytorch_model.bin.index.json. 0 and *out
 * (owned), or an error with *f filled.
 */
int	 shards_open(const char *path, struct shards **out, struct fault *f);

/* One file, already open (fd is taken) and its table read (taken): format is
 * what shards_format says (static). 0 and *out (owned), or an error. */
int	 shards_wrap(const char *path, int fd, uint64_t size,
	    struct st_table *table, const char *format, struct shards **out,
	    struct fault *f);
void	 shards_free(struct shards *s);

/* "safetensors", "PyTorch" or what was given. */
const char *shards_format(const struct shards *s);

/* The tensor of that name; 0 or CHAT_ENOTFOUND. */
int	 shards_find(const struct shards *s, const char *name,
	    struct shard_tensor *out);

/* Tensor i in order of names; 0, or CHAT_ENOTFOUND past the last. */
int	 shards_at(const struct shards *s, size_t i,
	    struct shard_tensor *out);

/* Read n bytes of weight file i from byte off on. 0, or an error with *f
 * filled. */
int	 shards_read(const struct shards *s, size_t i, uint64_t off, void *out,
	    size_t n, struct fault *f);

/* Full path (borrowed) of weight file i in order of names, and its size. NULL
 * past the last. */
const char *shards_file(const struct shards *s, size_t i, uint64_t *size);

#endif
