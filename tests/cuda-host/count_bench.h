/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of count_bench share: the case that is counted, and figures.
 */
#ifndef COUNT_BENCH_H
#define COUNT_BENCH_H

#include "cuda.h"
#include "kernel_test.h"

/* All that is counted of a launch, in the order of the names that count_bench
 * prints first. */
typedef std::vector<int64_t> figures;

/* The case: T rows at position pos, on a card of sms multiprocessors. */
struct count_job {
	const struct model_config	*config;
	enum cuda_precision		 precision;
	enum cuda_elem			 elem, act, kv;
	int				 rows, pos, sms;
};
extern struct count_job job;

/* Print a line and end with status 1. */
[[noreturn]] void	 count_die(const char *fmt, ...)
			    __attribute__((format(printf, 1, 2)));
/* The figures of the launches since simt_count_start. */
std::vector<figures>	 count_stop();
/* Print the figures of a launch. */
void			 count_print(const char *launch, const figures &v);

/* Count the launches of a step by slices, and print them. */
void			 count_slices();

#endif
