/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF files, made piece by piece or from the folder of a model.
 */
#include "gguf_files.h"

#include <setjmp.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dtype.h"
#include "model_files.h"
#include "neox.h"
#include "path.h"
#include "tensors.h"
#include "torch_files.h"
#include "xmalloc.h"

#define SAFETENSORS	"model.safetensors"

/* Types of elements by their number in files. */
static const uint32_t type_numbers[] = {
	[DTYPE_F32] = 0, [DTYPE_F16] = 1, [DTYPE_Q4_0] = 2, [DTYPE_Q8_0] = 8,
	[DTYPE_Q4_K] = 12, [DTYPE_Q6_K] = 14, [DTYPE_F64] = 28,
	[DTYPE_BF16] = 30
};

/* Parts by their names in files; of a layer, the name after "blk.N.". */
static const char *const part_names[TENSOR_COUNT] = {
	[TENSOR_NORM1] = "attn_norm.weight",
	[TENSOR_NORM1_BIAS] = "attn_norm.bias",
	[TENSOR_NORM2] = "ffn_norm.weight",
	[TENSOR_NORM2_BIAS] = "ffn_norm.bias",
	[TENSOR_QKV] = "attn_qkv.weight",
	[TENSOR_QKV_BIAS] = "attn_qkv.bias",
	[TENSOR_ATTN] = "attn_output.weight",
	[TENSOR_ATTN_BIAS] = "attn_output.bias",
	[TENSOR_UP] = "ffn_up.weight",
	[TENSOR_UP_BIAS] = "ffn_up.bias",
	[TENSOR_DOWN] = "ffn_down.weight",
	[TENSOR_DOWN_BIAS] = "ffn_down.bias",
	[TENSOR_EMBED] = "token_embd.weight",
	[TENSOR_NORM] = "output_norm.weight",
	[TENSOR_NORM_BIAS] = "output_norm.bias",
	[TENSOR_HEAD] = "output.weight"
};

/* Write a little-endian number. */
static void
put(FILE *fp, uint64_t v, int width)
{
	for (; width > 0; width--, v >>= 8)
		fputc((int)(v & 0xff), fp);
}

/* Write the number of bytes, then the bytes. */
static void
put_string(FILE *fp, const char *s, size_t n)
{
	put(fp, n, 8);
	fwrite(s, 1, n, fp);
}

/* Begin a file. */
void
gguf_file_begin(struct gguf_file *g)
{
	memset(g, 0, sizeof *g);
	g->version = 3;
	g->align = 32;
	g->keys = open_memstream(&g->keys_text, &g->keys_n);
	g->tensors = open_memstream(&g->tensors_text, &g->tensors_n);
	g->data = open_memstream(&g->data_text, &g->data_n);
	assert_true(g->keys != NULL && g->tensors != NULL && g->data != NULL);
}

/* Begin the smallest one. */
void
gguf_file_frame(struct gguf_file *g, const char *without, int vocab)
{
	static const struct {
		const char	*name;
		uint32_t	 value;
	} keys[] = {
		{ "gptneox.context_length", 16 },
		{ "gptneox.embedding_length", 8 },
		{ "gptneox.block_count", 1 },
		{ "gptneox.feed_forward_length", 32 },
		{ "gptneox.attention.head_count", 2 },
		{ "gptneox.rope.dimension_count", 2 },
		{ "tokenizer.ggml.eos_token_id", 0 }
	};
	const uint64_t	 shape[2] = { 8, (uint64_t)vocab };
	float		*x = xcalloc((size_t)vocab * 8, sizeof *x);
	size_t		 i;

	gguf_file_begin(g);
	if (without == NULL || strcmp(without, "general.architecture") != 0)
		gguf_file_string(g, "general.architecture", "gptneox");
	for (i = 0; i < nitems(keys); i++)
		if (without == NULL || strcmp(without, keys[i].name) != 0)
			gguf_file_u32(g, keys[i].name, keys[i].value);
	if (without == NULL || strcmp(without,
	    "gptneox.attention.layer_norm_epsilon") != 0)
		gguf_file_f32(g, "gptneox.attention.layer_norm_epsilon",
		    1e-5f);
	if (without == NULL || strcmp(without, "token_embd.weight") != 0)
		gguf_file_tensor(g, "token_embd.weight", 0, 2, shape, x,
		    (size_t)vocab * 8 * sizeof *x);
	free(x);
}

