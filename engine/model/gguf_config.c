/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF: the configuration. The limits of numbers are those of config.json. A
 * value that asks for a computation that is not supported is refused.
 */
#include "gguf_impl.h"

#include <limits.h>
#include <string.h>

#include "hfconfig.h"
#include "xmalloc.h"

#define EOS	"tokenizer.ggml.eos_token_id"
#define HEADS	"gptneox.attention.head_count"
#define ROTARY	"gptneox.rope.dimension_count"
#define ACT	"gptneox.hidden_act"
#define SCALING	"gptneox.rope.scaling.type"

/* Keys of the file that are equivalent to keys of config.json. */
static const struct {
	const char	*name, *key;
	enum gguf_kind	 kind;
	int		 required;
} gguf_numbers[] = {
	{ "gptneox.block_count", "num_hidden_layers", GGUF_INTEGER, 1 },
	{ "gptneox.embedding_length", "hidden_size", GGUF_INTEGER, 1 },
	{ HEADS, "num_attention_heads", GGUF_INTEGER, 1 },
	{ "gptneox.feed_forward_length", "intermediate_size", GGUF_INTEGER,
	    1 },
	{ "gptneox.context_length", "max_position_embeddings", GGUF_INTEGER,
	    1 },
	{ "gptneox.attention.layer_norm_epsilon", "layer_norm_eps", GGUF_REAL,
	    1 },
	{ EOS, "eos_token_id", GGUF_INTEGER, 1 },
	{ "gptneox.rope.freq_base", "rotary_emb_base", GGUF_REAL, 0 },
	{ "gptneox.use_parallel_residual", "use_parallel_residual",
	    GGUF_TRUTH, 0 }
};

static const struct config_names gguf_config_names = {
	"gptneox.embedding_length", HEADS, "gptneox.feed_forward_length", EOS,
	ROTARY
};

/* The value that a number must have if the key exists. */
enum gguf_must { MUST_0, MUST_1, MUST_HEADS, MUST_LANES };

static const struct {
	const char	*name;
	enum gguf_must	 must;
} gguf_musts[] = {
	{ "gptneox.attention.head_count_kv", MUST_HEADS },
	{ "gptneox.attention.key_length", MUST_LANES },
	{ "gptneox.attention.value_length", MUST_LANES },
	{ "gptneox.attention.clamp_kqv", MUST_0 },
	{ "gptneox.attention.max_alibi_bias", MUST_0 },
	{ "gptneox.expert_count", MUST_0 },
	{ "gptneox.rope.scale_linear", MUST_1 },
	{ "gptneox.rope.scaling.factor", MUST_1 }
};

/* A word that must have this value if the key exists. */
static const struct {
	const char	*name, *word;
} gguf_words[] = {
	{ SCALING, "none" },
	{ "gptneox.tensor_data_layout", "reference" }
};

/* Read the numbers of the table. */
static enum gguf_error
gguf_config_numbers(struct gguf_load *l, struct config_raw *raw)
{
	const struct gguf_key	*k;
	enum gguf_error		 e;
	const char		*name;
	double			 x = 0;
	size_t			 i;

	for (i = 0; i < nitems(gguf_numbers); i++) {
		name = gguf_numbers[i].name;
		if (gguf_numbers[i].required &&
		    (e = gguf_need(l, name, &k)) != GGUF_OK)
			return (e);
		if ((k = gguf_find(l, name)) == NULL)
			continue;
		if ((e = gguf_number(l, k, gguf_numbers[i].kind, &x)) !=
		    GGUF_OK)
			return (e);
		if (hfconfig_put(raw, gguf_numbers[i].key, x, l->path, name,
		    l->f) != 0)
			return (GGUF_CONFIG);
	}
	return (GGUF_OK);
}

/* Read the number of rotated lanes, by default all lanes of a head, and the
 * activation, by default the tanh form, as in llama.cpp. */
