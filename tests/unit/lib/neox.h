/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the backends: small random models written as files, the same
 * forward pass in plain double precision, and ways to feed a backend.
 */
#ifndef TEST_NEOX_H
#define TEST_NEOX_H

#include <stdint.h>

#include "adapter.h"
#include "backend.h"
#include "kernels.h"
#include "model.h"

/* The sizes of a model. */
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

/* Write config.json and model.safetensors into a folder that exists, with
 * weights drawn from seed. Fails the test on any error. */
void		 neox_write(const char *folder, const struct neox_spec *spec,
		    uint64_t seed);
/* The same with norms whose gains deviate that much from 1, not by 0.2. */
void		 neox_write_gain(const char *folder,
		    const struct neox_spec *spec, uint64_t seed, double gain);

/* A new folder under TMPDIR or /tmp, and its end. */
char		*neox_folder(void);
void		 neox_remove(char *folder);

#define NEOX_ROWS	1024	/* rows of a step, at most */

/* The device of neox_open: CHATD_TEST_DEVICE, or "cpu". */
const char	*neox_device(void);

/* Open a model and a backend on it; an error fails the test. precision is a
 * name as the backend reports it, with "+kv8" or "+kv16" if it has one. */
struct backend	*neox_open(const char *folder, const char *precision,
		    const char *isa, int threads);
/* The same with a cache of that many positions (0: the default). */
struct backend	*neox_open_cache(const char *folder, const char *precision,
		    const char *isa, int threads, int positions);

/* A random adapter of that model, of any rank and any targets. The caller
 * releases it with adapter_free. */
struct adapter	*neox_adapter(const struct neox_spec *spec, uint64_t seed);
/* neox_open_cache, with n adapters (borrowed until it returns). */
struct backend	*neox_open_adapters(const char *folder, const char *precision,
		    const char *isa, int threads, int positions,
		    const struct adapter *const *list, int n);

/* Read a tensor of the model, row by row in the order of model.h; zeros if the
 * model does not have it. Owned by the caller. */
double		*neox_read(struct model *m, enum tensor part, int layer);

/* Compute the logits [n][V] after each id, in double precision. Owned by the
 * caller. */
double		*neox_oracle(const char *folder, const int32_t *ids, int n);

/*
 * Compute the logits [n][V] with the backend. The ids are fed in pieces of
 * chunk tokens (0: all at once; below 0: 1, 2, 3, ... tokens). The cache blocks
 * are first, first + 1, ... Owned by the caller.
 */
float		*neox_run(struct backend *b, const int32_t *ids, int n,
		    int chunk, int first);
/* The same with an adapter, as in struct backend_row. */
float		*neox_run_adapter(struct backend *b, const int32_t *ids,
		    int n, int chunk, int first, int adapter);

/*
 * The next instruction set of this machine; *at is 0 before the first call. The
 * last one is NEOX_SOFT, which is "amx" with tiles in plain C and runs on any
 * machine. Then NULL. neox_kernels gives the kernels of each.
 */
#define NEOX_SOFT	"amx-soft"
extern const struct kernels kernels_amx_soft;
const char	*neox_isa(int *at);
const struct kernels *neox_kernels(const char *isa);

#endif
