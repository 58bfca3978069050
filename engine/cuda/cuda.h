/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CUDA backend: weights, cache and arrays on one device.  The process has
 * one stream; nothing is allocated in a step.
 */
#ifndef CUDA_CUDA_H
#define CUDA_CUDA_H

#include <cuda_runtime.h>

extern "C" {
#include "adapter.h"
}
#include "backend.h"
#include "cuda_kernels.h"
#include "cuda_pieces.h"

#define CUDA_GRAPHS	7	/* batches of 1, 2, 4, ... 64 rows */

/* The sizes of everything on the device, known from the configuration. */
struct cuda_sizes {
	enum cuda_elem	 kv;		/* of the cache */
	int		 rows;		/* in a step, at most */
	int		 ldblocks;	/* blocks of a context */
	int		 sections;	/* of a context */
	int		 Dp;		/* D padded to 16 */
	int64_t		 blocks;	/* of the cache */
	size_t		 layer;		/* bytes of the cache of a layer */
	/* bytes, and places in one piece of memory, of the arrays of a step */
	size_t		 x, qkv, a, b, mix, up, q, partial, logits, angles,
			 input, seen, best;
	size_t		 wide, z;	/* of adapters: the MLP's first product
					 * in fp32, and the products with A */
	size_t		 work;		/* all of these */
	size_t		 adapters;	/* bytes of the adapters; 0: none */
	int		 ldz;		/* the largest rank of an adapter */
};

/* The places of a step's input, in int32 numbers from its first: for each row
 * a token, a position, an item (two numbers), the row of x that a row of logits
 * is made of, what is wanted of these logits (a best_row), its adapter, and its
 * blocks. */
struct cuda_input {
	size_t	 tokens, pos, items, wants, best, adapters, blocks;
	size_t	 size;
};

/* Numbers of int32 of a row's input, less its blocks. */
#define CUDA_INPUT_ROW	(6 + sizeof(struct best_row) / sizeof(int32_t))

/* The matrices and vectors of a layer: device memory. */
struct cuda_layer {
	struct product_part	 qkv, up, attn, down;
	const float		*gain[2], *bias[2];	/* norm1, norm2 */
};

struct cuda {
	struct backend			 backend;	/* first */
	const struct backend_host	*h;		/* borrowed */
	struct model_config		 config;
	struct cuda_pieces		 pieces;
	struct cuda_sizes		 sizes;
	struct cuda_input		 input;
	int64_t				 parameters;
	int				 index;		/* of the device */
	char				 name[32];	/* "cuda:0" */
	char				 isa[16];	/* "sm_80" */
	char				 precision[32];	/* "fp16@sm_80.1" */
	cudaStream_t			 stream;
	/* owned: device memory */
	uint8_t				*weights, *cache, *work;
	uint8_t				*adapters;	/* or NULL: a table of
						 * struct adapt_pair [layers]
						 * [targets][nadapters], and
						 * the matrices */
	int				 nadapters;
	unsigned			 targets;	/* that any of them
							 * changes: bits */
	int32_t				*host_input;	/* owned: pinned */
	uint32_t			*host_seen;	/* behind it */
	int32_t				*host_best;	/* behind that */
	float				*host_logits;	/* owned: pinned */
	float				*host_x;	/* owned: pinned; of a
							 * stage: [rows][C] */
	struct cuda_layer		*layers;	/* owned: [of pieces] */
	struct product_part		 head;
	const float			*gain, *bias;	/* of the last norm */
	/* or NULL; of steps without and with adapters */
	cudaGraphExec_t			 graphs[2][CUDA_GRAPHS];
};

/* The layers that are on the device. */
static inline int
cuda_layers(const struct cuda_pieces *p)
{
	return (p->end - p->first);
}

/* ---- cuda_sizes.cu */

/* The cache's elements for the word asked (NULL: "auto"): 0 and *out, or an
 * error with *f filled. */
int	 cuda_sizes_kv(const struct backend_host *h,
	    enum cuda_precision precision, const char *asked,
	    enum cuda_elem *out, struct fault *f);

/* All sizes but of the weights. A cache of opt->kv_tokens positions, or, if
 * that is 0, of as many as the memory left allows after the weights, at most
 * 64 contexts and at least one. */
