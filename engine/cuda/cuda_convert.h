/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The weights of a model, from its files to the layout of the device, in the
 * machine's memory: a piece at a time.
 */
#ifndef CUDA_CONVERT_H
#define CUDA_CONVERT_H

#include "backend.h"
#include "cuda_pieces.h"

/*
 * Where pieces go. begin returns q->size bytes, on 64, for piece q; done gets
 * them when they are filled, before begin is called for another piece. A piece
 * that shares its rows with another one (tied embeddings) is open beside it.
 */
struct cuda_sink {
	uint8_t	*(*begin)(void *arg, const struct cuda_piece *q);
	/* 0, or an error with *f filled. */
	int	 (*done)(void *arg, const struct cuda_piece *q, uint8_t *bytes,
		    struct fault *f);
	void	*arg;
};

/*
 * Read m once and hand out every piece. Random models (--synth) have random
 * pieces. Returns 0, or an error with *f filled: a number is not finite or too
 * large for the precision, or the sink failed.
 */
int	cuda_convert(const struct backend_host *h, struct model *m,
	    const struct cuda_pieces *p, const struct backend_options *opt,
	    const struct cuda_sink *sink, struct fault *f);

#endif