static enum gguf_error
gguf_config_rest(struct gguf_load *l, struct config_raw *raw)
{
	const struct gguf_key	*k = gguf_find(l, ROTARY);
	enum gguf_error		 e;
	char			 word[GGUF_WORD_MAX];
	double			 x = 0;

	if (k == NULL)
		raw->rotary = raw->channels / raw->heads;
	else if ((e = gguf_number(l, k, GGUF_INTEGER, &x)) != GGUF_OK)
		return (e);
	else
		raw->rotary = x < 0 ? 0 : x > INT_MAX ? INT_MAX : (int)x;
	raw->gelu = GELU_TANH;
	if ((k = gguf_find(l, ACT)) == NULL)
		return (GGUF_OK);
	if ((e = gguf_word(l, k, word)) != GGUF_OK)
		return (e);
	return (hfconfig_put_act(raw, word, l->path, ACT, l->f) != 0 ?
	    GGUF_CONFIG : GGUF_OK);
}

/* Read the facts that only the tensors show. */
static enum gguf_error
gguf_config_tensors(struct gguf_load *l, struct config_raw *raw)
{
	static const char	 name[] = "token_embd.weight";
	const struct st_tensor	*t = gguf_tensor(l, TENSOR_EMBED);

	if (t == NULL)
		return (gguf_fail(l, GGUF_MISSING, name,
		    "expected a tensor of that name, found none"));
	if (t->dims != 2)
		return (gguf_fail(l, GGUF_CONFIG, name,
		    "expected 2 dimensions, found %d", t->dims));
	if (hfconfig_put(raw, "vocab_size", (double)t->shape[0], l->path, name,
	    l->f) != 0)
		return (GGUF_CONFIG);
	raw->tied = gguf_tensor(l, TENSOR_HEAD) == NULL;
	raw->attn_bias = gguf_tensor(l, TENSOR_QKV_BIAS) != NULL;
	return (GGUF_OK);
}

/* Check that no key asks for another computation. */
static enum gguf_error
gguf_config_musts(struct gguf_load *l)
{
	const struct model_config *c = &l->out->config;
	const double		 must[] = { [MUST_0] = 0, [MUST_1] = 1,
				    [MUST_HEADS] = c->heads,
				    [MUST_LANES] = c->lanes };
	const struct gguf_key	*k;
	enum gguf_error		 e;
	char			 word[GGUF_WORD_MAX];
	double			 x = 0;
	size_t			 i;

	for (i = 0; i < nitems(gguf_words); i++) {
		if ((k = gguf_find(l, gguf_words[i].name)) == NULL)
			continue;
		if ((e = gguf_word(l, k, word)) != GGUF_OK)
			return (e);
		if (strcmp(word, gguf_words[i].word) != 0)
			return (gguf_fail(l, GGUF_UNSUPPORTED, k->name,
			    "expected %s, found %s", gguf_words[i].word,
			    word));
	}
	for (i = 0; i < nitems(gguf_musts); i++) {
		if ((k = gguf_find(l, gguf_musts[i].name)) == NULL)
			continue;
		if ((e = gguf_number(l, k, GGUF_REAL, &x)) != GGUF_OK)
			return (e);
		if (!(x == must[gguf_musts[i].must]))
			return (gguf_fail(l, GGUF_UNSUPPORTED, k->name,
			    "expected %.10g, found %.10g",
			    must[gguf_musts[i].must], x));
	}
	return (GGUF_OK);
}

/* Read the configuration. */
enum gguf_error
gguf_config(struct gguf_load *l)
{
	struct config_raw	 raw;
	enum gguf_error		 e;

	hfconfig_defaults(&raw);
	if ((e = gguf_config_numbers(l, &raw)) != GGUF_OK ||
	    (e = gguf_config_rest(l, &raw)) != GGUF_OK ||
	    (e = gguf_config_tensors(l, &raw)) != GGUF_OK)
		return (e);
	if (hfconfig_finish(&raw, l->path, &gguf_config_names, &l->out->config,
	    l->f) != 0)
		return (GGUF_CONFIG);
	return (gguf_config_musts(l));
}
