/*
 * A Hugging Face folder: its weight files, opened, and a table of all the
 * tensors in them.  What a model needs of it is model.c's.
 */
#ifndef MODEL_HF_H
#define MODEL_HF_H

#include <stddef.h>
#include <stdint.h>

#include "safetensors.h"

struct hf;

/* Where one tensor is. */
struct hf_tensor {
	const struct st_tensor	*st;	/* borrowed from the hf */
	size_t			 file;	/* index of its weight file */
	uint64_t		 at;	/* byte in that file */
};

/*
 * Open the weight files of the folder at path: model.safetensors, or the
 * shards named by model.safetensors.index.json; where neither is there,
 * pytorch_model.bin or the shards of pytorch_model.bin.index.json. 0 and *out
 * (owned), or an error with *f filled.
 */
int	 hf_open(const char *path, struct hf **out, struct fault *f);
void	 hf_free(struct hf *h);

/* The tensor of that name; 0 or CHAT_ENOTFOUND. */
int	 hf_find(const struct hf *h, const char *name,
	    struct hf_tensor *out);

/* Tensor i in order of names; 0, or CHAT_ENOTFOUND past the last. */
int	 hf_at(const struct hf *h, size_t i, struct hf_tensor *out);

/* Read n bytes of a tensor from byte off on. 0, or an error with *f filled;
 * off + n must not pass the tensor's end. */
int	 hf_read(const struct hf *h, const struct hf_tensor *t, uint64_t off,
	    void *out, size_t n, struct fault *f);

/* Full path of weight file i in order of names, or NULL past the last. */
const char *hf_file(const struct hf *h, size_t i);

#endif
