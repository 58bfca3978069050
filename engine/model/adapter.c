/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading an adapter: its configuration, the header of its tensors, which must
 * be exactly those that the configuration promises, and then their numbers.
 */
#include "adapter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtype.h"
#include "fileio.h"
#include "json.h"
#include "path.h"
#include "safetensors.h"
#include "sha256.h"
#include "tensors.h"
#include "xmalloc.h"

#define ADAPTER_CONFIG_MAX	(1024 * 1024)	/* bytes of its JSON */
#define ADAPTER_VALUES_MAX	4096		/* values in it */
#define ADAPTER_TENSORS		"adapter_model.safetensors"
#define ADAPTER_NAME		(2 * TENSOR_NAME_MAX)
#define ADAPTER_SLICE		((size_t)1024 * 1024)	/* bytes */

static const struct {
	const char	*name;
	const char	*block;		/* of the layer */
	enum tensor	 part;
} adapter_targets[ADAPTER_TARGETS] = {
	[ADAPTER_QKV] = { "query_key_value", "attention", TENSOR_QKV },
	[ADAPTER_ATTN] = { "dense", "attention", TENSOR_ATTN },
	[ADAPTER_UP] = { "dense_h_to_4h", "mlp", TENSOR_UP },
	[ADAPTER_DOWN] = { "dense_4h_to_h", "mlp", TENSOR_DOWN },
};

/* Keys that ask for another computation than W + scale * B A, unless they are
 * missing, null, false or empty. */
static const char *const adapter_refused[] = { "use_dora",
	"fan_in_fan_out", "rank_pattern", "alpha_pattern", "modules_to_save",
	"layers_to_transform", "layers_pattern", "lora_bias" };

/* The name of a target. */
const char *
adapter_target_name(enum adapter_target t)
{
	return (adapter_targets[t].name);
}

/* The pair of a target in a layer. */
const struct adapter_pair *
adapter_pair(const struct adapter *a, int layer, enum adapter_target t)
{
	return (&a->pair[layer * ADAPTER_TARGETS + (int)t]);
}

/* Release the matrices. */
void
adapter_drop(struct adapter *a)
{
	int	 i;

	free(a->memory);
	a->memory = NULL;
	for (i = 0; a->pair != NULL && i < a->layers * ADAPTER_TARGETS; i++)
		a->pair[i].a = a->pair[i].b = NULL;
}

/* Release everything. */
void
adapter_free(struct adapter *a)
{
	if (a == NULL)
		return;
	adapter_drop(a);
	free(a->name);
	free(a->path);
	free(a->base);
	free(a->pair);
	free(a);
}

/* Is a value as good as a missing one? */
static int
adapter_is_empty(const json_t *v)
{
	return (v == NULL || json_is_null(v) || json_is_false(v) ||
	    (json_is_object(v) && json_object_size(v) == 0) ||
	    (json_is_array(v) && json_array_size(v) == 0));
}

/* Read the targets. */
static int
adapter_read_targets(struct adapter *a, const char *path, const json_t *list,
    struct fault *f)
{
	const char	*word;
	json_t		*v;
	size_t		 i;
	int		 t;

	if (json_array_size(list) == 0)
		return (fault_set(f, "bad_model", "target_modules", "%s: "
		    "target_modules: expected a list of names, found %s", path,
		    list == NULL ? "nothing" : json_is_array(list) ?
		    "an empty one" : "another value"));
	json_array_foreach(list, i, v) {
		word = json_string_value(v);
		for (t = 0; t < ADAPTER_TARGETS; t++)
			if (word != NULL && strcmp(word,
			    adapter_targets[t].name) == 0)
				break;
		if (t == ADAPTER_TARGETS)
			return (fault_set(f, "bad_model", "target_modules",
			    "%s: target_modules: expected query_key_value, "
			    "dense, dense_h_to_4h or dense_4h_to_h, found "
			    "%.60s", path, word != NULL ? word :
			    "no string"));
		a->targets |= 1U << t;
	}
	return (0);
}

/* Check a key whose value must be one word, if it is there. */
static int
adapter_word(const char *path, const json_t *obj, const char *key,
    const char *word, int required, struct fault *f)
{
	const json_t	*v = json_object_get(obj, key);
	const char	*s = json_string_value(v);

	if ((v == NULL && !required) || (s != NULL && strcmp(s, word) == 0))
		return (0);
	return (fault_set(f, "bad_model", key, "%s: %s: expected \"%s\", "
	    "found %.60s", path, key, word, s != NULL ? s : v == NULL ?
	    "nothing" : "no string"));
}

/*
 * Read lora_alpha and use_rslora: the scale is alpha / r, or alpha / sqrt(r).
 * Sources: Hu et al. 2021, "LoRA", 4.1; Kalajdzievski 2023, "A Rank
 * Stabilization Scaling Factor for Fine-Tuning with LoRA".
 */
