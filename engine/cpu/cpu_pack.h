/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a packed file (packed.h) with weights laid out for the CPU.
 */
#ifndef CPU_PACK_H
#define CPU_PACK_H

#include "err.h"
#include "model.h"

struct backend_options;

/*
 * Write m in opt->precision to the file out, and with it the n bytes of
 * tables, what its tokenizer is after parsing (n 0: without). The file
 * appears under its name only when all of it is on the disk, in the place of
 * what was there before. A process that is killed leaves nothing, or, on file
 * systems that know no files without a name (O_TMPFILE), a file out.part-PID.
 * opt->threads convert, opt->progress is told. 0, or an error with *f filled.
 */
int	 cpu_pack_write(struct model *m, const void *tables, size_t n,
	    const char *out, const struct backend_options *opt,
	    struct fault *f);

#endif
