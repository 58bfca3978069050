/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A LoRA adapter on disk: a folder in the format of the library PEFT, with
 * adapter_config.json and adapter_model.safetensors, as chatd-tune writes it.
 * An adapter changes a matrix W of the model into W + scale * B A, with A of r
 * rows and B of r columns.  The backend computes W x and scale * B (A x), so
 * that one model in memory serves several adapters.
 */
#ifndef MODEL_ADAPTER_H
#define MODEL_ADAPTER_H

#include <stdint.h>

#include "err.h"
#include "model.h"

#define ADAPTER_RANK_MAX	512	/* the largest r */
#define ADAPTERS_MAX		16	/* of one model */
#define ADAPTER_DIGEST		72	/* "sha256:", 64 digits and NUL */

/* The key in the metadata of adapter_model.safetensors that has the digest of
 * the model that the adapter was trained on, as model_digest returns it. */
#define ADAPTER_BASE		"base_digest"

#define ADAPTER_CONFIG	"adapter_config.json"

/* The matrices that an adapter may change, as adapter_config.json calls
 * them. */
enum adapter_target {
	ADAPTER_QKV,		/* query_key_value */
	ADAPTER_ATTN,		/* dense */
	ADAPTER_UP,		/* dense_h_to_4h */
	ADAPTER_DOWN,		/* dense_4h_to_h */
	ADAPTER_TARGETS
};

/* The change of one matrix with N rows and K columns. */
struct adapter_pair {
	float	*a;		/* [r][K]; NULL: the matrix is unchanged */
	float	*b;		/* [N][r] */
	int	 N, K;
};

struct adapter {
	char			*name;		/* owned */
	char			*path;		/* owned: its folder */
	int			 rank;		/* r */
	float			 scale;		/* lora_alpha / r, or, with
						 * use_rslora, lora_alpha /
						 * sqrt(r) */
	unsigned		 targets;	/* a bit for each target that
						 * it changes */
	int			 layers;	/* L */
	int64_t			 parameters;	/* numbers in its matrices */
	char			 digest[ADAPTER_DIGEST];
	char			*base;		/* owned: the digest of its
						 * model; NULL: not known */
	struct adapter_pair	*pair;		/* owned: [L][targets] */
	float			*memory;	/* owned: all matrices */
};

/* The name of a target: static. */
const char *adapter_target_name(enum adapter_target t);

/* The pair of a target in a layer. */
const struct adapter_pair *adapter_pair(const struct adapter *a, int layer,
	    enum adapter_target t);

/*
 * Read the adapter in the folder at path, for a model of configuration c. Its
 * files must pass fileio_trusted (fileio.h). Returns 0 and *out (owned), or an
 * error with *f filled (code "bad_model"): one line that names file, key or
 * tensor, expected and found.
 *
 * The digest is the SHA-256 of the output of sha256sum for adapter_config.json
 * and adapter_model.safetensors.
 */
int	 adapter_open(const char *name, const char *path,
	    const struct model_config *c, struct adapter **out,
	    struct fault *f);
void	 adapter_free(struct adapter *a);

/* Release the matrices: a backend has its own copies. */
void	 adapter_drop(struct adapter *a);

/*
 * Was the adapter trained on the model of that digest? Also 0 if it does not
 * say which model it was trained on. Otherwise CHAT_EFORMAT with *f filled.
 */
int	 adapter_check_base(const struct adapter *a, const char *model,
	    const char *digest, struct fault *f);

#endif