static int
adapter_read_scale(struct adapter *a, const char *path, const json_t *obj,
    struct fault *f)
{
	const json_t	*v = json_object_get(obj, "lora_alpha");
	const json_t	*root = json_object_get(obj, "use_rslora");
	const double	 alpha = json_number_value(v);

	if (!json_is_number(v) || !(fabs(alpha) <= 1e6))
		return (fault_set(f, "bad_model", "lora_alpha", "%s: "
		    "lora_alpha: expected a number up to 1000000", path));
	if (root != NULL && !json_is_boolean(root) && !json_is_null(root))
		return (fault_set(f, "bad_model", "use_rslora", "%s: "
		    "use_rslora: expected true or false", path));
	a->scale = (float)(alpha / (json_is_true(root) ? sqrt(a->rank) :
	    a->rank));
	return (0);
}

/* Read the configuration. */
static int
adapter_read_config(struct adapter *a, const char *path, const json_t *obj,
    struct fault *f)
{
	const json_t	*v = json_object_get(obj, "r");
	size_t		 i;
	int		 r;

	if ((r = adapter_word(path, obj, "peft_type", "LORA", 1, f)) != 0 ||
	    (r = adapter_word(path, obj, "bias", "none", 0, f)) != 0)
		return (r);
	for (i = 0; i < nitems(adapter_refused); i++)
		if (!adapter_is_empty(json_object_get(obj,
		    adapter_refused[i])))
			return (fault_set(f, "bad_model", adapter_refused[i],
			    "%s: %s: expected none: only plain adapters of "
			    "whole matrices are supported", path,
			    adapter_refused[i]));
	if (!json_is_integer(v) || json_integer_value(v) < 1 ||
	    json_integer_value(v) > ADAPTER_RANK_MAX)
		return (fault_set(f, "bad_model", "r", "%s: r: expected an "
		    "integer from 1 to %d", path, ADAPTER_RANK_MAX));
	a->rank = (int)json_integer_value(v);
	if ((r = adapter_read_scale(a, path, obj, f)) != 0)
		return (r);
	return (adapter_read_targets(a, path, json_object_get(obj,
	    "target_modules"), f));
}

/* Add a line of the output of sha256sum. */
static void
adapter_line(struct sha256 *all, struct sha256 *file, const char *name)
{
	char	 hex[SHA256_HEX], *line;

	sha256_end(file, hex);
	line = xasprintf("%s  %s\n", hex, name);
	sha256_add(all, line, strlen(line));
	free(line);
}

/* Read adapter_config.json. */
static int
adapter_config(struct adapter *a, struct sha256 *all, struct fault *f)
{
	char		*path = path_join(a->path, ADAPTER_CONFIG);
	char		*text = NULL;
	struct sha256	 sum;
	struct fault	 why;
	json_t		*obj = NULL;
	size_t		 n;
	int		 r;

	if ((r = fileio_text(path, ADAPTER_CONFIG_MAX, &text, &n, f)) != 0)
		goto out;
	sha256_init(&sum);
	sha256_add(&sum, text, n);
	adapter_line(all, &sum, ADAPTER_CONFIG);
	if (json_line_parse_max(text, n, ADAPTER_VALUES_MAX, &obj, &why) != 0)
		r = fault_set(f, "bad_model", NULL, "%s: %s", path,
		    why.message);
	else
		r = adapter_read_config(a, path, obj, f);
out:
	json_decref(obj);
	free(text);
	free(path);
	return (r);
}

/* The name of a tensor: which is 0 for A, 1 for B. */
static void
adapter_tensor(char buf[ADAPTER_NAME], int layer, int t, int which)
{
	snprintf(buf, ADAPTER_NAME, "base_model.model.gpt_neox.layers.%d.%s."
	    "%s.lora_%c.weight", layer, adapter_targets[t].block,
	    adapter_targets[t].name, which == 0 ? 'A' : 'B');
}

/* Find the tensor of a name. */
static const struct st_tensor *
adapter_find(const struct st_table *table, const char *name)
{
	size_t	 i;

	for (i = 0; i < table->n; i++)
		if (strcmp(table->tensors[i].name, name) == 0)
			return (&table->tensors[i]);
	return (NULL);
}

