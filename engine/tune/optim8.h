/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moments of AdamW in 8 bits: blockwise dynamic quantization (Dettmers et al.
 * 2021, "8-bit Optimizers via Block-wise Quantization").  A block of
 * OPTIM8_BLOCK elements has its largest absolute value in fp32; an element is
 * the index of the nearest of 256 values between -1 (or 0) and 1, which are
 * denser near 0: seven powers of ten, the larger ones with more fractions.
 */
#ifndef TUNE_OPTIM8_H
#define TUNE_OPTIM8_H

#include <stddef.h>
#include <stdio.h>

#include "mat.h"

#define OPTIM8_BLOCK	256

struct optim8;

/* n zeros; with a sign or without. Owned. */
struct optim8	*optim8_new(size_t n, int sign);
void		 optim8_free(struct optim8 *q);

/* One step of AdamW (adam_row of struct mat_kind) for n elements from `at` on,
 * a multiple of OPTIM8_BLOCK. */
void		 optim8_adam(struct optim8 *m, struct optim8 *v,
		    const struct mat_kind *kind, float *param,
		    const float *grad, size_t at, size_t n,
		    const float *hyper);

/* Convert one block, for tests: n elements of x from element `at` on. */
void		 optim8_pack(struct optim8 *q, size_t at, const float *x,
		    size_t n);
void		 optim8_unpack(const struct optim8 *q, size_t at, float *x,
		    size_t n);

/* The state as bytes. 0, or -1 on an error of the file. */
int		 optim8_write(const struct optim8 *q, FILE *f);
int		 optim8_read(struct optim8 *q, FILE *f);
size_t		 optim8_bytes(const struct optim8 *q);

#endif
