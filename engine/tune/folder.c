/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing models.
 */
#include "folder.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapter.h"
#include "dtype.h"
#include "growbuf.h"
#include "hfconfig.h"
#include "net_lora.h"
#include "path.h"
#include "tensors.h"
#include "xmalloc.h"

/* What folder_take fills. */
struct folder_take {
	struct model	*m;
	struct net	*n;
};

/* Take some rows of a tensor. */
static int
folder_take(void *arg, const struct model_slice *s, struct fault *f)
{
	struct folder_take	*t = arg;
	float			*p = net_param(t->n, s->part, s->layer), *row;
	int64_t			 i, k;

	for (i = 0; i < s->count; i++) {
		row = p + model_row(t->m, s, s->first + i) * s->cols;
		dtype_to_f32(s->dtype, s->bytes + (size_t)i * s->row_bytes,
		    row, (size_t)s->cols);
		for (k = 0; k < s->cols; k++)
			if (!isfinite(row[k]))
				return (model_not_finite(s, i, k, row[k], "",
				    f));
	}
	return (0);
}

/* Read a model. */
int
folder_read(struct model *m, struct net *n, struct fault *f)
{
	struct folder_take	 t = { m, n };

	if (model_packed(m) != NULL)
		return (fault_set(f, "bad_model", NULL, "%s: a packed model "
		    "can't be trained", model_path(m)));
	return (model_stream(m, folder_take, &t, f));
}

/* Report an error of the system. */
static int
folder_fail(const char *dir, const char *name, struct fault *f)
{
	(void)fault_set(f, "system", NULL, "%s/%s: %s", dir, name,
	    strerror(errno));
	return (CHAT_ESYSTEM);
}

/* Write a file. */
int
folder_put(const char *dir, const char *name, const void *bytes, size_t len,
    struct fault *f)
{
	char	*tmp, *to;
	FILE	*out;
	int	 ok, r = 0;

	if (path_mkdirs(dir, 0755) != 0)
		return (folder_fail(dir, "", f));
	to = path_join(dir, name);
	tmp = xasprintf("%s.new", to);
	if ((ok = (out = fopen(tmp, "wbe")) != NULL)) {
		ok = fwrite(bytes, 1, len, out) == len &&
		    fflush(out) == 0 && fsync(fileno(out)) == 0;
		ok = fclose(out) == 0 && ok;
		ok = ok && rename(tmp, to) == 0;
	}
	if (!ok) {
		r = folder_fail(dir, name, f);
		(void)unlink(tmp);
	}
	free(tmp);
	free(to);
	return (r);
}

/* Append elements in a type of the file. */
static int
folder_elements(struct textbuf *out, const float *x, size_t n,
    const char *dtype, const char *name, struct fault *f)
{
	int		 f16 = strcmp(dtype, "F16") == 0;
	uint16_t	 h;
	char		 b[4];
	size_t		 i;

	for (i = 0; i < n; i++) {
		if (!isfinite(x[i]) || (f16 && fabsf(x[i]) >= 65520.0f))
			return (fault_set(f, "bad_model", NULL, "%s: element "
			    "%zu is %g, which %s does not have", name, i,
			    (double)x[i], dtype));
		if (strcmp(dtype, "F32") == 0) {
			memcpy(b, &x[i], 4);
			textbuf_add(out, b, 4);
			continue;
		}
		h = f16 ? dtype_f16(x[i]) : dtype_bf16(x[i]);
		b[0] = (char)h;
		b[1] = (char)(h >> 8);
		textbuf_add(out, b, 2);
	}
	return (0);
}

/* Note a tensor's place in the header. */
static void
folder_entry(json_t *head, const char *name, const char *dtype, int64_t rows,
    int64_t cols, size_t from, size_t to)
{
	json_t	*e = cols > 0 ?
		    json_pack("{s:s, s:[I,I], s:[I,I]}", "dtype", dtype,
		    "shape", (json_int_t)rows, (json_int_t)cols,
		    "data_offsets", (json_int_t)from, (json_int_t)to) :
		    json_pack("{s:s, s:[I], s:[I,I]}", "dtype", dtype,
		    "shape", (json_int_t)rows, "data_offsets",
		    (json_int_t)from, (json_int_t)to);

	json_object_set_new(head, name, e);
}

/* Write a safetensors file from its header (taken) and data. */
static int
folder_tensors(const char *dir, const char *name, json_t *head,
    struct textbuf *data, struct fault *f)
{
	struct textbuf	 out = { 0 };
	char		*text = json_dumps(head, JSON_COMPACT), b[8];
	size_t		 n = strlen(text), pad = (8 - n % 8) % 8;
	int		 i, r;

	for (i = 0; i < 8; i++)
		b[i] = (char)((uint64_t)(n + pad) >> 8 * i);
	textbuf_add(&out, b, sizeof b);
	textbuf_add(&out, text, n);
	textbuf_add(&out, "        ", pad);
	textbuf_add(&out, data->s, data->n);
	r = folder_put(dir, name, out.s, out.n, f);
	textbuf_clear(&out);
	textbuf_clear(data);
	json_decref(head);
	free(text);
	return (r);
}

/* model.safetensors. */
static int
folder_weights(const char *dir, const struct net *n, const char *dtype,
    struct fault *f)
{
	json_t			*head = json_pack("{s:{s:s}}",
				    "__metadata__", "format", "pt");
	struct textbuf		 data = { 0 };
	char			 name[TENSOR_NAME_MAX];
	const struct net_tensor	*t;
	int64_t			 rows, cols;
	size_t			 at;
	int			 i, r = 0;

