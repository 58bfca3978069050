/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small random models, written as a folder with config.json and
 * model.safetensors.
 */
#include "neox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "xmalloc.h"

/* About normal, deviation 1: the sum of 12 uniform numbers. */
static double
neox_normal(uint64_t *state)
{
	double	 sum = -6;
	int	 i;

	for (i = 0; i < 12; i++)
		sum += neox_random(state, 1 << 24) * 0x1p-24;
	return (sum);
}

/* The parts of a layer: the name after "gpt_neox.layers.N.", the shape by
 * letters (Q: 3C), and whether it depends on attention_bias. */
static const struct {
	const char	*name;
	char		 rows, cols;
	int		 attn_bias;
} neox_parts[] = {
	{ "input_layernorm.weight", 'C', 0, 0 },
	{ "input_layernorm.bias", 'C', 0, 0 },
	{ "post_attention_layernorm.weight", 'C', 0, 0 },
	{ "post_attention_layernorm.bias", 'C', 0, 0 },
	{ "attention.query_key_value.weight", 'Q', 'C', 0 },
	{ "attention.query_key_value.bias", 'Q', 0, 1 },
	{ "attention.dense.weight", 'C', 'C', 0 },
	{ "attention.dense.bias", 'C', 0, 1 },
	{ "mlp.dense_h_to_4h.weight", 'F', 'C', 0 },
	{ "mlp.dense_h_to_4h.bias", 'F', 0, 0 },
	{ "mlp.dense_4h_to_h.weight", 'C', 'F', 0 },
	{ "mlp.dense_4h_to_h.bias", 'C', 0, 0 }
};

/* A size by its letter. */
static int
neox_size(const struct neox_spec *s, char letter)
{
	return (letter == 'C' ? s->C : letter == 'Q' ? 3 * s->C :
	    letter == 'F' ? s->F : letter == 'V' ? s->V : 1);
}

/* A file of tensors being written. */
struct neox_file {
	FILE		*header, *data;
	uint64_t	 seed;
	double		 gain;		/* deviation of the norms' gains */
};

/* Add one tensor: its entry to the header, its numbers to the data. */
static void
neox_tensor(const struct neox_spec *s, const char *name, char rows,
    char cols, struct neox_file *f)
{
	long	 n = (long)neox_size(s, rows) * neox_size(s, cols), i;
	long	 at = ftell(f->data);
	int	 gain = strstr(name, "norm.weight") != NULL;
	double	 scale = cols != 0 ? s->scale : gain ? f->gain : 0.2;
	float	 x;

	fprintf(f->header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%d",
	    at == 0 ? "{" : ",", name, neox_size(s, rows));
	if (cols != 0)
		fprintf(f->header, ",%d", neox_size(s, cols));
	fprintf(f->header, "],\"data_offsets\":[%ld,%ld]}", at, at + 4 * n);
	if (strstr(name, "embed_in") != NULL)
		scale = s->tied ? 0.3 : 1;
	for (i = 0; i < n; i++) {
		x = (float)(gain + scale * neox_normal(&f->seed));
		assert_int_equal(fwrite(&x, 4, 1, f->data), 1);
	}
}

/* Write config.json. */
static void
neox_write_config(const char *folder, const struct neox_spec *s)
{
	char	*path = xasprintf("%s/config.json", folder);
	FILE	*fp = fopen(path, "w");

	assert_non_null(fp);
	fprintf(fp, "{\"model_type\":\"gpt_neox\",\"num_hidden_layers\":%d,"
	    "\"hidden_size\":%d,\"num_attention_heads\":%d,"
	    "\"intermediate_size\":%d,\"vocab_size\":%d,"
	    "\"max_position_embeddings\":%d,\"rotary_pct\":%g,"
	    "\"hidden_act\":\"%s\",\"use_parallel_residual\":%s,"
	    "\"tie_word_embeddings\":%s,\"attention_bias\":%s,"
	    "\"eos_token_id\":0}\n", s->L, s->C, s->H, s->F, s->V, s->context,
	    s->pct, s->act, s->parallel ? "true" : "false",
	    s->tied ? "true" : "false", s->attn_bias ? "true" : "false");
	assert_int_equal(fclose(fp), 0);
	free(path);
}

/* All tensors of a model. */
static void
neox_tensors(const struct neox_spec *s, struct neox_file *f)
{
	char	 name[128];
	size_t	 i;
	int	 l;

	for (l = 0; l < s->L; l++)
		for (i = 0; i < nitems(neox_parts); i++) {
			if (neox_parts[i].attn_bias && !s->attn_bias)
				continue;
			snprintf(name, sizeof name, "gpt_neox.layers.%d.%s", l,
			    neox_parts[i].name);
			neox_tensor(s, name, neox_parts[i].rows,
			    neox_parts[i].cols, f);
		}
	neox_tensor(s, "gpt_neox.final_layer_norm.weight", 'C', 0, f);
	neox_tensor(s, "gpt_neox.final_layer_norm.bias", 'C', 0, f);
	neox_tensor(s, "gpt_neox.embed_in.weight", 'V', 'C', f);
	if (!s->tied)
		neox_tensor(s, "embed_out.weight", 'V', 'C', f);
	fprintf(f->header, "}");
}

/* Write a model. */
void
neox_write(const char *folder, const struct neox_spec *s, uint64_t seed)
{
	neox_write_gain(folder, s, seed, 0.2);
}

/* The same with norms of any gain. */
void
neox_write_gain(const char *folder, const struct neox_spec *s, uint64_t seed,
    double gain)
{
	struct neox_file f = { .seed = seed, .gain = gain };
	char		*header, *data, *path;
	size_t		 nheader, ndata;
	uint64_t	 length;
	FILE		*fp;

	f.header = open_memstream(&header, &nheader);
	f.data = open_memstream(&data, &ndata);
	neox_write_config(folder, s);
	neox_tensors(s, &f);
	assert_int_equal(fclose(f.header) + fclose(f.data), 0);
	path = xasprintf("%s/model.safetensors", folder);
	fp = fopen(path, "w");
	assert_non_null(fp);
	length = nheader;
	assert_int_equal(fwrite(&length, 8, 1, fp), 1);
	assert_int_equal(fwrite(header, nheader, 1, fp), 1);
	assert_int_equal(fwrite(data, ndata, 1, fp), 1);
	assert_int_equal(fclose(fp), 0);
	free(path);
	free(header);
	free(data);
}