/* Check that a tensor is there, with this shape and a plain type. */
static int
adapter_check(const char *path, const struct st_table *table,
    const char *name, int rows, int cols, struct fault *f)
{
	const struct st_tensor	*t = adapter_find(table, name);

	if (t == NULL)
		return (fault_set(f, "bad_model", NULL, "%s: %s: expected "
		    "this tensor, found none", path, name));
	if (t->dims != 2 || t->shape[0] != rows || t->shape[1] != cols)
		return (fault_set(f, "bad_model", NULL, "%s: %s: expected the "
		    "shape [%d, %d] for this model, found %s%lld, %lld]",
		    path, name, rows, cols, t->dims == 2 ? "[" :
		    "other dimensions [", t->dims > 0 ?
		    (long long)t->shape[0] : 0, t->dims > 1 ?
		    (long long)t->shape[1] : 0));
	if (!t->readable || dtype_block(t->dtype) != 1)
		return (fault_set(f, "bad_model", NULL, "%s: %s: expected "
		    "elements of F16, BF16, F32 or F64, found %s", path, name,
		    t->dtype_name));
	return (0);
}

/* Check that the file has the promised tensors and no others. */
static int
adapter_check_all(const struct adapter *a, const char *path,
    const struct st_table *table, struct fault *f)
{
	const struct adapter_pair *p;
	char		 name[ADAPTER_NAME];
	size_t		 i, n = 0;
	int		 l, t, r;

	for (l = 0; l < a->layers; l++)
		for (t = 0; t < ADAPTER_TARGETS; t++) {
			if ((a->targets >> t & 1) == 0)
				continue;
			p = adapter_pair(a, l, (enum adapter_target)t);
			adapter_tensor(name, l, t, 0);
			if ((r = adapter_check(path, table, name, a->rank,
			    p->K, f)) != 0)
				return (r);
			adapter_tensor(name, l, t, 1);
			if ((r = adapter_check(path, table, name, p->N,
			    a->rank, f)) != 0)
				return (r);
			n += 2;
		}
	for (i = 0; table->n != n && i < table->n; i++) {
		for (l = 0; l < a->layers * ADAPTER_TARGETS * 2; l++) {
			t = l / 2 % ADAPTER_TARGETS;
			adapter_tensor(name, l / 2 / ADAPTER_TARGETS, t,
			    l % 2);
			if ((a->targets >> t & 1) != 0 &&
			    strcmp(table->tensors[i].name, name) == 0)
				break;
		}
		if (l == a->layers * ADAPTER_TARGETS * 2)
			return (fault_set(f, "bad_model", NULL, "%s: %.200s: "
			    "expected only the tensors of target_modules in "
			    "the %d layers of the model", path,
			    table->tensors[i].name, a->layers));
	}
	return (0);
}

/* Give each pair its shape, and, if there is memory, its place. Returns the
 * number of floats. */
static size_t
adapter_place(struct adapter *a, const struct model_config *c)
{
	struct adapter_pair	*p;
	int64_t			 rows, cols;
	size_t			 n = 0;
	int			 l, t;

	for (l = 0; l < a->layers; l++)
		for (t = 0; t < ADAPTER_TARGETS; t++) {
			if ((a->targets >> t & 1) == 0)
				continue;
			p = &a->pair[l * ADAPTER_TARGETS + t];
			tensor_shape(adapter_targets[t].part, c, &rows, &cols);
			p->N = (int)rows;
			p->K = (int)cols;
			if (a->memory != NULL) {
				p->a = a->memory + n;
				p->b = p->a + (size_t)a->rank *
				    (size_t)p->K;
			}
			n += (size_t)a->rank * (size_t)(p->N + p->K);
		}
	return (n);
}

/* Read the numbers of one tensor, which backends multiply by scale. */
static int
adapter_numbers(const char *path, int fd, uint64_t data,
    const struct st_tensor *t, float scale, float *out, size_t n,
    struct fault *f)
{
	const size_t	 size = dtype_block_size(t->dtype);
	uint8_t		*raw = xmalloc(ADAPTER_SLICE);
	size_t		 i, k, some = ADAPTER_SLICE / size;
	int		 r = 0;

	for (i = 0; r == 0 && i < n; i += some) {
		if (some > n - i)
			some = n - i;
		if ((r = fileio_read(fd, raw, some * size, data + t->begin +
		    i * size)) != 0) {
			r = fault_set(f, "bad_model", NULL, "%s: %s: %s", path,
			    t->name, fileio_why(r));
			break;
		}
		dtype_to_f32(t->dtype, raw, out + i, some);
		for (k = i; r == 0 && k < i + some; k++)
			if (!isfinite(out[k]))
				r = fault_set(f, "bad_model", NULL, "%s: %s: "
				    "expected finite numbers, found %g as "
				    "element %zu", path, t->name,
				    (double)out[k], k);
			else if (!isfinite(scale * out[k]))
				r = fault_set(f, "bad_model", NULL, "%s: %s: "
				    "expected finite numbers after the scale "
				    "%g, found %g as element %zu", path,
				    t->name, (double)scale, (double)out[k], k);
	}
	free(raw);
	return (r);
}