/* Add a key. */
void
gguf_file_key(struct gguf_file *g, const char *key, uint32_t type,
    const void *value, size_t n)
{
	put_string(g->keys, key, strlen(key));
	put(g->keys, type, 4);
	if (n > 0)
		fwrite(value, 1, n, g->keys);
	g->nkeys++;
}

/* Add a number. */
void
gguf_file_u32(struct gguf_file *g, const char *key, uint32_t v)
{
	gguf_file_key(g, key, PUT_U32, &v, 4);
}

/* Add a float. */
void
gguf_file_f32(struct gguf_file *g, const char *key, float v)
{
	gguf_file_key(g, key, PUT_F32, &v, 4);
}

/* Add a boolean. */
void
gguf_file_bool(struct gguf_file *g, const char *key, int v)
{
	uint8_t	 b = (uint8_t)v;

	gguf_file_key(g, key, PUT_BOOL, &b, 1);
}

/* Add a string. */
void
gguf_file_string(struct gguf_file *g, const char *key, const char *v)
{
	gguf_file_key(g, key, PUT_STRING, NULL, 0);
	put_string(g->keys, v, strlen(v));
}

/* Add an array. */
void
gguf_file_array(struct gguf_file *g, const char *key, uint32_t elem,
    uint64_t count, const void *values, size_t n)
{
	gguf_file_key(g, key, PUT_ARRAY, NULL, 0);
	put(g->keys, elem, 4);
	put(g->keys, count, 8);
	if (n > 0)
		fwrite(values, 1, n, g->keys);
}

/* Texts and kinds of all ids, from the vocabulary and the added tokens. */
static void
tokenizer_tokens(json_t *root, const char **texts, int32_t *kinds, int vocab)
{
	const char	*key;
	json_t		*v, *o;
	size_t		 i;
	int		 id;

	o = json_object_get(json_object_get(root, "model"), "vocab");
	json_object_foreach(o, key, v) {
		id = (int)json_integer_value(v);
		assert_in_range(id, 0, vocab - 1);
		texts[id] = key;
		kinds[id] = 1;
	}
	json_array_foreach(json_object_get(root, "added_tokens"), i, v) {
		id = (int)json_integer_value(json_object_get(v, "id"));
		assert_in_range(id, 0, vocab - 1);
		texts[id] = json_string_value(json_object_get(v, "content"));
		kinds[id] = json_is_true(json_object_get(v, "special")) ? 3 :
		    4;
	}
}

/* Add tokens and their kinds. */
static void
put_tokens(struct gguf_file *g, json_t *root, int vocab)
{
	const char	**texts = xcalloc((size_t)vocab, sizeof *texts);
	int32_t		 *kinds = xcalloc((size_t)vocab, sizeof *kinds);
	char		  pad[32];
	int		  id;

	tokenizer_tokens(root, texts, kinds, vocab);
	gguf_file_array(g, "tokenizer.ggml.tokens", PUT_STRING,
	    (uint64_t)vocab, NULL, 0);
	for (id = 0; id < vocab; id++) {
		snprintf(pad, sizeof pad, "[PAD%d]", id);
		if (texts[id] == NULL)
			kinds[id] = 5;
		put_string(g->keys, texts[id] == NULL ? pad : texts[id],
		    strlen(texts[id] == NULL ? pad : texts[id]));
	}
	gguf_file_array(g, "tokenizer.ggml.token_type", PUT_I32,
	    (uint64_t)vocab, kinds, (size_t)vocab * sizeof *kinds);
	free(texts);
	free(kinds);
}

/* Add a tokenizer.json. */
void
gguf_file_tokenizer(struct gguf_file *g, const char *path, int vocab)
{
	json_t	*root = json_load_file(path, 0, NULL), *list, *v;
	size_t	 i;

	assert_non_null(root);
	gguf_file_string(g, "tokenizer.ggml.model", "gpt2");
	gguf_file_string(g, "tokenizer.ggml.pre", "olmo");
	put_tokens(g, root, vocab);
	list = json_object_get(json_object_get(root, "model"), "merges");
	gguf_file_array(g, "tokenizer.ggml.merges", PUT_STRING,
	    json_array_size(list), NULL, 0);
	json_array_foreach(list, i, v)
		put_string(g->keys, json_string_value(v),
		    json_string_length(v));
	json_decref(root);
}

/* Add a tensor's entry. */
void
gguf_file_entry(struct gguf_file *g, const char *name, size_t nname,
    uint32_t type, uint32_t dims, const uint64_t *shape, uint64_t offset)
{
	uint32_t	 i;

	put_string(g->tensors, name, nname);
	put(g->tensors, dims, 4);
	for (i = 0; i < dims; i++)
		put(g->tensors, shape[i], 8);
	put(g->tensors, type, 4);
	put(g->tensors, offset, 8);
	g->ntensors++;
}

