/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a core can multiply at most: by FMA in fp32, by VDPBF16PS and by AMX
 * tiles, from registers alone.  Prints a line with the name and the GFLOP a
 * second of processor time for each that this processor has.  It is the best of
 * five runs, so that what else runs on the machine counts little.
 */
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
/* Twelve sums: more than latency times the units of a core. */
#define EACH(X)	X(0) X(1) X(2) X(3) X(4) X(5) \
		X(6) X(7) X(8) X(9) X(10) X(11)

/* Each returns the operations that it has done; *sink keeps them alive. */
typedef double (*peak_fn)(float *sink);

__attribute__((target("avx2,fma"))) static double
peak_avx2(float *sink)
{
	__m256	 x = _mm256_set1_ps(0.5f);
	long	 i;

#define S(n)	__m256 s##n = _mm256_set1_ps(n);
	EACH(S)
	for (i = 0; i < ROUNDS; i++) {
#define F(n)	__asm__ volatile("vfmadd231ps %1, %1, %0" : \
		    "+x"(s##n) : "x"(x));
		EACH(F)
	}
#undef S
#undef F
#define S(n)	x = _mm256_add_ps(x, s##n);
	EACH(S)
#undef S
	_mm256_storeu_ps(sink, x);
	return (12.0 * 8 * 2 * ROUNDS);
}

__attribute__((target("avx512f"))) static double
peak_avx512(float *sink)
{
	__m512	 x = _mm512_set1_ps(0.5f);
	long	 i;

#define S(n)	__m512 s##n = _mm512_set1_ps(n);
	EACH(S)
	for (i = 0; i < ROUNDS; i++) {
#define F(n)	__asm__ volatile("vfmadd231ps %1, %1, %0" : \
		    "+v"(s##n) : "v"(x));
		EACH(F)
	}
#undef F
#define F(n)	x = _mm512_add_ps(x, s##n);
	EACH(F)
#undef F
	_mm512_storeu_ps(sink, x);
	return (12.0 * 16 * 2 * ROUNDS);
}

__attribute__((target("avx512f,avx512bf16"))) static double
peak_bf16(float *sink)
{
	__m512	 x = _mm512_castsi512_ps(_mm512_set1_epi32(0x3f003f00));
	long	 i;

	EACH(S)
	for (i = 0; i < ROUNDS; i++) {
#define F(n)	__asm__ volatile("vdpbf16ps %1, %1, %0" : \
		    "+v"(s##n) : "v"(x));
		EACH(F)
	}
#undef F
#define F(n)	x = _mm512_add_ps(x, s##n);
	EACH(F)
#undef F
	_mm512_storeu_ps(sink, x);
	return (12.0 * 32 * 2 * ROUNDS);
}
#undef S

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
	if (peak_has_amx())
		peak_print("amx", peak_amx);
#endif
	return (0);
}
