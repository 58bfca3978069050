/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The border between the engine and its backends.  It has three tables:
 *
 *   backend_driver  of a backend, before a model is loaded: plan, pack, load
 *   backend_ops     of a loaded model: a batch of rows goes in, logits or the
 *                   largest of them come out
 *   backend_host    of the engine, for a backend
 *
 * engine/cpu is linked in.  Any other backend is a module that is opened with
 * dlopen.  It finds no symbol of the engine, so it reads the model, sets faults
 * and logs through backend_host.  The KV cache belongs to the backend, its
 * block tables to the scheduler (kvcache.h).
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
#define BACKEND_BEST_MAX 256	/* logits of a backend_best */

/*
 * The largest logits of a row, for a caller that does not need all. They are
 * ordered by their value after the repetition penalty, which is computed in
 * double: logit / penalty if the logit is positive, else logit * penalty. Of
 * equal values the lower id counts as larger.
 */
struct backend_best {
	int		 k;	/* how many: 1 .. best_max, at most V */
	double		 penalty; /* for the ids that seen marks: above 0 */
	const uint8_t	*seen;	/* borrowed for the step: [V], 1 for each id
				 * that gets the penalty, else 0; NULL: none */
	/* The results: */
	int		 bad;	/* 1: a logit is NaN, or the largest value is
				 * not finite; nothing else is set then */
	int32_t		 id[BACKEND_BEST_MAX];	/* k, the largest first */
	float		 logit[BACKEND_BEST_MAX]; /* theirs, before the penalty;
						   * not set if k is 1 */
};

/* One row of a step: one token of one sequence. */
struct backend_row {
	int32_t		 token;	/* 0 .. V - 1 */
	int32_t		 pos;	/* position in its sequence, from 0 */
	const int32_t	*blocks; /* borrowed for the step: cache block of
				  * positions 0..31, 32..63, ... of this row's
				  * sequence, at least pos / KV_BLOCK + 1 */
	int		 adapter; /* of its sequence: 0, the model alone, or i:
				   * the adapter options.adapters[i - 1] */
	/* One of these at most; both are the caller's: */
	float		*logits; /* room for its V logits, or NULL */
	struct backend_best *best; /* the largest ones are wanted, or NULL */
};

struct backend_info {
	int		 context;	/* positions the model was made for */
	int		 vocab;		/* V */
	int		 layers;	/* L */
	int64_t		 parameters;
	int		 kv_blocks;	/* blocks in the cache */
	int64_t		 kv_bytes;	/* bytes of the cache */
	int		 threads;	/* compute threads on the CPU */
	const char	*device;	/* "cpu", "cuda:0" */
	const char	*isa;		/* "scalar", "avx2", ..., or "" */
	const char	*precision;	/* "fp32", "bf16", ...; followed by
					 * "+kv8" or "+kv16" if the cache is not
					 * in the type that auto chooses; on a
					 * GPU its kind follows, "@sm_80.1". A
					 * reply is continued only in the same
					 * precision */
	const char	*kv_precision;	/* "fp32", "fp16", "bf16" or "int8" */
	int		 best_max;	/* the largest k of a row's best; 0: a
					 * row may have logits only. A stage
					 * that isn't the last gives no
					 * results, so it takes any row */
	int		 adapters;	/* a row may have adapter 0 to this */
};

/*
 * Can a step of the backend that info describes have these rows? 0, or
 * CHAT_ESHAPE if a token, a position, a block, an adapter, or what a row wants
 * is out of range. For backends.
 */
static inline int
backend_rows_check(const struct backend_info *info,
    const struct backend_row *rows, int T)
{
	const struct backend_row	*row;
	int				 t, j;

	for (t = 0; t < T; t++) {
		row = &rows[t];
		if (row->token < 0 || row->token >= info->vocab ||
		    row->pos < 0 || row->pos >= info->context ||
		    row->adapter < 0 || row->adapter > info->adapters)
			return (CHAT_ESHAPE);
		for (j = 0; j <= row->pos / KV_BLOCK; j++)
			if (row->blocks[j] < 0 ||
			    row->blocks[j] >= info->kv_blocks)
				return (CHAT_ESHAPE);
		if (row->best != NULL && (row->logits != NULL ||
		    row->best->k < 1 || row->best->k > info->best_max ||
		    row->best->k > info->vocab ||
		    (row->best->seen != NULL && !(row->best->penalty > 0))))
			return (CHAT_ESHAPE);
	}
	return (T < 0 ? CHAT_ESHAPE : 0);
}

