/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapters of a model on the CPU.  A row of a step belongs to the model
 * alone or to one adapter.  After a product y = x W' the rows of an adapter get
 *
 *	z = x A',  y = y + z B'		B with the scale already in it
 *
 * in fp32, in the canonical order of products in fp32 (kernels.h).  Each row is
 * computed alone, so it has the same bits in any step.  Rows without an adapter
 * are not touched.
 *
 * A is stored as panels with r columns of output, B as panels with K = r,
 * filled up to an even number with zeros (layout.h).
 */
#ifndef CPU_ADAPT_H
#define CPU_ADAPT_H

#include <stdint.h>

#include "adapter.h"
#include "backend.h"
#include "kernels.h"
#include "pool.h"

struct acts;		/* cpu.h */
struct adapt;

/* A product that adapters are added to. */
struct adapt_job {
	int			 target;	/* enum adapter_target */
	const struct acts	*in;		/* x: its floats */
	struct acts		*out;		/* y: its floats */
};

/* The bytes of the n adapters of list in the layers first .. end - 1, with the
 * array z for rows rows. */
int64_t	 adapt_bytes(const struct adapter *const *list, int n, int first,
	    int end, int rows);

/* Copy the n adapters of list for the layers first .. end - 1. Returns 0 and
 * *out (owned; NULL if n is 0), or CHAT_ENOMEM or CHAT_EFORMAT with *f
 * filled. */
int	 adapt_new(const struct adapter *const *list, int n, int first, int end,
	    struct adapt **out, struct fault *f);
void	 adapt_free(struct adapt *l);

/* The number of adapters; l may be NULL. */
int	 adapt_count(const struct adapt *l);

/*
 * Begin a step: find the runs of rows of one adapter. *targets gets a bit for
 * each target that some row's adapter changes. Returns 0, or CHAT_ENOMEM. l may
 * be NULL.
 */
int	 adapt_begin(struct adapt *l, const struct backend_row *rows, int T,
	    unsigned *targets);

/* Add the adapters to one product, or two, of a layer (counted from first). Two
 * jobs may have the same out: the first is added first. */
void	 adapt_add(struct adapt *l, struct pool *pool,
	    const struct kernels *kernels, int layer,
	    const struct adapt_job *jobs, int n);

#endif
