/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks that the configuration and the weight files of a model fit together.
 * Every required tensor is found and checked before any weight is read, and a
 * tensor of another part of the model is refused.
 */
#include "model_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hfconfig.h"
#include "dtype.h"
#include "log.h"
#include "xmalloc.h"

static int	model_check_parts(struct model *, struct fault *);
static int	model_find(struct model *, struct model_part *,
		    struct fault *);
static int	model_check_rest(const struct model *, struct fault *);

/* Check that they fit. */
int
model_fit(struct model *m, struct fault *f)
{
	int	 r = model_check_parts(m, f);

	return (r != 0 ? r : model_check_rest(m, f));
}

/* Compare places in the files. */
static int
model_compare(const void *a, const void *b)
{
	const struct shard_tensor *x = &((const struct model_part *)a)->where;
	const struct shard_tensor *y = &((const struct model_part *)b)->where;

	if (x->file != y->file)
		return (x->file < y->file ? -1 : 1);
	return (x->at < y->at ? -1 : x->at > y->at);
}

/* Find every part that the configuration requires, and check its shape. */
static int
model_check_parts(struct model *m, struct fault *f)
{
	struct model_part	*p;
	const char		*path;
	uint64_t		 size;
	size_t			 i;
	int			 part, l, r;

	m->parts = xcalloc(TENSOR_COUNT * (size_t)m->config.layers,
	    sizeof *m->parts);
	for (part = 0; part < TENSOR_COUNT; part++) {
		if (!tensor_wanted((enum tensor)part, &m->config))
			continue;
		for (l = 0; l < m->config.layers; l++) {
			p = &m->parts[m->nparts++];
			p->part = (enum tensor)part;
			p->layer = l;
			if ((r = model_find(m, p, f)) != 0)
				return (r);
			if (part >= TENSOR_LAYER_COUNT)
				break;
		}
	}
	qsort(m->parts, m->nparts, sizeof *m->parts, model_compare);
	for (i = 0; (path = shards_file(m->shards, i, &size)) != NULL; i++)
		m->bytes += (int64_t)size;
	return (0);
}

/* Write a shape, for example "[3, 4]". */
static void
model_shape_text(int dims, const int64_t *shape, char *buf, size_t size)
{
	size_t	 at = 0;
	int	 i;

	buf[0] = '\0';
	for (i = 0; i < dims && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%" PRId64,
		    i == 0 ? "" : ", ", shape[i]);
}

/* Find one part and check its shape and type. */
static int
model_find(struct model *m, struct model_part *p, struct fault *f)
{
	struct shard_tensor	*t = &p->where;
	char			 name[TENSOR_NAME_MAX];
	char			 expected[64], found[160];
	const char		*path;
	uint64_t		 size;
	int64_t			 want[2];
	int			 dims;

	tensor_name(p->part, p->layer, name);
	tensor_shape(p->part, &m->config, &want[0], &want[1]);
	dims = want[1] == 0 ? 1 : 2;
	p->rows = want[0];
	p->cols = dims == 1 ? 1 : want[1];
	if (shards_find(m->shards, name, t) != 0)
		return (fault_set(f, "bad_model", NULL, "%s: %s: expected a "
		    "tensor of that name, found none", m->path, name));
	path = shards_file(m->shards, t->file, &size);
	if (t->st->dims != dims || t->st->shape[0] != want[0] ||
	    (dims == 2 && t->st->shape[1] != want[1])) {
		model_shape_text(dims, want, expected, sizeof expected);
		model_shape_text(t->st->dims, t->st->shape, found,
		    sizeof found);
		return (fault_set(f, "bad_model", NULL, "%s: %s: expected "
		    "shape [%s] from %s, found [%s]", path, name, expected,
		    m->config_text != NULL ? "config.json" : "the metadata",
		    found));
	}
	if (!t->st->readable || p->cols % (int64_t)dtype_block(t->st->dtype) !=
	    0)
		return (fault_set(f, "bad_model", NULL, "%s: %s: expected %s, "
		    "found %s", path, name, dims == 1 ? "F16, BF16, F32 or "
		    "F64" : "F16, BF16, F32, F64, or in GGUF Q8_0, Q4_0, "
		    "Q4_K or Q6_K", t->st->dtype_name));
	return (0);
}

/* The role of a file's tensor in the model. */
enum model_use {
	USE_PART,		/* needed */
	USE_NONE,		/* known, but not needed */
	USE_TOO_MANY,		/* of a layer that the model does not have */
	USE_DENIED,		/* of a part that the model does not have */
	USE_UNKNOWN
};

/* Return the role of the tensor of this name. */
static enum model_use
model_use(const struct model *m, const char *name)
{
	char	 known[TENSOR_NAME_MAX], *end;
	long	 l = 0;
	int	 part;

	if (tensor_is_buffer(name))
		return (USE_NONE);
	if (strncmp(name, "gpt_neox.layers.", 16) == 0) {
		l = strtol(name + 16, &end, 10);
		if (*end != '.' || l < 0 || l > CONFIG_LAYERS_MAX)
			return (USE_UNKNOWN);
	}
	for (part = 0; part < TENSOR_COUNT; part++) {
		tensor_name((enum tensor)part, (int)l, known);
		if (strcmp(name, known) != 0)
			continue;
		if (l >= m->config.layers)
			return (USE_TOO_MANY);
		if (tensor_wanted((enum tensor)part, &m->config))
			return (USE_PART);
		return (part == TENSOR_HEAD ? USE_NONE : USE_DENIED);
	}
	return (USE_UNKNOWN);
}

/* Handle an output matrix in a model whose configuration says that it has
 * none. */
static void
model_warn_head(const struct model *m)
{
	struct shard_tensor	 head, embed;
	char			 name[TENSOR_NAME_MAX];

	if (!m->config.tied)
		return;
	tensor_name(TENSOR_HEAD, 0, name);
	if (shards_find(m->shards, name, &head) != 0)
		return;
	tensor_name(TENSOR_EMBED, 0, name);
	if (shards_find(m->shards, name, &embed) == 0 &&
	    (head.file != embed.file || head.at != embed.at))
		log_warnx("model %s: embed_out.weight left out, since "
		    "tie_word_embeddings is true", m->path);
}

/* Examine the other tensors. A tensor of a part that the configuration excludes
 * is an error, because the model would not be the one that was trained. All
 * unknown tensors cause one warning. */
static int
model_check_rest(const struct model *m, struct fault *f)
{
	struct shard_tensor	 t;
	const char		*first = NULL;
	uint64_t		 size;
	size_t			 i, n = 0;

	for (i = 0; shards_at(m->shards, i, &t) == 0; i++)
		switch (model_use(m, t.st->name)) {
		case USE_PART:
		case USE_NONE:
			break;
		case USE_TOO_MANY:
			return (fault_set(f, "bad_model", NULL, "%s: %s: "
			    "expected a tensor of %d layers",
			    shards_file(m->shards, t.file, &size),
			    t.st->name, m->config.layers));
		case USE_DENIED:
			return (fault_set(f, "bad_model", NULL, "%s: %s: "
			    "expected none, since attention_bias is false",
			    shards_file(m->shards, t.file, &size),
			    t.st->name));
		case USE_UNKNOWN:
			if (n++ == 0)
				first = t.st->name;
		}
	if (n > 0)
		log_warnx("model %s: %zu unknown tensor%s left out, the "
		    "first is %s", m->path, n, n == 1 ? "" : "s", first);
	model_warn_head(m);
	return (0);
}