/* One limit of a device, for people and programs. */
struct backend_figure {
	const char	*key;		/* static: its name in the JSON */
	const char	*unit;		/* static: "GB/s" */
	const char	*note;		/* static: what was measured */
	double		 value;		/* in that unit */
};

#define BACKEND_FIGURES_MAX	8

/* The limits of the device of a loaded model, for --bench. */
struct backend_limits {
	int64_t		 touched;	/* bytes of weights for one token */
	double		 peak;		/* operations a second of the model's
					 * precision; a multiply-add is two */
	const char	*peak_name;	/* static: "AMX int8" */
	int		 nfigures;
	struct backend_figure figures[BACKEND_FIGURES_MAX];
};

struct backend;

struct backend_ops {
	/*
	 * Run one step. Rows of one sequence come in order of pos; within a
	 * step a row sees the rows of its own sequence at lower positions of
	 * this and of earlier steps. A row's result depends on its sequence
	 * alone, never on which other rows share the step, on T, or on how a
	 * prompt was cut into steps (design: canonical arithmetic).
	 * Returns 0, or CHAT_ESHAPE if T or a row is out of range.
	 */
	int	(*step)(struct backend *b, const struct backend_row *rows,
		    int T);
	/* Fill all of *out. The strings live as long as b. */
	void	(*info)(const struct backend *b, struct backend_info *out);
	void	(*free)(struct backend *b);
	/*
	 * limits measures the limits of the device, in a few seconds. read_rate
	 * measures the bytes that it now reads from memory per second, in tens
	 * of milliseconds. Both are NULL if the backend can't be measured.
	 */
	void	(*limits)(struct backend *b, struct backend_limits *out);
	double	(*read_rate)(struct backend *b);
	/*
	 * The same as step for a backend that was opened for a range of layers
	 * (options.first, options.end). in is the residual stream of the rows
	 * before the first of these layers, out has room for it after the last:
	 * [T][C] fp32 in the machine's memory. in is NULL if the range begins
	 * with layer 0, out is NULL if it ends with the last layer of the
	 * model; only then there are logits. The function is NULL if the
	 * backend can't run a part of a model.
	 */
	int	(*stage)(struct backend *b, const struct backend_row *rows,
		    int T, const float *in, float *out);
};

struct backend {
	const struct backend_ops *ops;
};

struct model;		/* engine/model/model.h, like the next two */
struct model_config;
struct model_slice;
struct packed_tensor;	/* engine/model/packed_write.h, like the next */
struct packed_job;
struct adapter;		/* engine/model/adapter.h */
struct pool;		/* engine/host/pool.h */

struct backend_options {
	const char	*precision;	/* "auto", "fp32", "fp16", "bf16",
					 * "int8" or "int4" */
	const char	*kv_precision;	/* of the cache: "auto" (or NULL),
					 * "fp32", "fp16", "bf16" or "int8" */
	const char	*device;	/* "cpu" or "cuda:N", or several of
					 * them: devices.h; "auto" is resolved
					 * by backend_auto */
	const char	*isa;		/* "auto", "reference", "scalar",
					 * "avx2", "avx512" or "amx" */
	int		 index;		/* N of device, or 0: backend.c sets it
					 * for the driver */
	int		 threads;	/* on the CPU; 0, the default, means one
					 * per core, also the maximum */
	int		 pin;		/* each thread to a core of its own */
	int		 kv_tokens;	/* positions of the cache; 0: default */
	int		 rows;		/* in one step, at most: for the plan */
	/* The layers of a stage: first .. end - 1. The stage with layer 0 also
	 * has the embeddings; the stage with the last layer also has the last
	 * norm and the output matrix. end 0, the default: all layers. */
	int		 first, end;
	/* The adapters that rows may have; borrowed until the backend is
	 * open. */
	const struct adapter *const *adapters;
	int		 nadapters;
	/* If not NULL, called in place of backend_host.stream. */
	int		(*stream)(void *arg, struct model *m,
			    int (*take)(void *take_arg,
			    const struct model_slice *s, struct fault *f),
			    void *take_arg, struct fault *f);
	void		*stream_arg;
	/* Called while weights load, with bytes read; may be NULL. */
	void		(*progress)(void *arg, int64_t bytes, int64_t total);
	void		*progress_arg;
};

