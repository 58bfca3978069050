/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small random models and the plain double-precision forward pass: written
 * to be read, not to be fast, and sharing nothing with engine/cpu.
 */
#include "neox.h"

#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cpu.h"
#include "dtype.h"
#include "kernels.h"
#include "tensors.h"
#include "xmalloc.h"

/* xorshift64*: the upper bits are good enough for weights. */
uint32_t
neox_random(uint64_t *state, uint32_t n)
{
	if (*state == 0)
		*state = 1;
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return ((uint32_t)((*state * 2685821657736338717ULL >> 32) * n >> 32));
}

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

/* A new folder. */
char *
neox_folder(void)
{
	const char	*tmp = getenv("TMPDIR");
	char		*folder = xasprintf("%s/chatd-test.XXXXXX",
			    tmp != NULL ? tmp : "/tmp");

	assert_non_null(mkdtemp(folder));
	return (folder);
}

/* Its end. */
void
neox_remove(char *folder)
{
	char	*cmd = xasprintf("rm -rf '%s'", folder);

	assert_int_equal(system(cmd), 0);
	free(cmd);
	free(folder);
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

/* Open a backend. */
struct backend *
neox_open(const char *folder, const char *precision, const char *isa,
    int threads)
{
	return (neox_open_cache(folder, precision, isa, threads, 0));
}

/* The same with a cache of some size. */
struct backend *
neox_open_cache(const char *folder, const char *precision, const char *isa,
    int threads, int positions)
{
	const char		*kv = strchr(precision, '+');
	char			*weights = xstrdup(precision);
	struct backend_options	 opt = { .precision = weights,
		.device = "cpu", .isa = strcmp(isa, NEOX_SOFT) == 0 ?
		"scalar" : isa, .threads = threads,
		.kv_tokens = positions };
	struct backend_info	 info;
	struct backend		*b = NULL;
	struct model		*m;
	struct fault		 f;

	weights[strcspn(weights, "+")] = '\0';
	if (kv != NULL)
		opt.kv_precision = strcmp(kv, "+kv8") == 0 ? "int8" : "bf16";
	if (model_open(folder, &m, &f) != 0 ||
	    backend_open(m, &opt, &b, &f) != 0)
		fail_msg("%s: %s", folder, f.message);
	model_free(m);
	b->ops->info(b, &info);
	if (strcmp(precision, "auto") != 0)
		assert_string_equal(info.precision, precision);
	free(weights);
	if (strcmp(isa, NEOX_SOFT) == 0)
		((struct cpu *)b)->kernels = &kernels_amx_soft;
	return (b);
}

/* A tensor that is looked for in a stream. */
struct neox_wanted {
	struct model	*m;
	enum tensor	 part;
	int		 layer;
	float		*out;		/* owned by neox_read */
};

/* Keep the rows of the wanted tensor, in our order. */
static int
neox_take(void *arg, const struct model_slice *s, struct fault *f)
{
	struct neox_wanted	*w = arg;
	int64_t			 i;

	(void)f;
	if (s->part != w->part || s->layer != w->layer)
		return (0);
	for (i = 0; i < s->count; i++)
		dtype_to_f32(s->dtype, s->bytes + (size_t)i * s->row_bytes,
		    w->out + model_row(w->m, s, s->first + i) * s->cols,
		    (size_t)s->cols);
	return (0);
}

/* One tensor. */
double *
neox_read(struct model *m, enum tensor part, int layer)
{
	struct neox_wanted	 w = { m, part, layer, NULL };
	struct fault		 f;
	int64_t			 rows, cols, i, n;
	double			*out;

	tensor_shape(part, model_config(m), &rows, &cols);
	n = rows * (cols == 0 ? 1 : cols);
	w.out = xcalloc((size_t)n, sizeof *w.out);
	out = xcalloc((size_t)n, sizeof *out);
	if (model_stream(m, neox_take, &w, &f) != 0)
		fail_msg("%s", f.message);
	for (i = 0; i < n; i++)
		out[i] = (double)w.out[i];
	free(w.out);
	return (out);
}

/* out[N] += w[N][K] in + b. */
static void
neox_linear(double *out, const double *in, const double *w, const double *b,
    int N, int K)
{
	double	 sum;
	int	 n, k;

	for (n = 0; n < N; n++) {
		for (sum = b == NULL ? 0 : b[n], k = 0; k < K; k++)
			sum += w[(size_t)n * (size_t)K + (size_t)k] * in[k];
		out[n] += sum;
	}
}

/* Layer norm. */
static void
neox_norm(double *out, const double *x, const double *gain,
    const double *bias, int C, double eps)
{
	double	 mean = 0, var = 0;
	int	 i;

	for (i = 0; i < C; i++)
		mean += x[i] / C;
	for (i = 0; i < C; i++)
		var += (x[i] - mean) * (x[i] - mean) / C;
	for (i = 0; i < C; i++)
		out[i] = (x[i] - mean) / sqrt(var + eps) * gain[i] + bias[i];
}

/* Rotate the first rot lanes of x at position pos. */
static void
neox_rotate(double *x, int pos, int rot, double base)
{
	double	 a, b, w;
	int	 i;

	for (i = 0; i < rot / 2; i++) {
		w = pos * pow(base, -2.0 * i / rot);
		a = x[i];
		b = x[i + rot / 2];
		x[i] = a * cos(w) - b * sin(w);
		x[i + rot / 2] = b * cos(w) + a * sin(w);
	}
}

/* Attention of position t over positions 0 to t: qkv [n][H][3][D]. */
static void
neox_attend(double *out, const double *qkv, int t, int H, int D)
{
	double		*p = xcalloc((size_t)t + 1, sizeof *p), max, sum;
	const double	*q, *k, *v;
	int		 h, j, i;

	for (h = 0; h < H; h++) {
		q = qkv + ((size_t)t * H + h) * 3 * D;
		max = -INFINITY;
		for (j = 0; j <= t; j++) {
			k = qkv + ((size_t)j * H + h) * 3 * D + D;
			for (p[j] = 0, i = 0; i < D; i++)
				p[j] += q[i] * k[i] / sqrt(D);
			max = fmax(max, p[j]);
		}
		for (sum = 0, j = 0; j <= t; j++)
			sum += p[j] = exp(p[j] - max);
		for (j = 0; j <= t; j++) {
			v = qkv + ((size_t)j * H + h) * 3 * D + 2 * D;
			for (i = 0; i < D; i++)
				out[h * D + i] += p[j] / sum * v[i];
		}
	}
	free(p);
}

/* Either GELU. */
static double
neox_gelu(double x, enum gelu kind)
{
	if (kind == GELU_ERF)
		return (x / 2 * (1 + erf(x / sqrt(2))));
	return (x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x *
	    x))));
}

