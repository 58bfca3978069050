/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints a hash of what the 16-bit types compute: conversions of all values
 * and of floats between them, sums and products.  It is compiled with the
 * headers of this folder and, if there is a CUDA toolkit, with NVIDIA's: both
 * programs must print the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

static uint64_t hash = 14695981039346656037ull;

/* Add 32 bits to the hash: FNV-1a. */
static void
add(uint32_t v)
{
	for (int i = 0; i < 4; i++)
		hash = (hash ^ (v >> 8 * i & 255)) * 1099511628211ull;
}

/* The same for a float; NaNs have many patterns. */
static void
add_float(float v)
{
	uint32_t u;

	memcpy(&u, &v, sizeof u);
	add(v != v ? 0x7fffffff : u);
}

static float
float_of(uint32_t u)
{
	float v;

	memcpy(&v, &u, sizeof v);
	return (v);
}

/* The bits of one of them; NaNs have many patterns. */
static uint32_t
bits(__half h)
{
	uint32_t u = __half_as_ushort(h);

	return ((u & 0x7fff) > 0x7c00 ? 0x7fff : u);
}

static void
print(const char *what)
{
	printf("%s %016llx\n", what, (unsigned long long)hash);
}

int
main()
{
	uint32_t x = 1;

	for (uint32_t i = 0; i < 65536; i++) {
		add_float(__half2float(__ushort_as_half((unsigned short)i)));
		add_float(__bfloat162float(
		    __ushort_as_bfloat16((unsigned short)i)));
	}
	print("widen");
	for (uint32_t i = 0; i < 1u << 20; i++)
		for (uint32_t low : { 0u, 1u, 0x7ffu, 0x800u, 0xfffu }) {
			float v = float_of(i << 12 | low);

			add(bits(__float2half_rn(v)));
			add(v != v ? 0x7fff :
			    __bfloat16_as_ushort(__float2bfloat16_rn(v)));
		}
	print("narrow");
	for (int i = 0; i < 1000000; i++) {
		__half h[2];

		for (__half &v : h) {
			x = x * 1664525 + 1013904223;
			v = __ushort_as_half((unsigned short)(x >> 16));
		}
		add(bits(__hadd(h[0], h[1])));
		add(bits(__hsub(h[0], h[1])));
		add(bits(__hmul(h[0], h[1])));
	}
	print("arithmetic");
	return (0);
}