/* The end of the layers of a stage, in a model of L layers. */
static inline int
backend_end(const struct backend_options *opt, int L)
{
	return (opt->end > 0 ? opt->end : L);
}

/* The memory that a model needs on a device, in bytes. */
struct backend_plan {
	const char	*precision;	/* static: the name of the weights' */
	const char	*kv_precision;	/* static: the name of the cache's */
	int64_t		 weights;	/* about the size of a packed file */
	int64_t		 cache;		/* of keys and values */
	int64_t		 work;		/* arrays of a step, buffers, code */
	int64_t		 total;
	int64_t		 free;		/* free bytes of the device, now */
};

/*
 * The functions that the engine offers to a backend. The table lives as long as
 * the process. Its functions may be called from the engine's thread only,
 * during a call of the driver or of backend_ops. Errors are CHAT_E... codes
 * (err.h). On error, a function with an argument f fills *f. Engine and backend
 * each free the memory that they have allocated. No memory changes its owner,
 * so there is no allocator here.
 */
#define BACKEND_VERSION	4	/* of all of this header */

struct backend_host {
	/* The engine calls only modules of its own release, version and size,
	 * so these two are for a module's own check. */
	uint32_t	 version;	/* BACKEND_VERSION */
	uint32_t	 size;		/* sizeof(struct backend_host) */

	/* The facts of a model: the functions of these names in model.h. The
	 * pointers belong to m. */
	const struct model_config *(*config)(const struct model *m);
	const char	*(*path)(const struct model *m);
	int64_t		 (*parameters)(const struct model *m);
	int64_t		 (*bytes)(const struct model *m);
	int64_t		 (*bytes_read)(const struct model *m);
	/* 1 if m is random (--synth): there is nothing to stream, and the
	 * backend draws its weights from *seed. */
	int		 (*is_synth)(const struct model *m, uint64_t *seed);

	/* Hand out all weights once, in slices of rows: model_stream. Not for
	 * packed files and random models. */
	int	(*stream)(struct model *m, int (*take)(void *arg,
		    const struct model_slice *s, struct fault *f), void *arg,
		    struct fault *f);
	/* Widen row i (0 <= i < s->count) of a slice to s->cols floats. The
	 * file's elements may have any type. 0, or CHAT_EFORMAT if one is NaN
	 * or infinite. Safe in several threads at once. */
	int	(*widen)(const struct model_slice *s, int64_t i, float *out,
		    struct fault *f);
	/* The place of row i of the file's tensor in our order: model_row. i
	 * counts from the first row of the tensor, not of the slice. A vector
	 * has rows of one element. */
	int64_t	(*row)(const struct model *m, const struct model_slice *s,
		    int64_t i);

	/* A packed file: its precision, or NULL if m is not packed (the string
	 * belongs to m); a tensor by name, or CHAT_ENOTFOUND (the strings of
	 * *out belong to m); and n bytes from byte at on, counted as begin and
	 * end of packed_tensor. */
	const char	*(*packed_precision)(const struct model *m);
	int	(*packed_find)(const struct model *m, const char *name,
		    struct packed_tensor *out);
	int	(*packed_read)(const struct model *m, uint64_t at, size_t n,
		    void *out, struct fault *f);
	/* Write a packed file: see packed_write.h. */
	int	(*packed_write)(const struct packed_job *job,
		    struct fault *f);

	/* fault_set of err.h: returns CHAT_EFORMAT. code may be a string of the
	 * module, since a module that was accepted is never closed. */
	int	(*fault)(struct fault *f, const char *code, const char *field,
		    const char *fmt, ...)
		    __attribute__((format(printf, 4, 5)));
	/* One line in the log, without a newline: log.h. */
	void	(*warn)(const char *fmt, ...)
		    __attribute__((format(printf, 1, 2)));
	void	(*info)(const char *fmt, ...)
		    __attribute__((format(printf, 1, 2)));
	void	(*debug)(const char *fmt, ...)
		    __attribute__((format(printf, 1, 2)));

