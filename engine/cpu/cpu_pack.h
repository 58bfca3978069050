/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a packed file (packed.h) with weights laid out for the CPU.
 */
#ifndef CPU_PACK_H
#define CPU_PACK_H

#include "err.h"
#include "model.h"

struct backend_options;

/* The layout of layout.h, as a packed file names it. Whoever changes that
 * layout raises the number. */
#define CPU_LAYOUT	"cpu-1"

/*
 * Write m in opt->precision to the file out, and with it the n bytes of
 * tables, its tokenizer's (n 0: without), as packed_write does it.
 * opt->threads threads convert, and opt->progress is called. 0, or an error
 * with *f filled.
 */
int	 cpu_pack_write(struct model *m, const void *tables, size_t n,
	    const char *out, const struct backend_options *opt,
	    struct fault *f);

#endif
