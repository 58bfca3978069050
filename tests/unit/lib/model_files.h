/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of model folders: copies a valid folder with changes, and writes
 * single files.
 */
#ifndef TEST_MODEL_FILES_H
#define TEST_MODEL_FILES_H

#include <jansson.h>
#include <stddef.h>

/* The changes of a copy of the weights. */
struct change {
	int		 keep;		/* tensors: 0 all, 1 even, 2 odd */
	const char	*drop;		/* leave out this one */
	const char	*also;		/* but keep this one */
	const char	*extra;		/* add 32 zero bytes of this name, */
	const char	*extra_dtype;	/* this type */
	int		 extra_shape;	/* and this many elements */
};

/* Write n bytes, or an object (taken), to folder/name. */
void	 model_files_put(const char *folder, const char *name,
	    const void *bytes, size_t n);
void	 model_files_put_json(const char *folder, const char *name,
	    json_t *obj);

/* How many files a folder has. */
int	 model_files_count(const char *folder);

/* Put n bytes at byte off of a tensor in folder/model.safetensors. */
void	 model_files_poke(const char *folder, const char *tensor, size_t off,
	    const void *bytes, size_t n);

/* Opening must fail, and the message must have these words. */
void	 model_files_not_opened(const char *path, const char *words);

/* A backend must refuse the weights of the folder; the message names the
 * tensor and has these words. */
void	 model_files_refused(const char *folder, const char *precision,
	    const char *tensor, const char *words);

/* A new folder (owned: neox_remove) with the config.json of whole. */
char	*model_files_folder(const char *whole);

/* Copy the weights of whole to folder/name with changes. If map is not NULL,
 * the tensors of the copy are added to it. */
void	 model_files_put_weights(const char *whole, const char *folder,
	    const char *name, const struct change *c, json_t *map);

/* Open the model in folder, which must succeed, and return the text written to
 * stderr meanwhile: owned. */
char	*model_files_stderr(const char *folder);

#endif