	/* Threads that run numbered pieces of work: pool.h. In fn, denormals
	 * are zero, and of the host's functions only widen and row may be
	 * called. */
	struct pool	*(*pool_new)(int n);
	void		 (*pool_free)(struct pool *p);
	int		 (*pool_size)(const struct pool *p);
	void		 (*pool_run)(struct pool *p, int n,
			    void (*fn)(void *arg, int item, int thread),
			    void *arg);

	/* Bytes of the machine's memory that this process may still take:
	 * meminfo.h. */
	int64_t		 (*memory_free)(void);
};

/* The table that backend.c passes to drivers. */
extern const struct backend_host backend_host;

/*
 * A backend, before a model is loaded. A module exports one, as backend_module.
 * Each function gets the host, which it may keep, and a model that lives until
 * the function returns. It returns 0, or an error with *f filled (code
 * "bad_model", "bad_field", "no_memory" or "no_device"): one line that names
 * the file or device, expected and found. The first three members keep their
 * places in every version: they are checked before any other is read.
 */
struct backend_driver {
	uint32_t	 version;	/* BACKEND_VERSION */
	uint32_t	 size;		/* sizeof(struct backend_driver) */
	const char	*release;	/* of the chatd it was built with */
	/* The layout of its packed files, as "cpu-1"; NULL: it has none. A
	 * driver sees only packed files of its own layout. */
	const char	*layout;
	/* Its precisions, the largest first; NULL ends the list. */
	const char	*const *precisions;
	/* The memory for m in opt->precision, which may be "auto". */
	int	(*plan)(const struct backend_host *h, struct model *m,
		    const struct backend_options *opt,
		    struct backend_plan *out, struct fault *f);
	/* Does a packed file have each tensor that opt->precision needs, in
	 * its type and shape? NULL if layout is. */
	int	(*check)(const struct backend_host *h, struct model *m,
		    const struct backend_options *opt, struct fault *f);
	/* Write m to the packed file out, with n bytes of its tokenizer's
	 * tables (n 0: without). NULL if layout is. */
	int	(*pack)(const struct backend_host *h, struct model *m,
		    const struct backend_options *opt, const void *tables,
		    size_t n, const char *out, struct fault *f);
	/* Load m. *out is owned by the caller, who ends it with ops->free. */
	int	(*open)(const struct backend_host *h, struct model *m,
		    const struct backend_options *opt, struct backend **out,
		    struct fault *f);
	/* The number of its devices on this machine, usable or not. NULL: it
	 * has one. */
	int	(*devices)(const struct backend_host *h, int *out,
		    struct fault *f);
};

/*
 * The same for the driver of opt->device; opt->index is ignored. If the device
 * is unknown or not there: CHAT_EUNSUPPORTED, code "no_device". If m is packed
 * in another layout than the driver's: CHAT_EFORMAT, code "bad_model". If there
 * are several devices, the plan is the sum of theirs, and CHAT_ENOMEM, code
 * "no_memory", says that the model does not fit on them (stages.h).
 */
int	backend_plan(struct model *m, const struct backend_options *opt,
	    struct backend_plan *out, struct fault *f);
int	backend_check(struct model *m, const struct backend_options *opt,
	    struct fault *f);
int	backend_pack(struct model *m, const struct backend_options *opt,
	    const void *tables, size_t n, const char *out, struct fault *f);
int	backend_open(struct model *m, const struct backend_options *opt,
	    struct backend **out, struct fault *f);

/*
 * The device that "auto" means for m: "cuda:0" if it is there and m fits on it
 * in opt->precision; else "cuda" if m fits on all GPUs together; else "cpu",
 * and *why says why no GPU was taken. The string is static.
 */
const char *backend_auto(struct model *m, const struct backend_options *opt,
	    struct fault *why);

/* Store the precisions of opt->device in *out, which is static. For a list of
 * devices with GPUs, they are those of the GPUs. */
int	backend_precisions(const struct backend_options *opt,
	    const char *const **out, struct fault *f);

#endif
