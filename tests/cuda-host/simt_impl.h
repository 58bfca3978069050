/* SPDX-License-Identifier: Apache-2.0 */
/* What simt.cpp, count.cpp and runtime.cpp share, and nobody else sees. */
#ifndef SIMT_IMPL_H
#define SIMT_IMPL_H

#include <cuda_runtime.h>

/* One launch, when its turn in the stream has come. */
struct simt_work {
	const char		*name;
	dim3			 grid, block;
	size_t			 smem;
	std::function<void()>	 body;
};

/* Run all blocks of a launch: simt.cpp. */
void	simt_run(const struct simt_work &work);
/* The kernel that runs, or NULL. */
const char *simt_running();
/* A stack's guard page, of a thread of the running block? */
bool	simt_is_guard(const void *p);
/* A number below n, of the random order; 0 in the other orders. */
unsigned simt_random(unsigned n);

/* count.cpp: nothing of it is called unless counting is true. */
extern bool simt_counting;
void	simt_count_launch(const struct simt_work &work);
void	simt_count_block_end();
void	simt_count_op(enum simt_op op);
void	simt_count_global(int warp, int lane, const void *p, unsigned size,
	    enum simt_access access, struct simt_place at);
void	simt_count_shared(int warp, int lane, const void *p, unsigned size,
	    enum simt_access access, struct simt_place at);

/* memory.cpp: what kind of address is it? */
bool	simt_is_device(const void *p);
bool	simt_is_pinned(const void *p);

/* The sanitizers' own functions: NULL in a program without that sanitizer. */
extern "C" {
#define SIMT_WEAK __attribute__((weak))
SIMT_WEAK void	__sanitizer_start_switch_fiber(void **save, const void *bottom,
		    size_t size);
SIMT_WEAK void	__sanitizer_finish_switch_fiber(void *save,
		    const void **bottom, size_t *size);
SIMT_WEAK void	__asan_poison_memory_region(const volatile void *p, size_t n);
SIMT_WEAK void	__asan_unpoison_memory_region(const volatile void *p,
		    size_t n);
SIMT_WEAK const char *__asan_locate_address(void *p, char *name, size_t size,
		    void **start, size_t *length);
SIMT_WEAK void	*__tsan_get_current_fiber(void);
SIMT_WEAK void	*__tsan_create_fiber(unsigned flags);
SIMT_WEAK void	 __tsan_destroy_fiber(void *fiber);
SIMT_WEAK void	 __tsan_switch_to_fiber(void *fiber, unsigned flags);
SIMT_WEAK void	 __tsan_acquire(void *p);
SIMT_WEAK void	 __tsan_release(void *p);
}

#endif
