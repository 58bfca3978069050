/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a module that multiplies matrices on a device exports: the datum
 * "tune_module".  mat_device.c is the only caller, from one thread.
 *
 * Functions that can fail write one line into why, of MAT_MODULE_WHY bytes: the
 * call that failed, its sizes and its status.
 */
#ifndef TUNE_MAT_MODULE_H
#define TUNE_MAT_MODULE_H

#include <stddef.h>
#include <stdint.h>

#define MAT_MODULE_VERSION	1
#define MAT_MODULE_WHY		256

/* A device that is in use. */
struct mat_gpu;

/*
 * An operand on the device, in bf16: element (i, k) is element i * ld + k of
 * at; or element k * ld + i, if it lies across.
 */
struct mat_operand {
	void	*at;		/* memory of the device, or NULL */
	size_t	 size;		/* bytes there */
	int	 ld;
	int	 across;
};

struct mat_module {
	uint32_t	 version, size;	/* MAT_MODULE_VERSION, of this struct */
	const char	*release;	/* of chatd */

	/* Use device number index; name gets what it calls itself. Returns 0
	 * and *out, or -1. */
	int		(*open)(int index, struct mat_gpu **out, char *name,
			    size_t n, char *why);
	/* Release it; its operands must be released before. */
	void		(*close)(struct mat_gpu *g);

	/* Memory for an operand; NULL: there is none. */
	void		*(*memory_new)(struct mat_gpu *g, size_t bytes,
			    char *why);
	void		(*memory_free)(struct mat_gpu *g, void *p);

	/* Room on the host for the bytes that put copies next. It is the
	 * module's, until the next call of stage. NULL: there is none. */
	uint16_t	*(*stage)(struct mat_gpu *g, size_t bytes, char *why);
	/* Copy them to memory of the device. Returns 0 or -1. */
	int		(*put)(struct mat_gpu *g, void *to, size_t bytes,
			    char *why);

	/* A B^T for A [M][K] and B [N][K]: [M][N], which is the module's,
	 * until the next call. Products of bf16 are summed in fp32. NULL: a
	 * call has failed, maybe an earlier one. */
	const float	*(*multiply)(struct mat_gpu *g, int M, int N, int K,
			    const struct mat_operand *a,
			    const struct mat_operand *b, char *why);
};

extern const struct mat_module tune_module;

#endif
