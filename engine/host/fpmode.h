/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floating-point mode of the CPU backend: denormals are read as zero and
 * flushed to zero, as the matrix units do in any mode.
 */
#ifndef HOST_FPMODE_H
#define HOST_FPMODE_H

#include <stdint.h>

#if defined(__SSE__)
#include <immintrin.h>
#endif

/* Enter the mode in this thread; the result goes to fpmode_leave. */
static inline uint64_t
fpmode_enter(void)
{
#if defined(__SSE__)
	unsigned	 old = _mm_getcsr();

	_mm_setcsr(old | 0x8040);	/* FTZ and DAZ */
	return (old);
#elif defined(__aarch64__)
	uint64_t	 old;

	__asm__ volatile("mrs %0, fpcr" : "=r"(old));
	__asm__ volatile("msr fpcr, %0" : : "r"(old | 1 << 24));	/* FZ */
	return (old);
#else
	return (0);
#endif
}

/* Return to the mode before. */
static inline void
fpmode_leave(uint64_t old)
{
#if defined(__SSE__)
	_mm_setcsr((unsigned)old);
#elif defined(__aarch64__)
	__asm__ volatile("msr fpcr, %0" : : "r"(old));
#else
	(void)old;
#endif
}

#endif