void	 cuda_sizes_init(struct cuda_sizes *s, const struct model_config *c,
	    const struct cuda_pieces *p, enum cuda_elem kv,
	    const struct backend_options *opt, int64_t free_bytes);

/* The plan in the terms of the engine. */
void	 cuda_sizes_plan(const struct cuda_pieces *p,
	    const struct cuda_sizes *s, int64_t free_bytes,
	    struct backend_plan *out);

/* Does it fit? One line says what is needed and what is free; if it does not
 * fit, CHAT_ENOMEM, and *f proposes what does. */
int	 cuda_sizes_check(const struct backend_host *h, struct model *m,
	    const struct cuda_pieces *p, const struct cuda_sizes *s,
	    const struct backend_options *opt, int64_t free_bytes,
	    struct fault *f);

/* ---- cuda_load.cu */

/* Allocate everything and load the weights. 0, or an error with *f filled. */
int	 cuda_load(struct cuda *c, struct model *m,
	    const struct backend_options *opt, struct fault *f);
void	 cuda_unload(struct cuda *c);

/* Has a packed file each piece, in its size? */
int	 cuda_load_check(const struct backend_host *h, struct model *m,
	    const struct cuda_pieces *p, struct fault *f);

/* Write a packed file. */
int	 cuda_load_pack(const struct backend_host *h, struct model *m,
	    const struct cuda_pieces *p, const struct backend_options *opt,
	    const void *tables, size_t n, const char *out, struct fault *f);

/* ---- cuda_adapt.cu: adapters */

/* Bytes on the device of the adapters' layers that p has, 0 without adapters,
 * and their largest rank. */
size_t	 cuda_adapt_bytes(const struct backend_options *opt,
	    const struct cuda_pieces *p, int *rank);
/* Load them. 0, or an error with *f filled. */
int	 cuda_adapt_load(struct cuda *c, const struct backend_options *opt,
	    struct fault *f);
/* Add to out, the product of in and the matrix m in fp32, what the adapters of
 * T rows add to target in a layer (counted from the first here). */
cudaError_t	 cuda_adapt_add(const struct cuda *c, int layer,
		    enum adapter_target target, int T,
		    const struct product_part *m, const void *in, float *out,
		    int ldo);

/* ---- cuda_limits.cu */

/* The functions limits and read_rate of backend_ops. */
void	 cuda_limits(struct backend *b, struct backend_limits *out);
double	 cuda_limits_read_rate(struct backend *b);

/* ---- cuda_results.cu: what a step gives back */

/* The results of the rows that want logits or the largest of them. */
struct cuda_results {
	int	 wants;		/* their number */
	int	 rows;		/* the same with padding */
	int	 graph;		/* the launches serve later steps, too */
	int	 seen;		/* rows with a penalty */
	size_t	 numbers;	/* of all rows that want the largest: int32 */
};

/* Note a row that wants something, in the order of the rows. */
void	 cuda_results_add(const struct cuda *c, struct cuda_results *r,
	    const struct backend_row *row);
/* Pad to a graph of so many rows. */
void	 cuda_results_pad(const struct cuda *c, struct cuda_results *r,
	    int rows);
/* Send what only these rows need; it is no part of a graph. */
cudaError_t	 cuda_results_send(const struct cuda *c,
		    const struct cuda_results *r);
/* After the logits: find the largest of those rows that want them. */
cudaError_t	 cuda_results_launch(const struct cuda *c,
		    const struct cuda_results *r);
/* Fetch the results. When that is done, hand them out. */
cudaError_t	 cuda_results_fetch(const struct cuda *c,
		    const struct cuda_results *r);
void	 cuda_results_take(const struct cuda *c,
	    const struct backend_row *rows, int T);

/* ---- cuda_forward.cu */


/* The step of backend_ops. A CUDA error ends the process: the device can't be
 * used any more, and another process goes on from what is stored. */
int	 cuda_forward(struct backend *b, const struct backend_row *rows, int T);
/* The same for a stage. */
int	 cuda_forward_stage(struct backend *b, const struct backend_row *rows,
	    int T, const float *in, float *out);

#endif
