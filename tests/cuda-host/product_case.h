/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Matrices, activations and launches for product_test.cpp, and what their
 * results must be: product_case.cpp.
 */
#ifndef PRODUCT_CASE_H
#define PRODUCT_CASE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "cuda_kernels.h"
#include "device.h"

extern int failures;
extern const char *const elem_name[], *const end_name[];

#define FAIL(...) do { \
	if (failures++ < 20) \
		printf(__VA_ARGS__); \
} while (0)

/* A call of the runtime must work. */
inline void
must(cudaError_t e)
{
	if (e == cudaSuccess)
		return;
	printf("%s\n", cudaGetErrorString(e));
	exit(2);
}

/* A copy of v on the device. */
template <typename T>
T *
up(const std::vector<T> &v)
{
	T *p;

	must(cudaMalloc(&p, v.size() * sizeof(T)));
	must(cudaMemcpy(p, v.data(), v.size() * sizeof(T),
	    cudaMemcpyHostToDevice));
	return (p);
}

template <typename T>
std::vector<T>
down(const T *p, size_t n)
{
	std::vector<T> v(n);

	must(cudaMemcpy(v.data(), p, n * sizeof(T), cudaMemcpyDeviceToHost));
	return (v);
}

struct matrix {
	enum cuda_elem	 elem, act;
	int		 N, K, Kp;
	std::vector<float> w;		/* [N][K] as the layout rounds them */
	std::vector<float> scale, bias;	/* [N] */
	unsigned char	*packed;	/* on the device, as the next two */
	float		*dev_scale, *dev_bias;
};

typedef std::vector<float> rows;	/* [T][K], values of the act's type */

/* Results in double, and the sum of the absolute values of their terms. */
struct reference {
	std::vector<double> y, size;	/* [T][N] */
};

/* A part's results, before and after the launch. */
struct output {
	enum product_end end;
	int		 N, T, ldo;
	std::vector<float> old;		/* fp32: [T + 1][ldo] */
	float		*out;
	uint16_t	*acts;
};

/* A number from 0 to n - 1, and one from -1 to 1. */
int	draw(int n);
float	unit();
/* A 16-bit float of type e from v, and its value. */
uint16_t bits16(enum cuda_elem e, float v);
float	float16(enum cuda_elem e, uint16_t v);

/* Random weights; the padding of the panels is a weight of zero. */
struct matrix matrix_new(enum cuda_elem e, int N, int K, bool bias);
void	matrix_free(struct matrix *m);
rows	rows_new(const struct matrix &m, int T);
struct reference reference_of(const struct matrix &m, const rows &v, int T);

struct output output_new(enum product_end end, int N, int T);
void	output_free(struct output *o);
/* Compare with r, or with the sum of r and r2: row t of the output is row
 * first + t of both. */
void	output_check(const struct output &o, enum cuda_elem elem,
	    enum cuda_elem act, int K, int first, const struct reference &r,
	    const struct reference *r2);

/* A product without parts, and a part that reads rows first .. first + T - 1
 * of v. */
struct product product_new(const struct matrix &m, int T);
struct product_part part_new(const struct matrix &m, const rows &v, int first,
	    int T, const struct output &o);
/* Launch p, wait, and free what part_new made. */
void	launch(struct product *p);

#endif
