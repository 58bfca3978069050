/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the scheduler knows of a model: a batch of rows goes in, logits come
 * out.  Backends (engine/cpu, the CUDA module) fill the table below; the KV
 * cache is theirs, its block tables are the scheduler's (kvcache.h).
 *
 * One letter per dimension, here and in the whole engine:
 *   T  tokens (rows) in a step      C  channels (hidden size)
 *   H  heads                        D  lanes (channels) per head, H * D = C
 *   V  vocabulary (rows of the output matrix)
 *   L  layers                       F  channels inside the MLP
 */
#ifndef ENGINE_BACKEND_H
#define ENGINE_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define KV_BLOCK 32	/* positions in one block of the KV cache */

/* One row of a step: one token of one sequence. */
struct backend_row {
	int32_t		 token;	/* 0 .. V - 1 */
	int32_t		 pos;	/* position in its sequence, from 0 */
	const int32_t	*blocks; /* borrowed for the step: cache block of
				  * positions 0..31, 32..63, ... of this row's
				  * sequence, at least pos / KV_BLOCK + 1 */
	float		*logits; /* where its V logits go, or NULL */
};

struct backend_info {
	int		 context;	/* positions the model was made for */
	int		 vocab;		/* V */
	int		 layers;	/* L */
	int64_t		 parameters;
	int		 kv_blocks;	/* blocks in the cache */
	int64_t		 kv_bytes;	/* what they take */
	int		 threads;
	const char	*device;	/* "cpu", "cuda:0" */
	const char	*isa;		/* "scalar", "avx2", ... or "" */
	const char	*precision;	/* "fp32", "bf16", ...; where the cache
					 * is not in what auto gives, with
					 * "+kv8" or "+kv16" behind it */
	const char	*kv_precision;	/* "fp32", "bf16" or "int8" */
};

struct backend;

struct backend_ops {
	/*
	 * Run one step. Rows of one sequence come in order of pos; within a
	 * step a row sees the rows of its own sequence at lower positions of
	 * this and of earlier steps. A row's result depends on its sequence
	 * alone, never on which other rows share the step, on T, or on how a
	 * prompt was cut into steps (design: canonical arithmetic).
	 * Returns 0; CHAT_ESHAPE where a token or position is out of range.
	 */
	int	(*step)(struct backend *b, const struct backend_row *rows,
		    int T);
	void	(*info)(const struct backend *b, struct backend_info *out);
	void	(*free)(struct backend *b);
};

struct backend {
	const struct backend_ops *ops;
};

struct model;		/* model/model.h: configuration and weight source */

struct backend_options {
	const char	*precision;	/* "auto", "fp32", "bf16", "int8" or
					 * "int4" */
	const char	*kv_precision;	/* of the cache: "auto" (or NULL),
					 * "fp32", "bf16" or "int8" */
	const char	*device;	/* "cpu" or "cuda:N" */
	const char	*isa;		/* "auto", "scalar", "avx2", "avx512",
					 * "amx" */
	int		 threads;	/* 0: one per core we may use, which
					 * is also the most */
	int		 pin;		/* each to a core of its own */
	int		 kv_tokens;	/* cache size in positions; 0: default */
	int		 rows;		/* in one step, at most: for the plan */
	/* Called while weights load, with bytes read; may be NULL. */
	void		(*progress)(void *arg, int64_t bytes, int64_t total);
	void		*progress_arg;
};

/*
 * Load the model's weights into a new backend (owned by the caller, ended by
 * ops->free). The model must live until this returns. 0, or an error with *f
 * filled (code "bad_model", "no_memory" or "no_device"): one line that names
 * file, tensor, expected and found.
 */
int	backend_open(struct model *m, const struct backend_options *opt,
	    struct backend **out, struct fault *f);

#endif
