/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a model, for model.c (opening), model_fit.c (do its files fit
 * together?), stream.c (reading) and synth.c (none on a disk).
 */
#ifndef MODEL_MODEL_IMPL_H
#define MODEL_MODEL_IMPL_H

#include "model.h"
#include "packed.h"
#include "shards.h"
#include "tensors.h"

/* A tensor that the model needs, and where it is. */
struct model_part {
	enum tensor		 part;
	int			 layer;
	int64_t			 rows, cols;	/* a vector: cols 1 */
	struct shard_tensor	 where;
};

struct model {
	char			*path;		/* owned */
	char			*name;		/* owned */
	char			*digest;	/* owned; NULL: not yet known */
	struct model_config	 config;
	char			*config_text;	/* owned: config.json */
	size_t			 config_len;
	char			*tokenizer;	/* owned: tokenizer.json; NULL:
						 * there is none */
	size_t			 tokenizer_len;
	char			*tokenizer_path; /* owned */
	uint8_t			*tables;	/* owned: of the tokenizer;
						 * NULL: there are none */
	size_t			 tables_len;
	int			 split_qkv;	/* GGUF: see model_row */
	int			 synth;		/* random numbers, and their */
	uint64_t		 seed;
	/* one of, else: */
	struct shards		*shards;	/* owned */
	struct packed		*packed;	/* owned */
	struct model_part	*parts;		/* owned: by file and byte */
	size_t			 nparts;
	int64_t			 bytes, bytes_read;
};

/*
 * Find every part of an opened model in its files and check it: parts, nparts
 * and bytes are set. A tensor that nothing knows is logged. 0, or an error with
 * *f filled.
 */
int	 model_fit(struct model *m, struct fault *f);

#endif
