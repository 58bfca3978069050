/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The weight files of a model, opened, and a table of all their tensors.
 * model.c chooses the tensors that a model needs, and stream.c reads the files.
 */
#ifndef MODEL_SHARDS_H
#define MODEL_SHARDS_H

#include <stddef.h>
#include <stdint.h>

#include "safetensors.h"

struct shards;

/* The place of one tensor. */
struct shard_tensor {
	const struct st_tensor	*st;	/* borrowed from the shards */
	size_t			 file;	/* index of its weight file */
	uint64_t		 at;	/* first byte in that file */
};

/*
 * Open the weight files of the folder at path: model.safetensors, or the shards
 * of model.safetensors.index.json; if neither exists, pytorch_model.bin or the
 * shards of pytorch_model.bin.index.json. Returns 0 and *out (owned), or an
 * error with *f filled.
 */
int	 shards_open(const char *path, struct shards **out, struct fault *f);

/* Wrap one file that is already open (fd is taken), with its table (taken);
 * shards_format returns format (static). Returns 0 and *out (owned), or an
 * error. */
int	 shards_wrap(const char *path, int fd, uint64_t size,
	    struct st_table *table, const char *format, struct shards **out,
	    struct fault *f);
void	 shards_free(struct shards *s);

/* "safetensors", "PyTorch", or the format passed to shards_wrap. */
const char *shards_format(const struct shards *s);

/* The tensor of that name. Returns 0 or CHAT_ENOTFOUND. */
int	 shards_find(const struct shards *s, const char *name,
	    struct shard_tensor *out);

/* Tensor i in order of names. Returns 0, or CHAT_ENOTFOUND past the last
 * one. */
int	 shards_at(const struct shards *s, size_t i,
	    struct shard_tensor *out);

/* Read n bytes of weight file i from byte off on. Returns 0, or an error with
 * *f filled. */
int	 shards_read(const struct shards *s, size_t i, uint64_t off, void *out,
	    size_t n, struct fault *f);

/* Full path (borrowed) and size of weight file i in order of names. NULL past
 * the last one. */
const char *shards_file(const struct shards *s, size_t i, uint64_t *size);

#endif
