/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the backends: small random models written as files, the same
 * forward pass in plain double precision, and ways to feed a backend.
 */
#ifndef TEST_NEOX_H
#define TEST_NEOX_H

#include <stdint.h>

#include "backend.h"
#include "kernels.h"
#include "model.h"

/* A model to make up. */
struct neox_spec {
	const char	*name;
	int		 L, C, H, F, V, context;
	double		 pct;
	const char	*act;
	int		 parallel, tied, attn_bias;
	double		 scale;		/* standard deviation of matrices */
};

/* A random number below n; the state is the caller's, any value. */
uint32_t	 neox_random(uint64_t *state, uint32_t n);

/* Write config.json and model.safetensors into a folder that exists, the
 * numbers drawn from seed. Fails the test where it can't. */
void		 neox_write(const char *folder, const struct neox_spec *spec,
		    uint64_t seed);
/* The same with norms whose gains deviate that much from 1, not by 0.2. */
void		 neox_write_gain(const char *folder,
		    const struct neox_spec *spec, uint64_t seed, double gain);

/* A new folder under TMPDIR or /tmp, and its end. */
char		*neox_folder(void);
void		 neox_remove(char *folder);

/* Open a model and a backend on it; fails the test where that fails. The
 * precision is a name as the backend says it, "+kv8" and "+kv16" included. */
struct backend	*neox_open(const char *folder, const char *precision,
		    const char *isa, int threads);
/* The same with a cache of so many positions (0: as many as usual). */
struct backend	*neox_open_cache(const char *folder, const char *precision,
		    const char *isa, int threads, int positions);

/* A tensor of the model, row by row in our order (zeros where it has none):
 * owned by the caller. */
double		*neox_read(struct model *m, enum tensor part, int layer);

/* Logits [n][V] after each id, in double precision. */
double		*neox_oracle(const char *folder, const int32_t *ids, int n);

/*
 * Logits [n][V] of the backend, fed in pieces of chunk tokens (0: all at
 * once; below 0: 1, 2, 3, ... tokens), with cache blocks first, first + 1,
 * ...
 */
float		*neox_run(struct backend *b, const int32_t *ids, int n,
		    int chunk, int first);

/*
 * The next instruction set this machine has, from *at = 0 on, and at last one
 * that stands for "amx" on any machine, on tiles in plain C; NULL: no more.
 * neox_kernels gives the kernels of each.
 */
#define NEOX_SOFT	"amx-soft"
extern const struct kernels kernels_amx_soft;
const char	*neox_isa(int *at);
const struct kernels *neox_kernels(const char *isa);

#endif
