/*
 * The inner loops for AVX-512 (its foundation is enough).
 */
#include "vec_avx512.h"

#define KERNELS		kernels_avx512
#define KERNELS_NAME	"avx512"
#include "kernels_body.h"
