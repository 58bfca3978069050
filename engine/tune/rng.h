/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers that are the same on every machine: splitmix64.  The state is
 * one number, so that a checkpoint can keep it.
 */
#ifndef TUNE_RNG_H
#define TUNE_RNG_H

#include <math.h>
#include <stdint.h>

/* The next 64 bits. */
static inline uint64_t
rng_next(uint64_t *s)
{
	uint64_t	 z = (*s += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31);
}

/* A number below n, n > 0. */
static inline uint32_t
rng_below(uint64_t *s, uint32_t n)
{
	return ((uint32_t)((rng_next(s) >> 32) * n >> 32));
}

/* From 0 to below 1. */
static inline double
rng_real(uint64_t *s)
{
	return ((double)(rng_next(s) >> 11) * 0x1p-53);
}

/* Normal, mean 0, deviation 1. */
static inline double
rng_normal(uint64_t *s)
{
	double	 a = 1.0 - rng_real(s), b = rng_real(s);

	return (sqrt(-2 * log(a)) * cos(6.283185307179586 * b));
}

/* The seed of stream i of a seed. */
static inline uint64_t
rng_seed(uint64_t seed, uint64_t i)
{
	uint64_t	 s = seed ^ i * 0xd1342543de82ef95u;

	(void)rng_next(&s);
	return (rng_next(&s));
}

#endif
