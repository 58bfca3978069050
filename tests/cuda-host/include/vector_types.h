/* SPDX-License-Identifier: Apache-2.0 */
/* CUDA's small vectors, for the CPU: the same members, sizes and alignments. */
#ifndef SIMT_VECTOR_TYPES_H
#define SIMT_VECTOR_TYPES_H

#define SIMT_VECTORS(type, name, two, four) \
	struct name##1 { type x; }; \
	struct alignas(two) name##2 { type x, y; }; \
	struct name##3 { type x, y, z; }; \
	struct alignas(four) name##4 { type x, y, z, w; }; \
	inline struct name##1 make_##name##1(type x) \
	    { return { x }; } \
	inline struct name##2 make_##name##2(type x, type y) \
	    { return { x, y }; } \
	inline struct name##3 make_##name##3(type x, type y, type z) \
	    { return { x, y, z }; } \
	inline struct name##4 make_##name##4(type x, type y, type z, type w) \
	    { return { x, y, z, w }; }

SIMT_VECTORS(signed char, char, 2, 4)
SIMT_VECTORS(unsigned char, uchar, 2, 4)
SIMT_VECTORS(short, short, 4, 8)
SIMT_VECTORS(unsigned short, ushort, 4, 8)
SIMT_VECTORS(int, int, 8, 16)
SIMT_VECTORS(unsigned, uint, 8, 16)
SIMT_VECTORS(float, float, 8, 16)
SIMT_VECTORS(double, double, 16, 16)
SIMT_VECTORS(long long, longlong, 16, 16)
SIMT_VECTORS(unsigned long long, ulonglong, 16, 16)
#undef SIMT_VECTORS

struct dim3 {
	unsigned x, y, z;

	constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1)
	    : x(x_), y(y_), z(z_) {}
};

#endif