/* One layer over x[n][C], in place. */
static void
neox_layer(struct model *m, int l, double *x, int n)
{
	const struct model_config *c = model_config(m);
	const int	 C = c->channels, F = c->inner;
	double		*w[nitems(neox_parts)], *qkv, *a, *mix, *up;
	size_t		 i;
	int		 t, h, k;

	/* the parts of a layer are in the order of enum tensor */
	for (i = 0; i < nitems(neox_parts); i++)
		w[i] = neox_read(m, (enum tensor)i, l);
	qkv = xcalloc((size_t)n * 3 * C, sizeof *qkv);
	a = xcalloc((size_t)C, sizeof *a);
	for (t = 0; t < n; t++) {
		neox_norm(a, x + t * C, w[0], w[1], C, (double)c->norm_eps);
		neox_linear(qkv + (size_t)t * 3 * C, a, w[4], w[5], 3 * C, C);
		for (h = 0; h < 2 * c->heads; h++)
			neox_rotate(qkv + (size_t)t * 3 * C + (h / 2 * 3 +
			    h % 2) * c->lanes, t, c->rotary,
			    (double)c->rotary_base);
	}
	for (t = 0; t < n; t++) {
		mix = xcalloc((size_t)C, sizeof *mix);
		up = xcalloc((size_t)F, sizeof *up);
		neox_attend(mix, qkv, t, c->heads, c->lanes);
		if (c->parallel)
			neox_norm(a, x + t * C, w[2], w[3], C,
			    (double)c->norm_eps);
		neox_linear(x + t * C, mix, w[6], w[7], C, C);
		if (!c->parallel)
			neox_norm(a, x + t * C, w[2], w[3], C,
			    (double)c->norm_eps);
		neox_linear(up, a, w[8], w[9], F, C);
		for (k = 0; k < F; k++)
			up[k] = neox_gelu(up[k], c->gelu);
		neox_linear(x + t * C, up, w[10], w[11], C, F);
		free(mix);
		free(up);
	}
	for (i = 0; i < nitems(neox_parts); i++)
		free(w[i]);
	free(qkv);
	free(a);
}

