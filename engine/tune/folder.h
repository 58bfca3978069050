/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models on disk: reading any form that the engine reads, and writing Hugging
 * Face folders and adapters in the layout of PEFT.
 */
#ifndef TUNE_FOLDER_H
#define TUNE_FOLDER_H

#include "err.h"
#include "net.h"

/* Fill the parameters of n, made for m's configuration, from m. Returns 0, or
 * an error with *f filled. */
int	 folder_read(struct model *m, struct net *n, struct fault *f);

/*
 * Write config.json, model.safetensors (dtype "F16", "BF16" or "F32"),
 * tokenizer.json (tok_len bytes at tok) and tokenizer_config.json into the
 * folder, which is made. Each file is replaced at once. Returns 0, or
 * CHAT_ESYSTEM or CHAT_EFORMAT (a weight does not fit into dtype) with *f
 * filled.
 */
int	 folder_write(const char *path, const struct net *n,
	    const char *dtype, const char *tok, size_t tok_len,
	    struct fault *f);

/* Write the adapters of n: adapter_config.json and adapter_model.safetensors.
 * base is the folder of the base model, as text, and digest is model_digest of
 * it (NULL: not known), by which the engine finds out that the adapters belong
 * to another model. */
int	 folder_write_adapter(const char *path, const struct net *n,
	    const char *base, const char *digest, struct fault *f);

/* Write len bytes to the file dir/name by way of a temporary file, which does
 * not stay if it fails. The folder is made. */
int	 folder_put(const char *dir, const char *name, const void *bytes,
	    size_t len, struct fault *f);

#endif