	for (i = 0; r == 0 && i < n->tensors; i++) {
		t = &n->tensor[i];
		tensor_name(t->part, t->layer, name);
		tensor_shape(t->part, &n->c, &rows, &cols);
		at = data.n;
		r = folder_elements(&data, n->param + t->at, t->n, dtype,
		    name, f);
		folder_entry(head, name, dtype, rows, cols, at, data.n);
	}
	if (r == 0)
		return (folder_tensors(dir, "model.safetensors", head, &data,
		    f));
	json_decref(head);
	textbuf_clear(&data);
	return (r);
}

/* config.json: what the engine writes, and what the reference library needs
 * besides. */
static int
folder_config(const char *dir, const struct net *n, const char *dtype,
    struct fault *f)
{
	char	*c = hfconfig_write(&n->c), *text;
	int	 r;

	text = xasprintf("{\n  \"architectures\": [\"GPTNeoXForCausalLM\"],\n"
	    "  \"torch_dtype\": \"%s\",\n  \"bos_token_id\": %d,\n%s",
	    strcmp(dtype, "F16") == 0 ? "float16" :
	    strcmp(dtype, "BF16") == 0 ? "bfloat16" : "float32",
	    n->c.eos >= 0 ? n->c.eos : 0, c + 2);
	r = folder_put(dir, "config.json", text, strlen(text), f);
	free(text);
	free(c);
	return (r);
}

/* Write a model. */
int
folder_write(const char *path, const struct net *n, const char *dtype,
    const char *tok, size_t tok_len, struct fault *f)
{
	char	*text;
	int	 r;

	text = xasprintf("{\n  \"tokenizer_class\": "
	    "\"PreTrainedTokenizerFast\",\n  \"model_max_length\": %d,\n"
	    "  \"bos_token\": \"<|endoftext|>\",\n"
	    "  \"eos_token\": \"<|endoftext|>\",\n"
	    "  \"clean_up_tokenization_spaces\": false\n}\n", n->c.context);
	if ((r = folder_config(path, n, dtype, f)) == 0 &&
	    (r = folder_put(path, "tokenizer.json", tok, tok_len, f)) == 0 &&
	    (r = folder_put(path, "tokenizer_config.json", text,
	    strlen(text), f)) == 0)
		r = folder_weights(path, n, dtype, f);
	free(text);
	return (r);
}

/* The tensor of an adapter, without ".weight". */
static void
folder_adapter_name(char *buf, size_t size, int layer, int target)
{
	snprintf(buf, size, "base_model.model.gpt_neox.layers.%d.%s.%s",
	    layer, target <= LORA_ATTN ? "attention" : "mlp",
	    lora_target(target));
}

/* Append one matrix of an adapter. */
static int
folder_adapter_part(json_t *head, struct textbuf *data, const char *base,
    const char *which, const float *x, int rows, int cols, struct fault *f)
{
	char	 name[2 * TENSOR_NAME_MAX];
	size_t	 at = data->n;
	int	 r;

	snprintf(name, sizeof name, "%s.%s.weight", base, which);
	if ((r = folder_elements(data, x, (size_t)rows * (size_t)cols, "F32",
	    name, f)) == 0)
		folder_entry(head, name, "F32", rows, cols, at, data->n);
	return (r);
}

/* adapter_config.json. */
static int
folder_adapter_config(const char *dir, const struct net_lora *l,
    const char *base, struct fault *f)
{
	json_t	*j = json_pack("{s:s, s:s, s:i, s:f, s:f, s:s, s:s, s:b}",
		    "peft_type", "LORA", "base_model_name_or_path", base,
		    "r", l->rank, "lora_alpha", (double)l->alpha,
		    "lora_dropout", 0.0, "bias", "none", "task_type",
		    "CAUSAL_LM", "fan_in_fan_out", 0);
	json_t	*t = json_array();
	char	*text;
	int	 i, r;

	for (i = 0; i < LORA_TARGETS; i++)
		if (l->targets >> i & 1)
			json_array_append_new(t, json_string(lora_target(i)));
	json_object_set_new(j, "target_modules", t);
	text = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	r = folder_put(dir, "adapter_config.json", text, strlen(text), f);
	free(text);
	json_decref(j);
	return (r);
}

/* Write adapters. */
int
folder_write_adapter(const char *path, const struct net *n, const char *base,
    const char *digest, struct fault *f)
{
	const struct net_lora	*l = n->lora;
	const struct lora_pair	*p;
	json_t			*head = json_pack("{s:{s:s}}",
				    "__metadata__", "format", "pt");
	struct textbuf		 data = { 0 };
	char			 name[TENSOR_NAME_MAX];
	int			 i, k, r = 0;

	if (digest != NULL)
		json_object_set_new(json_object_get(head, "__metadata__"),
		    ADAPTER_BASE, json_string(digest));
	for (i = 0; i < n->c.layers; i++)
		for (k = 0; r == 0 && k < LORA_TARGETS; k++) {
			p = &l->pair[i * LORA_TARGETS + k];
			if (p->a == NULL)
				continue;
			folder_adapter_name(name, sizeof name, i, k);
			if ((r = folder_adapter_part(head, &data, name,
			    "lora_A", p->a, l->rank, p->cols, f)) == 0)
				r = folder_adapter_part(head, &data, name,
				    "lora_B", p->b, p->rows, l->rank, f);
		}
	if (r == 0 && (r = folder_adapter_config(path, l, base, f)) == 0)
		return (folder_tensors(path, "adapter_model.safetensors", head,
		    &data, f));
	json_decref(head);
	textbuf_clear(&data);
	return (r);
}
