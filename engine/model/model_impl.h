/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a model, for model.c (opening), model_fit.c (checking that its
 * files fit together), stream.c (reading) and synth.c (a model without files).
 */
#ifndef MODEL_MODEL_IMPL_H
#define MODEL_MODEL_IMPL_H

#include "model.h"
#include "packed.h"
#include "shards.h"
#include "tensors.h"

/* A tensor that the model needs, and its place. */
struct model_part {
	enum tensor		 part;
	int			 layer;
	int64_t			 rows, cols;	/* a vector has cols 1 */
	struct shard_tensor	 where;
};

struct model {
	char			*path;		/* owned */
	char			*name;		/* owned */
	char			*digest;	/* owned; NULL until it is
						 * known */
	struct model_config	 config;
	char			*config_text;	/* owned: config.json */
	size_t			 config_len;
	char			*tokenizer;	/* owned: tokenizer.json; NULL
						 * if there is none */
	size_t			 tokenizer_len;
	char			*tokenizer_path; /* owned */
	uint8_t			*tables;	/* owned: tables of the
						 * tokenizer; NULL if there are
						 * none */
	size_t			 tables_len;
	int			 split_qkv;	/* GGUF: see model_row */
	int			 synth;		/* random weights from `seed` */
	uint64_t		 seed;
	/* either: */
	struct shards		*shards;	/* owned */
	struct packed		*packed;	/* or: owned */
	struct model_part	*parts;		/* owned: in order of file and
						 * byte */
	size_t			 nparts;
	int64_t			 bytes, bytes_read;
};

/*
 * Find and check every part of an opened model in its files; this sets parts,
 * nparts and bytes. Unknown tensors are logged. Returns 0, or an error with *f
 * filled.
 */
int	 model_fit(struct model *m, struct fault *f);

#endif
