/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products of matrices on a GPU.  mat.c calls this for a struct mat that has a
 * device; everything else, also the loops of attention, stays on the CPU.  The
 * work on the GPU is that of a module (mat_module.h).
 */
#ifndef TUNE_MAT_DEVICE_H
#define TUNE_MAT_DEVICE_H

#include "mat.h"

struct fault;

/*
 * Open the device that a person has named: "cpu", "cuda", which is "cuda:0",
 * "cuda:N", or "auto", which is cuda:0 if it can be used, or else the CPU.
 * Returns 0 and *out (owned; NULL: the CPU), or CHAT_EUNSUPPORTED with *f
 * filled (code "no_device", field "device"). A device that multiplies wrongly
 * is refused.
 */
int	 mat_device_open(const char *name, struct mat_device **out,
	    struct fault *f);
void	 mat_device_free(struct mat_device *d);

/* "cuda:0 (the name of the GPU)": borrowed. */
const char *mat_device_name(const struct mat_device *d);

/* An operand to be used again; owned. */
void	*mat_device_operand(void);
void	 mat_device_operand_free(struct mat_device *d, void *operand);

/*
 * As mat_prepare, mat_mul_packed and mat_mul, with sizes above 0. A failure of
 * the device ends the process with a message.
 */
void	 mat_device_prepare(struct mat *m, int N, int K, struct mat_in b,
	    void *operand);
void	 mat_device_mul_packed(struct mat *m, int M, int N, int K,
	    struct mat_in a, const void *operand, float *c, ptrdiff_t ldc,
	    int add);
void	 mat_device_mul(struct mat *m, int M, int N, int K, struct mat_in a,
	    struct mat_in b, float *c, ptrdiff_t ldc, int add);

#endif
