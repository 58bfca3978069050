/*
 * A model on disk: its configuration and where each tensor's bytes are.
 * Opening reads headers only; a backend then takes tensor by tensor.
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
	int		 rotary;	/* lanes turned: even, <= D */
	float		 rotary_base;
	float		 norm_eps;
	enum gelu	 gelu;
	int		 parallel;	/* use_parallel_residual */
	int		 tied;		/* tie_word_embeddings */
	int		 attn_bias;	/* attention_bias: 0 for none there */
	int		 eos;		/* eos_token_id */
};

/* Number formats of weights in files: plain ones, and GGUF's blocks of quants
 * with shared scales. */
enum dtype {
	DTYPE_F16, DTYPE_BF16, DTYPE_F32, DTYPE_F64,
	DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_K, DTYPE_Q6_K
};

struct model;

/*
 * Open a Hugging Face folder. 0 and *out (owned), or an error with *f filled
 * (code "bad_model").
 */
int	 model_open(const char *path, struct model **out, struct fault *f);
void	 model_free(struct model *m);

const struct model_config *model_config(const struct model *m);
const char *model_path(const struct model *m);		/* as given */
const char *model_name(const struct model *m);		/* last folder name */

/* "sha256:" and 64 hex digits over config.json, tokenizer.json (where there is
 * one) and the weight files in name order: what sha256sum over them, piped
 * into sha256sum, prints. Computed on first use: reads every file once.
 * Borrowed from m; NULL where a file can't be read. */
const char *model_digest(struct model *m);

/* Bytes of all tensors the model needs. */
int64_t	 model_bytes(const struct model *m);

/* Bytes of tensors read so far. */
int64_t	 model_bytes_read(const struct model *m);

/*
 * Read a whole tensor as fp32 into out, n elements, whatever its dtype.
 * 0, CHAT_ENOTFOUND (*f says which), or CHAT_ESHAPE where the tensor has not
 * exactly rows x cols elements in that shape (cols 0: one dimension).
 */
int	 model_read(struct model *m, const char *tensor, int64_t rows,
	    int64_t cols, float *out, struct fault *f);

/* The same for count rows from first on: out holds count * cols floats. */
int	 model_read_rows(struct model *m, const char *tensor, int64_t rows,
	    int64_t cols, int64_t first, int64_t count, float *out,
	    struct fault *f);

/* Is there a tensor of that name? */
int	 model_has(const struct model *m, const char *tensor);

#endif
