/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: a sound model's folder copied with changes.
 */
#ifndef TEST_MODEL_FILES_H
#define TEST_MODEL_FILES_H

#include <jansson.h>
#include <stddef.h>

/* How a copy of the weights differs. */
struct change {
	int		 keep;		/* tensors: 0 all, 1 even, 2 odd */
	const char	*drop;		/* leave this one out */
	const char	*also;		/* and keep this one, even so */
	const char	*extra;		/* add 32 zero bytes of this name... */
	const char	*extra_dtype;	/* ...and type... */
	int		 extra_shape;	/* ...and so many elements */
};

/* Write n bytes, or an object (taken), to folder/name. */
void	 model_files_put(const char *folder, const char *name,
	    const void *bytes, size_t n);
void	 model_files_put_json(const char *folder, const char *name,
	    json_t *obj);

/* A new folder (owned: neox_remove) with the config.json of whole. */
char	*model_files_folder(const char *whole);

/* Copy the weights of whole to folder/name with changes. The tensors that the
 * copy has are added to map, if there is one. */
void	 model_files_put_weights(const char *whole, const char *folder,
	    const char *name, const struct change *c, json_t *map);

#endif