/* The whole model. */
double *
neox_oracle(const char *folder, const int32_t *ids, int n)
{
	const struct model_config *c;
	struct model	*m;
	struct fault	 f;
	double		*x, *embed, *head, *gain, *bias, *out, *a;
	int		 t, l, C;

	if (model_open(folder, &m, &f) != 0)
		fail_msg("%s: %s", folder, f.message);
	c = model_config(m);
	C = c->channels;
	embed = neox_read(m, TENSOR_EMBED, 0);
	head = neox_read(m, c->tied ? TENSOR_EMBED : TENSOR_HEAD, 0);
	gain = neox_read(m, TENSOR_NORM, 0);
	bias = neox_read(m, TENSOR_NORM_BIAS, 0);
	x = xcalloc((size_t)n * C, sizeof *x);
	a = xcalloc((size_t)C, sizeof *a);
	out = xcalloc((size_t)n * c->vocab, sizeof *out);
	for (t = 0; t < n; t++)
		memcpy(x + t * C, embed + (size_t)ids[t] * C,
		    (size_t)C * sizeof *x);
	for (l = 0; l < c->layers; l++)
		neox_layer(m, l, x, n);
	for (t = 0; t < n; t++) {
		neox_norm(a, x + t * C, gain, bias, C, (double)c->norm_eps);
		neox_linear(out + (size_t)t * c->vocab, a, head, NULL,
		    c->vocab, C);
	}
	free(embed);
	free(head);
	free(gain);
	free(bias);
	free(x);
	free(a);
	model_free(m);
	return (out);
}

/* Feed a backend. */
float *
neox_run(struct backend *b, const int32_t *ids, int n, int chunk, int first)
{
	struct backend_info	 info;
	struct backend_row	*rows = xcalloc((size_t)n, sizeof *rows);
	int32_t			*blocks = xcalloc((size_t)n, sizeof *blocks);
	float			*out;
	int			 t, take, piece = 0;

	b->ops->info(b, &info);
	out = xcalloc((size_t)n * (size_t)info.vocab, sizeof *out);
	for (t = 0; t < n; t++) {
		blocks[t] = first + t;
		rows[t].token = ids[t];
		rows[t].pos = t;
		rows[t].blocks = blocks;
		rows[t].logits = out + (size_t)t * (size_t)info.vocab;
	}
	for (t = 0; t < n; t += take) {
		take = chunk > 0 ? chunk : chunk < 0 ? ++piece : n;
		take = take < n - t ? take : n - t;
		assert_int_equal(b->ops->step(b, rows + t, take), 0);
	}
	free(rows);
	free(blocks);
	return (out);
}

/* Instruction sets in turn. */
const char *
neox_isa(int *at)
{
	static const char *const names[] = { "scalar", "avx2", "avx512",
		"amx", NEOX_SOFT, "reference" };

	while (*at < (int)nitems(names)) {
		if (neox_kernels(names[*at]) != NULL)
			return (names[(*at)++]);
		(*at)++;
	}
	return (NULL);
}

/* One of them. */
const struct kernels *
neox_kernels(const char *isa)
{
	return (strcmp(isa, NEOX_SOFT) == 0 ? &kernels_amx_soft :
	    kernels_find(isa));
}
