/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and shapes of the parts of a GPT-NeoX model, as the transformers
 * library writes them.
 */
#include "tensors.h"

#include <stdio.h>
#include <string.h>

#include "xmalloc.h"

enum tensor_dim { DIM_NONE, DIM_C, DIM_3C, DIM_F, DIM_V };

static const struct {
	const char	*name;		/* after "gpt_neox.layers.N." */
	enum tensor_dim	 rows, cols;
} tensor_parts[TENSOR_COUNT] = {
	[TENSOR_NORM1] = { "input_layernorm.weight", DIM_C, DIM_NONE },
	[TENSOR_NORM1_BIAS] = { "input_layernorm.bias", DIM_C, DIM_NONE },
	[TENSOR_NORM2] = { "post_attention_layernorm.weight", DIM_C,
	    DIM_NONE },
	[TENSOR_NORM2_BIAS] = { "post_attention_layernorm.bias", DIM_C,
	    DIM_NONE },
	[TENSOR_QKV] = { "attention.query_key_value.weight", DIM_3C, DIM_C },
	[TENSOR_QKV_BIAS] = { "attention.query_key_value.bias", DIM_3C,
	    DIM_NONE },
	[TENSOR_ATTN] = { "attention.dense.weight", DIM_C, DIM_C },
	[TENSOR_ATTN_BIAS] = { "attention.dense.bias", DIM_C, DIM_NONE },
	[TENSOR_UP] = { "mlp.dense_h_to_4h.weight", DIM_F, DIM_C },
	[TENSOR_UP_BIAS] = { "mlp.dense_h_to_4h.bias", DIM_F, DIM_NONE },
	[TENSOR_DOWN] = { "mlp.dense_4h_to_h.weight", DIM_C, DIM_F },
	[TENSOR_DOWN_BIAS] = { "mlp.dense_4h_to_h.bias", DIM_C, DIM_NONE },
	[TENSOR_EMBED] = { "gpt_neox.embed_in.weight", DIM_V, DIM_C },
	[TENSOR_NORM] = { "gpt_neox.final_layer_norm.weight", DIM_C,
	    DIM_NONE },
	[TENSOR_NORM_BIAS] = { "gpt_neox.final_layer_norm.bias", DIM_C,
	    DIM_NONE },
	[TENSOR_HEAD] = { "embed_out.weight", DIM_V, DIM_C }
};

/* Buffers in older files: the causal mask, its value, and the rotary
 * frequencies. These are rounded to fp16 there, so they are not used. */
static const char *const tensor_buffers[] = {
	".attention.bias", ".attention.masked_bias",
	".attention.rotary_emb.inv_freq"
};

/* Write the name of a part. */
void
tensor_name(enum tensor t, int layer, char buf[TENSOR_NAME_MAX])
{
	if (t < TENSOR_LAYER_COUNT)
		snprintf(buf, TENSOR_NAME_MAX, "gpt_neox.layers.%d.%s", layer,
		    tensor_parts[t].name);
	else
		snprintf(buf, TENSOR_NAME_MAX, "%s", tensor_parts[t].name);
}

/* Return the size of one dimension. */
static int64_t
tensor_dim(enum tensor_dim d, const struct model_config *c)
{
	switch (d) {
	case DIM_C:
		return (c->channels);
	case DIM_3C:
		return (3 * (int64_t)c->channels);
	case DIM_F:
		return (c->inner);
	case DIM_V:
		return (c->vocab);
	case DIM_NONE:
		break;
	}
	return (0);
}

/* Return rows and columns. */
void
tensor_shape(enum tensor t, const struct model_config *c, int64_t *rows,
    int64_t *cols)
{
	*rows = tensor_dim(tensor_parts[t].rows, c);
	*cols = tensor_dim(tensor_parts[t].cols, c);
}

/* Does a model have this part? */
int
tensor_wanted(enum tensor t, const struct model_config *c)
{
	if (t == TENSOR_HEAD)
		return (!c->tied);
	if (t == TENSOR_QKV_BIAS || t == TENSOR_ATTN_BIAS)
		return (c->attn_bias);
	return (1);
}

/* Is this a tensor that is known and skipped? */
int
tensor_is_buffer(const char *name)
{
	size_t	 n = strlen(name), k, i;

	for (i = 0; i < nitems(tensor_buffers); i++) {
		k = strlen(tensor_buffers[i]);
		if (n > k && strcmp(name + n - k, tensor_buffers[i]) == 0)
			return (1);
	}
	return (0);
}
