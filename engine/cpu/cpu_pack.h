/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a packed file (packed.h) with weights in the layout of the CPU.
 */
#ifndef CPU_PACK_H
#define CPU_PACK_H

#include "err.h"
#include "model.h"

struct backend_options;

/* The name of the layout of layout.h in packed files. If you change the layout,
 * raise the number. */
#define CPU_LAYOUT	"cpu-1"

/*
 * Write m in opt->precision to the packed file out by packed_write, with n
 * bytes of its tokenizer's tables (n 0: without). opt->threads threads convert,
 * and opt->progress is called meanwhile. Returns 0, or an error with *f filled.
 */
int	 cpu_pack_write(struct model *m, const void *tables, size_t n,
	    const char *out, const struct backend_options *opt,
	    struct fault *f);

#endif
