/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model on disk: its configuration, its tokenizer and its tensors, in any
 * form in which a GPT-NeoX model is published, or packed (packed.h). Opening
 * reads only headers. Later model_stream passes each tensor to its caller once,
 * in the order of the files.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum gelu { GELU_ERF, GELU_TANH };

/* config.json, checked. Dimension letters as in backend.h. */
struct model_config {
	int		 layers;	/* L: num_hidden_layers */
	int		 channels;	/* C: hidden_size */
	int		 heads;		/* H: num_attention_heads */
	int		 lanes;		/* D: C / H */
	int		 inner;		/* F: intermediate_size */
	int		 vocab;		/* V: vocab_size */
	int		 context;	/* max_position_embeddings */
	int		 rotary;	/* rotated lanes: even, <= D */
	float		 rotary_base;
	float		 norm_eps;
	enum gelu	 gelu;
	int		 parallel;	/* use_parallel_residual */
	int		 tied;		/* tie_word_embeddings */
	int		 attn_bias;	/* attention_bias; 0: no biases there */
	int		 eos;		/* eos_token_id; -1 for none */
};

/* The format of a tensor's elements in a file. The types of the second row are
 * stored in blocks (dtype.h). */
enum dtype {
	DTYPE_F16, DTYPE_BF16, DTYPE_F32, DTYPE_F64,
	DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q6_K
};

/* The tensors of a model by part; tensors.h has names and shapes. */
enum tensor {
	/* once in each layer */
	TENSOR_NORM1, TENSOR_NORM1_BIAS,	/* before attention: [C] */
	TENSOR_NORM2, TENSOR_NORM2_BIAS,	/* before the MLP: [C] */
	TENSOR_QKV, TENSOR_QKV_BIAS,		/* [H][q k v][D], C: rows 3C */
	TENSOR_ATTN, TENSOR_ATTN_BIAS,		/* [C][C] */
	TENSOR_UP, TENSOR_UP_BIAS,		/* [F][C] */
	TENSOR_DOWN, TENSOR_DOWN_BIAS,		/* [C][F] */
	/* once in the model */
	TENSOR_EMBED,				/* [V][C] */
	TENSOR_NORM, TENSOR_NORM_BIAS,		/* at the end: [C] */
	TENSOR_HEAD,				/* [V][C], unless tied */
	TENSOR_COUNT
};

#define TENSOR_LAYER_COUNT	TENSOR_EMBED

struct model;
struct packed;

/*
 * Some rows of a tensor, as in the file. A vector has rows of one element. If
 * the file has the rows of query, key and value in another order than ours,
 * model_row returns the place of row first + i.
 */
struct model_slice {
	enum tensor	 part;
	int		 layer;
	const char	*name;		/* borrowed: the tensor's, for errors */
	const char	*path;		/* borrowed: the file's, for errors */
	int64_t		 rows, cols;	/* of the whole tensor */
	int64_t		 first, count;	/* rows in this slice */
	enum dtype	 dtype;
	size_t		 row_bytes;
	const uint8_t	*bytes;		/* borrowed for the call: count rows */
	int		 split_qkv;	/* see model_row */
};

/*
 * Open a model: a Hugging Face folder (config.json, tokenizer.json and
 * weights), a GGUF file, or a packed file. 0 and *out (owned), or an error
 * with *f filled (code "bad_model").
 */
int	 model_open(const char *path, struct model **out, struct fault *f);
void	 model_free(struct model *m);

/*
 * A model without files. Its shape is "pythia-160m", "pythia-410m",
 * "pythia-1.4b", "pythia-6.9b" or "20b"; a backend draws its weights from seed.
 * Returns 0 and *out (owned), or CHAT_EFORMAT with *f filled.
 */
int	 model_synth(const char *shape, uint64_t seed, struct model **out,
	    struct fault *f);

/* Is m such a model? *seed is its seed. */
int	 model_is_synth(const struct model *m, uint64_t *seed);

const struct model_config *model_config(const struct model *m);
const char *model_path(const struct model *m);		/* as given */
const char *model_name(const struct model *m);		/* short: without
							 * folders */

/* "safetensors", "PyTorch", "GGUF", "packed" or "random". */
const char *model_format(const struct model *m);

/* The text of its tokenizer.json (borrowed, *n bytes), and the file that
 * contains it (borrowed, for messages). NULL if a folder has none. */
const char *model_tokenizer(const struct model *m, size_t *n,
	    const char **path);

/* The tokenizer as tables (borrowed, *n bytes, perhaps followed by zeros), as
 * in a packed file. NULL if there are none. */
const uint8_t *model_tokenizer_tables(const struct model *m, size_t *n);

/* The content of a packed file (borrowed); NULL if m is not one. */
const struct packed *model_packed(const struct model *m);

/*
 * "sha256:" and 64 hex digits: the SHA-256 of the output of sha256sum for
 * config.json, tokenizer.json (if it exists) and the weight files in order of
 * their names, or for the one GGUF file. A packed file has the digest of the
 * model that it was packed from. Borrowed from m; NULL until model_stream has
 * read everything.
 */
const char *model_digest(const struct model *m);

/* Bytes of the weight files, and the bytes that model_stream has read. */
int64_t	 model_bytes(const struct model *m);
int64_t	 model_bytes_read(const struct model *m);

/* Parameters of a model with its configuration. */
int64_t	 model_parameters(const struct model *m);

/*
 * Read every byte of the weight files once, in order, and call take for the
 * slices of every tensor that the model needs: the rows of one tensor in order,
 * in pieces of a multiple of 16 rows, except the last piece. Bytes that two
 * tensors share are read again for the second one. take returns 0, or an error
 * with *f filled, which ends the reading and is returned. Returns 0, or an
 * error with *f filled. Not for packed files.
 */
int	 model_stream(struct model *m, int (*take)(void *arg,
	    const struct model_slice *s, struct fault *f), void *arg,
	    struct fault *f);

/* Report that number x, in column k of row i of the slice, is not allowed; why
 * is added to the message. Returns CHAT_EFORMAT. */
int	 model_not_finite(const struct model_slice *s, int64_t i, int64_t k,
	    float x, const char *why, struct fault *f);

/*
 * The place of row i of a slice's tensor in our order, [H][q k v][D]. This is
 * i, unless the file has the rows of query, key and value as [q k v][H][D]. The
 * same for row i of a vector.
 */
int64_t	 model_row(const struct model *m, const struct model_slice *s,
	    int64_t i);

#endif