/* Add a tensor. */
void
gguf_file_tensor(struct gguf_file *g, const char *name, uint32_t type,
    uint32_t dims, const uint64_t *shape, const void *data, size_t n)
{
	while ((uint64_t)ftell(g->data) % g->align != 0)
		fputc(0, g->data);
	gguf_file_entry(g, name, strlen(name), type, dims, shape,
	    (uint64_t)ftell(g->data));
	fwrite(data, 1, n, g->data);
}

/* Put the pieces together. */
uint8_t *
gguf_file_end(struct gguf_file *g, size_t *n)
{
	char	*all;
	FILE	*fp = open_memstream(&all, n);

	assert_non_null(fp);
	assert_int_equal(fclose(g->keys) + fclose(g->tensors) +
	    fclose(g->data), 0);
	fwrite("GGUF", 1, 4, fp);
	put(fp, g->version, 4);
	put(fp, g->ntensors, 8);
	put(fp, g->nkeys, 8);
	fwrite(g->keys_text, 1, g->keys_n, fp);
	fwrite(g->tensors_text, 1, g->tensors_n, fp);
	while ((uint64_t)ftell(fp) % g->align != 0)
		fputc(0, fp);
	fwrite(g->data_text, 1, g->data_n, fp);
	assert_int_equal(fclose(fp), 0);
	free(g->keys_text);
	free(g->tensors_text);
	free(g->data_text);
	return ((uint8_t *)all);
}

/* Put them together as an open file. */
int
gguf_file_open(struct gguf_file *g, size_t *n)
{
	uint8_t	*bytes = gguf_file_end(g, n);
	int	 fd = torch_open(bytes, *n);

	free(bytes);
	return (fd);
}

/* Read them. */
enum gguf_error
gguf_file_read(struct gguf_file *g, struct gguf *out, struct fault *f)
{
	size_t		 n;
	int		 fd = gguf_file_open(g, &n);
	enum gguf_error	 e = gguf_read("some.gguf", fd, n, out, f);

	close(fd);
	return (e);
}

/* Add the configuration. */
static void
put_config(struct gguf_file *g, const struct model_config *c)
{
	gguf_file_string(g, "general.architecture", "gptneox");
	gguf_file_u32(g, "general.quantization_version", 2);
	gguf_file_u32(g, "gptneox.context_length", (uint32_t)c->context);
	gguf_file_u32(g, "gptneox.embedding_length", (uint32_t)c->channels);
	gguf_file_u32(g, "gptneox.block_count", (uint32_t)c->layers);
	gguf_file_u32(g, "gptneox.feed_forward_length", (uint32_t)c->inner);
	gguf_file_u32(g, "gptneox.rope.dimension_count",
	    (uint32_t)c->rotary);
	gguf_file_f32(g, "gptneox.rope.freq_base", c->rotary_base);
	gguf_file_u32(g, "gptneox.attention.head_count", (uint32_t)c->heads);
	gguf_file_bool(g, "gptneox.use_parallel_residual", c->parallel);
	gguf_file_f32(g, "gptneox.attention.layer_norm_epsilon",
	    c->norm_eps);
	if (c->gelu == GELU_ERF)
		gguf_file_string(g, "gptneox.hidden_act", "gelu");
	gguf_file_u32(g, "tokenizer.ggml.eos_token_id", (uint32_t)c->eos);
}

/* Rows of query_key_value from [H][q k v][D] to [q k v][H][D] (split), or
 * back. */
static void
split_rows(const struct model_config *c, int split, size_t cols, float *x)
{
	size_t	 n = 3 * (size_t)c->channels, r, from;
	size_t	 H = (size_t)c->heads, D = (size_t)c->lanes;
	float	*y = xcalloc(n * cols, sizeof *y);

	for (r = 0; r < n; r++) {
		from = (r / D % H * 3 + r / D / H) * D + r % D;
		memcpy(y + (split ? r : from) * cols, x + (split ? from :
		    r) * cols, cols * sizeof *x);
	}
	memcpy(x, y, n * cols * sizeof *x);
	free(y);
}

