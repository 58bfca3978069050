/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fibers: how they start, switch and end, and their stacks.  The sanitizers
 * are told of each switch; for TSan it orders nothing.
 */
#include "fiber.h"

#include <stdlib.h>
#include <sys/mman.h>

static char	*memory;	/* shared memory, then the stacks */
static size_t	 memory_size;

#ifdef __x86_64__
/* Save what the ABI lets a callee keep, change stacks, take it back. */
extern "C" void simt_switch(void **save, void *to);
asm(".text\n"
    ".type simt_switch, @function\n"
    "simt_switch:\n"
    "	pushq %rbp\n	pushq %rbx\n	pushq %r12\n"
    "	pushq %r13\n	pushq %r14\n	pushq %r15\n"
    "	movq %rsp, (%rdi)\n"
    "	movq %rsi, %rsp\n"
    "	popq %r15\n	popq %r14\n	popq %r13\n"
    "	popq %r12\n	popq %rbx\n	popq %rbp\n"
    "	ret\n"
    ".size simt_switch, . - simt_switch\n");

void
fiber_prepare(struct simt_fiber *f)
{
	/* Not all at the same place in a page: that is slow in the caches. */
	void **top = reinterpret_cast<void **>(f->stack + STACK -
	    (f - &simt_fibers[0]) % 64 * 64);

	*--top = NULL;			/* no return address */
	*--top = reinterpret_cast<void *>(fiber_main);
	for (int i = 0; i < 6; i++)
		*--top = NULL;
	f->sp = top;
}

#define SWITCH_TO_FIBER(f)	simt_switch(&simt_now.sp, (f)->sp)
#define SWITCH_TO_HOST(f)	simt_switch(&(f)->sp, simt_now.sp)
#else
void
fiber_prepare(struct simt_fiber *f)
{
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = f->stack;
	f->context.uc_stack.ss_size = STACK;
	f->context.uc_link = NULL;
	makecontext(&f->context, fiber_main, 0);
}

#define SWITCH_TO_FIBER(f)	swapcontext(&simt_now.context, &(f)->context)
#define SWITCH_TO_HOST(f)	swapcontext(&(f)->context, &simt_now.context)
#endif

void
fiber_resume(struct simt_fiber *f)
{
	simt_self = f;
	if (__sanitizer_start_switch_fiber != NULL)
		__sanitizer_start_switch_fiber(&simt_now.fake, f->stack, STACK);
	if (__tsan_switch_to_fiber != NULL)
		__tsan_switch_to_fiber(f->tsan, TSAN_NO_SYNC);
	SWITCH_TO_FIBER(f);
	if (__sanitizer_finish_switch_fiber != NULL)
		__sanitizer_finish_switch_fiber(simt_now.fake, NULL, NULL);
	simt_self = NULL;
}

void
fiber_yield(struct simt_fiber *f)
{
	if (__sanitizer_start_switch_fiber != NULL)
		__sanitizer_start_switch_fiber(f->state == ENDED ? NULL :
		    &f->fake, simt_now.bottom, simt_now.size);
	if (__tsan_switch_to_fiber != NULL)
		__tsan_switch_to_fiber(simt_now.tsan, TSAN_NO_SYNC);
	SWITCH_TO_HOST(f);
	if (__sanitizer_finish_switch_fiber != NULL)
		__sanitizer_finish_switch_fiber(f->fake, &simt_now.bottom,
		    &simt_now.size);
}

/* The first function of every fiber. */
void
fiber_main()
{
	struct simt_fiber *f = fiber_self();

	if (__sanitizer_finish_switch_fiber != NULL)
		__sanitizer_finish_switch_fiber(NULL, &simt_now.bottom,
		    &simt_now.size);
	tsan_acquire(&simt_now.begin);
	simt_now.work->body();
	tsan_release(&simt_now.end);
	f->state = ENDED;
	fiber_yield(f);
	abort();
}

/* Under TSan they are new for every block: a mapping makes it forget what
 * others did at these addresses. */
void
fiber_map(int n)
{
	size_t need = (size_t)n * (STACK + GUARD) + SHARED_ROOM;

	if (need > memory_size || __tsan_release != NULL) {
		if (memory != NULL)
			munmap(memory, memory_size);
		memory = static_cast<char *>(mmap(NULL, need,
		    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		    MAP_NORESERVE, -1, 0));
		if (memory == MAP_FAILED)
			simt_fault("no memory for %d threads", n);
		memory_size = need;
		/* Its place may have been that of shared memory before. */
		if (__asan_unpoison_memory_region != NULL)
			__asan_unpoison_memory_region(memory, need);
		/* Under TSan there would be too many mappings. */
		for (int i = 0; __tsan_release == NULL && i < n; i++)
			mprotect(memory + SHARED_ROOM +
			    (size_t)i * (STACK + GUARD), GUARD, PROT_NONE);
	}
	simt_now.shared = memory;
}

bool
simt_is_guard(const void *p)
{
	size_t at = static_cast<const char *>(p) - (memory + SHARED_ROOM);

	return (memory != NULL && p >= memory + SHARED_ROOM &&
	    p < memory + memory_size && at % (STACK + GUARD) < GUARD);
}
