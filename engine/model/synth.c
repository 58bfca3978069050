/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Synthetic models: a shape of the GPT-NeoX family with random weights from a
 * seed, for measurements without a download. The backend draws the numbers in
 * the format that it computes in.
 */
#include "model_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"
#include "xmalloc.h"

#define SYNTH_BYTES	324	/* the characters for bytes are below U+0144 */

/* The published shapes. */
static const struct synth_shape {
	const char	*name;
	int		 layers, channels, heads, vocab;
	enum gelu	 gelu;
} synth_shapes[] = {
	{ "pythia-160m", 12, 768, 12, 50304, GELU_ERF },
	{ "pythia-410m", 24, 1024, 16, 50304, GELU_ERF },
	{ "pythia-1.4b", 24, 2048, 16, 50304, GELU_ERF },
	{ "pythia-6.9b", 32, 4096, 32, 50432, GELU_ERF },
	{ "20b", 44, 6144, 64, 50432, GELU_TANH }
};

/* Write a tokenizer.json that has only single bytes. */
static void
synth_tokenizer(struct model *m)
{
	FILE		*fp = open_memstream(&m->tokenizer, &m->tokenizer_len);
	char		 name[5];
	uint32_t	 c;
	int		 id = 1;

	if (fp == NULL)
		abort();		/* out of memory, as in xmalloc */
	fprintf(fp, "{\"added_tokens\":[{\"id\":0,\"content\":"
	    "\"<|endoftext|>\",\"special\":true,\"normalized\":false}],"
	    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":"
	    "false},\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":"
	    "\"BPE\",\"merges\":[],\"vocab\":{\"<|endoftext|>\":0");
	for (c = 33; c < SYNTH_BYTES; c++) {
		if ((c > 126 && c < 161) || c == 173)
			continue;
		name[utf8_encode(c, name)] = '\0';
		fprintf(fp, ",\"%s%s\":%d", c == '"' || c == '\\' ? "\\" :
		    "", name, id++);
	}
	fprintf(fp, "}}}");
	if (fclose(fp) != 0)
		abort();
	m->tokenizer_path = xasprintf("%s: tokenizer.json", m->path);
}

/* Make a model of a published shape. */
int
model_synth(const char *name, uint64_t seed, struct model **out,
    struct fault *f)
{
	const struct synth_shape *s = synth_shapes;
	const struct synth_shape *end = s + nitems(synth_shapes);
	struct model		*m;
	struct model_config	*c;
	struct sha256		 sum;
	char			 hex[SHA256_HEX];

	while (s < end && strcmp(s->name, name) != 0)
		s++;
	if (s == end)
		return (fault_set(f, "bad_model", "synth", "synth: expected "
		    "pythia-160m, pythia-410m, pythia-1.4b, pythia-6.9b or "
		    "20b, found %.40s", name));
	m = xcalloc(1, sizeof *m);
	m->name = xasprintf("%s, random", s->name);
	m->path = xstrdup(m->name);
	sha256_init(&sum);
	sha256_add(&sum, m->name, strlen(m->name));
	sha256_add(&sum, &seed, sizeof seed);
	sha256_end(&sum, hex);
	m->digest = xasprintf("sha256:%s", hex);
	m->synth = 1;
	m->seed = seed;
	c = &m->config;
	c->layers = s->layers;
	c->channels = s->channels;
	c->heads = s->heads;
	c->lanes = s->channels / s->heads;
	c->inner = 4 * s->channels;
	c->vocab = s->vocab;
	c->context = 2048;
	c->rotary = c->lanes / 4;
	c->rotary_base = 10000;
	c->norm_eps = 1e-5f;
	c->gelu = s->gelu;
	c->parallel = c->attn_bias = 1;
	synth_tokenizer(m);
	*out = m;
	return (0);
}

/* Is it a synthetic model? Return its seed, too. */
int
model_is_synth(const struct model *m, uint64_t *seed)
{
	*seed = m->seed;
	return (m->synth);
}