/* Write a tensor into the GGUF file, and its numbers after rounding into x. */
static void
put_part(struct gguf_file *g, const struct model_config *c, enum tensor part,
    int layer, enum dtype t, float *x)
{
	int64_t		 rows, cols;
	uint64_t	 shape[2];
	uint8_t		*bytes;
	size_t		 n, size;
	char		 name[64];
	int		 qkv = part == TENSOR_QKV || part == TENSOR_QKV_BIAS;

	tensor_shape(part, c, &rows, &cols);
	shape[0] = (uint64_t)(cols == 0 ? rows : cols);
	shape[1] = (uint64_t)rows;
	n = (size_t)rows * (size_t)(cols == 0 ? 1 : cols);
	if (cols == 0 || shape[0] % dtype_block(t) != 0)
		t = DTYPE_F32;
	size = n / dtype_block(t) * dtype_block_size(t);
	bytes = xcalloc(size, 1);
	if (qkv)
		split_rows(c, 1, (size_t)(cols == 0 ? 1 : cols), x);
	gguf_quantise(t, x, bytes, n);
	snprintf(name, sizeof name, part < TENSOR_LAYER_COUNT ? "blk.%d.%s" :
	    "%.0d%s", part < TENSOR_LAYER_COUNT ? layer : 0,
	    part_names[part]);
	gguf_file_tensor(g, name, type_numbers[t], cols == 0 ? 1 : 2, shape,
	    bytes, size);
	dtype_to_f32(t, bytes, x, n);
	if (qkv)
		split_rows(c, 0, (size_t)(cols == 0 ? 1 : cols), x);
	free(bytes);
}

/* Write a tensor of the model into both files. */
static void
copy_part(struct model *m, struct gguf_file *g, enum tensor part, int layer,
    enum dtype t, json_t *header, FILE *data)
{
	const struct model_config *c = model_config(m);
	char		 name[TENSOR_NAME_MAX];
	int64_t		 rows, cols, n, i, at = ftell(data);
	json_t		*shape;
	double		*exact = neox_read(m, part, layer);
	float		*x;

	tensor_name(part, layer, name);
	tensor_shape(part, c, &rows, &cols);
	n = rows * (cols == 0 ? 1 : cols);
	x = xcalloc((size_t)n, sizeof *x);
	for (i = 0; i < n; i++)
		x[i] = (float)exact[i];
	free(exact);
	put_part(g, c, part, layer, t, x);
	fwrite(x, sizeof *x, (size_t)n, data);
	shape = cols == 0 ? json_pack("[I]", rows) : json_pack("[II]", rows,
	    cols);
	json_object_set_new(header, name, json_pack("{s:s,s:o,s:[II]}",
	    "dtype", "F32", "shape", shape, "data_offsets", at, at + n * 4));
	free(x);
}

/* Write the folder's weights again. */
static void
write_weights(const char *folder, json_t *header, const char *data, size_t n)
{
	char	*text = json_dumps(header, 0), *all;
	size_t	 size;
	FILE	*fp = open_memstream(&all, &size);

	assert_non_null(fp);
	put_string(fp, text, strlen(text));
	fwrite(data, 1, n, fp);
	assert_int_equal(fclose(fp), 0);
	model_files_put(folder, SAFETENSORS, all, size);
	free(all);
	free(text);
	json_decref(header);
}

/* Make a file of a folder. */
void
gguf_files_write(const char *folder, const char *path, enum dtype t)
{
	char		*tokenizer = path_join(folder, "tokenizer.json");
	char		*data;
	json_t		*header = json_object();
	struct gguf_file g;
	struct model	*m;
	struct fault	 f;
	uint8_t		*bytes;
	size_t		 n;
	FILE		*fp = open_memstream(&data, &n);
	int		 part, l;

	if (model_open(folder, &m, &f) != 0)
		fail_msg("%s", f.message);
	gguf_file_begin(&g);
	put_config(&g, model_config(m));
	if (access(tokenizer, F_OK) == 0)
		gguf_file_tokenizer(&g, tokenizer, model_config(m)->vocab);
	for (part = 0; part < TENSOR_COUNT; part++)
		for (l = 0; l < (part < TENSOR_LAYER_COUNT ?
		    model_config(m)->layers : 1); l++)
			if (tensor_wanted((enum tensor)part, model_config(m)))
				copy_part(m, &g, (enum tensor)part, l, t,
				    header, fp);
	model_free(m);
	assert_int_equal(fclose(fp), 0);
	write_weights(folder, header, data, n);
	free(data);
	bytes = gguf_file_end(&g, &n);
	fp = fopen(path, "w");
	assert_non_null(fp);
	assert_int_equal(fwrite(bytes, 1, n, fp), n);
	assert_int_equal(fclose(fp), 0);
	free(bytes);
	free(tokenizer);
}
