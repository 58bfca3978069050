/*
 * A model on disk: its configuration and its weight files together, every
 * tensor that the configuration asks for found and checked before any weight
 * is read.
 */
#include "model_impl.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "dtype.h"
#include "fileio.h"
#include "gguf.h"
#include "log.h"
#include "path.h"
#include "xmalloc.h"

#define MODEL_TOKENIZER_MAX	(16 * 1024 * 1024)	/* bytes of its text */
#define MODEL_TABLES_MAX	(64 * 1024 * 1024)	/* bytes of its tables */

static int	model_open_folder(struct model *, struct fault *);
static int	model_open_file(struct model *, struct fault *);
static int	model_open_packed(struct model *, int, uint64_t, uint64_t,
		    struct st_table *, struct fault *);
static int	model_check(struct model *, struct fault *);
static int	model_find(struct model *, struct model_part *,
		    struct fault *);
static int	model_check_rest(const struct model *, struct fault *);

/* The last part of a path, slashes at its end left out, and without suffix. */
static char *
model_last_name(const char *path, const char *suffix)
{
	size_t	 n = strlen(path), k = strlen(suffix), i;

	while (n > 1 && path[n - 1] == '/')
		n--;
	for (i = n; i > 0 && path[i - 1] != '/'; i--)
		;
	if (n - i > k && memcmp(path + n - k, suffix, k) == 0)
		n -= k;
	return (xstrndup(path + i, n - i));
}

/* Open a model in any form. */
int
model_open(const char *path, struct model **out, struct fault *f)
{
	struct model	*m = xcalloc(1, sizeof *m);
	struct stat	 st;
	int		 r;

	m->path = xstrdup(path);
	if (stat(path, &st) == -1)
		r = fault_set(f, "bad_model", NULL, "%s: %s", path,
		    strerror(errno));
	else if (S_ISDIR(st.st_mode))
		r = model_open_folder(m, f);
	else
		r = model_open_file(m, f);
	if (r == 0 && m->packed == NULL && (r = model_check(m, f)) == 0)
		r = model_check_rest(m, f);
	if (r == 0) {
		*out = m;
		m = NULL;
	}
	model_free(m);
	return (r);
}

/* Release everything. */
void
model_free(struct model *m)
{
	if (m == NULL)
		return;
	shards_free(m->shards);
	packed_free(m->packed);
	free(m->parts);
	free(m->path);
	free(m->name);
	free(m->digest);
	free(m->config_text);
	free(m->tokenizer);
	free(m->tokenizer_path);
	free(m->tables);
	free(m);
}

/* A Hugging Face folder. */
static int
model_open_folder(struct model *m, struct fault *f)
{
	char	*path = path_join(m->path, "config.json");
	int	 r;

	m->name = model_last_name(m->path, "");
	m->tokenizer_path = path_join(m->path, "tokenizer.json");
	if ((r = fileio_folder(m->path, f)) != 0 ||
	    (r = fileio_text(path, CONFIG_BYTES_MAX, &m->config_text,
	    &m->config_len, f)) != 0 ||
	    (r = config_parse(path, m->config_text, m->config_len,
	    &m->config, f)) != 0)
		goto out;
	if (access(m->tokenizer_path, F_OK) == 0 &&
	    (r = fileio_text(m->tokenizer_path, MODEL_TOKENIZER_MAX,
	    &m->tokenizer, &m->tokenizer_len, f)) != 0)
		goto out;
	r = shards_open(m->path, &m->shards, f);
out:
	free(path);
	return (r);
}

/* A GGUF file of size bytes; fd is taken. */
static int
model_open_gguf(struct model *m, int fd, uint64_t size, struct fault *f)
{
	struct gguf	 g;

	if (gguf_read(m->path, fd, size, &g, f) != GGUF_OK) {
		close(fd);
		return (CHAT_EFORMAT);
	}
	m->name = model_last_name(m->path, ".gguf");
	m->config = g.config;
	m->split_qkv = g.split_qkv;
	m->tokenizer = g.tokenizer;
	m->tokenizer_len = g.tokenizer_len;
	m->tokenizer_path = xasprintf("%s: tokenizer", m->path);
	g.tokenizer = NULL;
	return (shards_wrap(m->path, fd, size, &g.table, "GGUF", &m->shards,
	    f));
}

/* One file that is neither packed nor GGUF. */
static int
model_other_file(const struct model *m, const char *found, struct fault *f)
{
	return (fault_set(f, "bad_model", NULL, "%s: expected a folder with "
	    "config.json, a GGUF file or a packed file, found %s", m->path,
	    found));
}

/* One open file (fd is taken) of size bytes: what it is, its first bytes
 * say. */
static int
model_open_kind(struct model *m, int fd, uint64_t size, struct fault *f)
{
	struct st_table	 table = { 0 };
	uint8_t		 start[9] = { 0 };
	uint64_t	 data = 0;
	int		 r;

	if (size >= sizeof start)
		(void)fileio_read(fd, start, sizeof start, 0);
	if (memcmp(start, "GGUF", 4) == 0)
		return (model_open_gguf(m, fd, size, f));
	if (memcmp(start, "PK", 2) == 0)
		r = model_other_file(m, "one of PyTorch: give its folder", f);
	else if (start[8] != '{')
		r = model_other_file(m, size == 0 ? "an empty file" :
		    "another kind of file", f);
	else if ((r = safetensors_read(m->path, fd, size, &data, &table,
	    f)) == 0) {
		if (packed_is(&table))
			return (model_open_packed(m, fd, size, data, &table,
			    f));
		r = model_other_file(m, "a safetensors file: give its folder",
		    f);
	}
	safetensors_clear(&table);
	close(fd);
	return (r);
}

