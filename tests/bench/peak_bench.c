/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a core can multiply at most: by FMA in fp32 and fp16, by VDPBF16PS and
 * AMX tiles, from registers alone.  Prints a line with the name and the GFLOP a
 * second of processor time for each that this processor has.  It is the best of
 * five runs, so that what else runs on the machine counts little.
 */
#include <config.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#define RUNS	5

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS	200000000L
#define TILE_ROUNDS	20000000L

/* Each returns the operations that it has done, with twelve sums: more than the
 * latency times the units of a core.  *sink keeps them alive. */
typedef double (*peak_fn)(float *sink);

/* A function with twelve sums in registers of the type reg (constraint how),
 * and ROUNDS times the instruction op on each: work operations at a time. */
#define PEAK(name, arch, reg, how, set1, add, store, op, work)		\
__attribute__((target(arch))) static double				\
name(float *sink)							\
{									\
	reg	 x = set1(0.5f), s0 = x, s1 = x, s2 = x, s3 = x;	\
	reg	 s4 = x, s5 = x, s6 = x, s7 = x, s8 = x, s9 = x;	\
	reg	 s10 = x, s11 = x;					\
	long	 i;							\
									\
	for (i = 0; i < ROUNDS; i++)					\
		__asm__ volatile(					\
		    op " %12, %12, %0\n\t" op " %12, %12, %1\n\t"	\
		    op " %12, %12, %2\n\t" op " %12, %12, %3\n\t"	\
		    op " %12, %12, %4\n\t" op " %12, %12, %5\n\t"	\
		    op " %12, %12, %6\n\t" op " %12, %12, %7\n\t"	\
		    op " %12, %12, %8\n\t" op " %12, %12, %9\n\t"	\
		    op " %12, %12, %10\n\t" op " %12, %12, %11"		\
		    : "+" how(s0), "+" how(s1), "+" how(s2),		\
		    "+" how(s3), "+" how(s4), "+" how(s5),		\
		    "+" how(s6), "+" how(s7), "+" how(s8),		\
		    "+" how(s9), "+" how(s10), "+" how(s11)		\
		    : how(x));						\
	x = add(add(add(s0, s1), add(s2, s3)), add(add(s4, s5),		\
	    add(s6, s7)));						\
	store(sink, add(x, add(add(s8, s9), add(s10, s11))));		\
	return (12.0 * work * ROUNDS);					\
}

PEAK(peak_avx2, "avx2,fma", __m256, "x", _mm256_set1_ps, _mm256_add_ps,
    _mm256_storeu_ps, "vfmadd231ps", 16)
PEAK(peak_avx512, "avx512f", __m512, "v", _mm512_set1_ps, _mm512_add_ps,
    _mm512_storeu_ps, "vfmadd231ps", 32)
PEAK(peak_bf16, "avx512f,avx512bf16", __m512, "v", _mm512_set1_ps,
    _mm512_add_ps, _mm512_storeu_ps, "vdpbf16ps", 64)
#ifdef CPU_FP16
/* The sums are fp16; what the last instructions make of their bits is of no
 * interest. */
PEAK(peak_fp16, "avx512f", __m512, "v", _mm512_set1_ps, _mm512_add_ps,
    _mm512_storeu_ps, "vfmadd231ph", 64)

/* Has the processor products of fp16? */
static int
peak_has_fp16(void)
{
	uint32_t	 a, b, c, d;

	return (__builtin_cpu_supports("avx512f") &&
	    __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 23 & 1) != 0);
}
#endif

/* Four tiles of sums; the two operands of each are loaded once. */
__attribute__((target("amx-tile,amx-bf16"))) static double
peak_amx(float *sink)
{
	struct {
		uint8_t	 palette, start, none[14];
		uint16_t bytes[16];
		uint8_t	 rows[16];
	} __attribute__((packed)) c;
	static uint16_t	 data[16 * 32];
	long		 i;

	memset(&c, 0, sizeof c);
	c.palette = 1;
	for (i = 0; i < 8; i++) {
		c.bytes[i] = 64;
		c.rows[i] = 16;
	}
	_tile_loadconfig(&c);
	_tile_zero(0);
	_tile_zero(1);
	_tile_zero(2);
	_tile_zero(3);
	_tile_loadd(4, data, 64);
	_tile_loadd(5, data, 64);
	_tile_loadd(6, data, 64);
	_tile_loadd(7, data, 64);
	for (i = 0; i < TILE_ROUNDS; i++) {
		_tile_dpbf16ps(0, 4, 6);
		_tile_dpbf16ps(1, 4, 7);
		_tile_dpbf16ps(2, 5, 6);
		_tile_dpbf16ps(3, 5, 7);
	}
	_tile_stored(0, sink, 64);
	_tile_release();
	return (4.0 * 16 * 16 * 32 * 2 * TILE_ROUNDS);
}

/* May this process use the tiles? */
static int
peak_has_amx(void)
{
	const uint32_t	 want = 1 << 22 | 1 << 24;
	uint32_t	 a, b, c, d;

	return (__get_cpuid_count(7, 0, &a, &b, &c, &d) &&
	    (d & want) == want && syscall(SYS_arch_prctl, 0x1023, 18) == 0);
}

/* Measure one kind. */
static void
peak_print(const char *name, peak_fn run)
{
	struct timespec	 from, to;
	float		 sink[16 * 16];
	double		 best = 0, flops, s;
	int		 i;

	for (i = 0; i < RUNS; i++) {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
		flops = run(sink);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
		s = (double)(to.tv_sec - from.tv_sec) +
		    1e-9 * (double)(to.tv_nsec - from.tv_nsec);
		if (flops / s > best)
			best = flops / s;
	}
	printf("%s %.1f\n", name, best / 1e9);
}
#endif

int
main(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		peak_print("avx2", peak_avx2);
	if (__builtin_cpu_supports("avx512f"))
		peak_print("avx512", peak_avx512);
	if (__builtin_cpu_supports("avx512bf16"))
		peak_print("avx512bf16", peak_bf16);
#ifdef CPU_FP16
	if (peak_has_fp16())
		peak_print("avx512fp16", peak_fp16);
#endif
	if (peak_has_amx())
		peak_print("amx", peak_amx);
#endif
	return (0);
}