/* Read all numbers. */
static int
adapter_read_all(struct adapter *a, const char *path, int fd, uint64_t data,
    const struct st_table *table, struct fault *f)
{
	const struct adapter_pair *p;
	char		 name[ADAPTER_NAME];
	int		 l, t, which, r = 0;
	size_t		 n;

	for (l = 0; l < a->layers * ADAPTER_TARGETS * 2 && r == 0; l++) {
		t = l / 2 % ADAPTER_TARGETS;
		which = l % 2;
		if ((a->targets >> t & 1) == 0)
			continue;
		p = &a->pair[l / 2];
		n = (size_t)a->rank * (size_t)(which == 0 ? p->K : p->N);
		adapter_tensor(name, l / 2 / ADAPTER_TARGETS, t, which);
		r = adapter_numbers(path, fd, data, adapter_find(table, name),
		    which == 0 ? 1 : a->scale, which == 0 ? p->a : p->b, n, f);
	}
	return (r);
}

/* Hash the whole file. */
static int
adapter_hash(const char *path, int fd, uint64_t size, struct sha256 *all,
    struct fault *f)
{
	uint8_t		*raw = xmalloc(ADAPTER_SLICE);
	struct sha256	 sum;
	uint64_t	 at;
	size_t		 n;
	int		 r = 0;

	sha256_init(&sum);
	for (at = 0; r == 0 && at < size; at += n) {
		n = size - at < ADAPTER_SLICE ? (size_t)(size - at) :
		    ADAPTER_SLICE;
		if ((r = fileio_read(fd, raw, n, at)) == 0)
			sha256_add(&sum, raw, n);
		else
			r = fault_set(f, "bad_model", NULL, "%s: %s", path,
			    fileio_why(r));
	}
	free(raw);
	if (r == 0)
		adapter_line(all, &sum, ADAPTER_TENSORS);
	return (r);
}

/* Read the tensors of the open file. */
static int
adapter_tensors(struct adapter *a, const struct model_config *c,
    const char *path, int fd, uint64_t size, struct fault *f)
{
	struct st_table	 table = { 0 };
	uint64_t	 data;
	size_t		 n = adapter_place(a, c);
	const char	*base;
	int		 r;

	if ((r = safetensors_read(path, fd, size, &data, &table, f)) != 0)
		return (r);
	base = json_string_value(json_object_get(table.metadata,
	    ADAPTER_BASE));
	a->base = xstrdup(base);
	if ((r = adapter_check_all(a, path, &table, f)) == 0) {
		a->parameters = (int64_t)n;
		a->memory = calloc(n, sizeof *a->memory);
		if (a->memory == NULL) {
			fault_set(f, "no_memory", NULL, "%s: no memory for "
			    "%zu numbers", path, n);
			r = CHAT_ENOMEM;
		}
	}
	if (r == 0) {
		(void)adapter_place(a, c);
		r = adapter_read_all(a, path, fd, data, &table, f);
	}
	safetensors_clear(&table);
	return (r);
}

/* Read an adapter. */
int
adapter_open(const char *name, const char *path, const struct model_config *c,
    struct adapter **out, struct fault *f)
{
	struct adapter	*a = xcalloc(1, sizeof *a);
	char		*file = path_join(path, ADAPTER_TENSORS);
	char		 hex[SHA256_HEX];
	struct sha256	 all;
	uint64_t	 size;
	int		 fd = -1, r;

	a->name = xstrdup(name);
	a->path = xstrdup(path);
	a->layers = c->layers;
	a->pair = xcalloc((size_t)c->layers * ADAPTER_TARGETS,
	    sizeof *a->pair);
	sha256_init(&all);
	if ((r = fileio_folder(path, f)) != 0 ||
	    (r = adapter_config(a, &all, f)) != 0 ||
	    (r = fileio_open(file, &fd, &size, f)) != 0 ||
	    (r = adapter_tensors(a, c, file, fd, size, f)) != 0 ||
	    (r = adapter_hash(file, fd, size, &all, f)) != 0)
		goto out;
	sha256_end(&all, hex);
	snprintf(a->digest, sizeof a->digest, "sha256:%s", hex);
	*out = a;
	a = NULL;
out:
	if (fd != -1)
		close(fd);
	adapter_free(a);
	free(file);
	return (r);
}

/* Was it trained on this model? */
int
adapter_check_base(const struct adapter *a, const char *model,
    const char *digest, struct fault *f)
{
	if (a->base == NULL || digest == NULL || strcmp(a->base, digest) == 0)
		return (0);
	return (fault_set(f, "bad_model", "adapters", "%s: " ADAPTER_TENSORS
	    ": was trained on another model: expected %s (%s), found %.80s",
	    a->path, digest, model, a->base));
}