/* A model in one file. */
static int
model_open_file(struct model *m, struct fault *f)
{
	char		*folder = path_folder(m->path);
	uint64_t	 size;
	int		 fd, r;

	if ((r = fileio_folder(folder, f)) == 0 &&
	    (r = fileio_open(m->path, &fd, &size, f)) == 0)
		r = model_open_kind(m, fd, size, f);
	free(folder);
	return (r);
}

/* A packed file; fd and table are taken. */
static int
model_open_packed(struct model *m, int fd, uint64_t size, uint64_t data,
    struct st_table *table, struct fault *f)
{
	char	*config = NULL, *where;
	size_t	 n;
	int	 r;

	/* Let the disk begin while the tokenizer is read. */
	(void)posix_fadvise(fd, (off_t)data, 0, POSIX_FADV_WILLNEED);
	if ((r = packed_open(m->path, fd, size, data, table, &m->packed,
	    f)) != 0)
		return (r);
	m->name = xstrdup(m->packed->name);
	m->digest = xstrdup(m->packed->source);
	m->tokenizer_path = xasprintf("%s: tokenizer.json", m->path);
	m->bytes = (int64_t)(size - data);
	where = xasprintf("%s: config.json", m->path);
	if ((r = packed_text(m->packed, "config.json", CONFIG_BYTES_MAX,
	    &config, &n, f)) == 0 &&
	    (r = config_parse(where, config, n, &m->config, f)) == 0)
		r = packed_text(m->packed, "tokenizer.json",
		    MODEL_TOKENIZER_MAX, &m->tokenizer, &m->tokenizer_len, f);
	if (r == 0 && packed_find(m->packed, PACKED_TABLES) != NULL)
		r = packed_bytes(m->packed, PACKED_TABLES, MODEL_TABLES_MAX,
		    &m->tables, &m->tables_len, f);
	free(where);
	free(config);
	return (r);
}

/* Order of places in the files. */
static int
model_compare(const void *a, const void *b)
{
	const struct shard_tensor *x = &((const struct model_part *)a)->where;
	const struct shard_tensor *y = &((const struct model_part *)b)->where;

	if (x->file != y->file)
		return (x->file < y->file ? -1 : 1);
	return (x->at < y->at ? -1 : x->at > y->at);
}

/* Every part that the configuration asks for is there, in its shape. */
static int
model_check(struct model *m, struct fault *f)
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

/* "[3, 4]" of a shape. */
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

/* Find a part and check its shape and type. */
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

/* What a tensor of a file is to the model. */
enum model_use {
	USE_PART,		/* needed */
	USE_NONE,		/* known, and not needed */
	USE_TOO_MANY,		/* of a layer that the model does not have */
	USE_DENIED,		/* of a part that the model does not have */
	USE_UNKNOWN
};

/* What is a tensor of this name? */
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

/* A head of its own in a model that says it has none. */
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

/* A tensor of a part that the configuration denies is an error: the model
 * would not be the one that was trained. One warning for all that are
 * unknown. */
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

/* Configuration, path, name. */
const struct model_config *
model_config(const struct model *m)
{
	return (&m->config);
}

/* The path as it was given. */
const char *
model_path(const struct model *m)
{
	return (m->path);
}

/* The last folder's name. */
const char *
model_name(const struct model *m)
{
	return (m->name);
}

/* The container. */
const char *
model_format(const struct model *m)
{
	if (m->synth)
		return ("random");
	return (m->packed != NULL ? "packed" : shards_format(m->shards));
}

/* The tokenizer's text. */
const char *
model_tokenizer(const struct model *m, size_t *n, const char **path)
{
	*n = m->tokenizer_len;
	*path = m->tokenizer_path;
	return (m->tokenizer);
}

/* The tokenizer's tables. */
const uint8_t *
model_tokenizer_tables(const struct model *m, size_t *n)
{
	*n = m->tables_len;
	return (m->tables);
}

/* What is packed. */
const struct packed *
model_packed(const struct model *m)
{
	return (m->packed);
}

/* The digest, once it is known. */
const char *
model_digest(const struct model *m)
{
	return (m->digest);
}

/* Bytes of the weight files. */
int64_t
model_bytes(const struct model *m)
{
	return (m->bytes);
}

/* Bytes read so far. */
int64_t
model_bytes_read(const struct model *m)
{
	return (m->bytes_read);
}

/* Count numbers. */
int64_t
model_parameters(const struct model *m)
{
	int64_t	 sum = 0, rows, cols;
	int	 part;

	for (part = 0; part < TENSOR_COUNT; part++) {
		if (!tensor_wanted((enum tensor)part, &m->config))
			continue;
		tensor_shape((enum tensor)part, &m->config, &rows, &cols);
		sum += rows * (cols == 0 ? 1 : cols) *
		    (part < TENSOR_LAYER_COUNT ? m->config.layers : 1);
	}
	return (sum);
}
