/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model on disk: it finds out which form the model has, reads its
 * configuration and tokenizer, and opens its weight files. model_fit.c checks
 * that they fit together, and stream.c reads the weights.
 */
#include "model_impl.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapter.h"
#include "hfconfig.h"
#include "fileio.h"
#include "gguf.h"
#include "path.h"
#include "xmalloc.h"

#define MODEL_TOKENIZER_MAX	(16 * 1024 * 1024)	/* bytes of its text */
#define MODEL_TABLES_MAX	(64 * 1024 * 1024)	/* of its tables */

static int	model_open_folder(struct model *, struct fault *);
static int	model_open_file(struct model *, struct fault *);
static int	model_open_packed(struct model *, int, uint64_t, uint64_t,
		    struct st_table *, struct fault *);

/* Return the last part of a path, without slashes at its end and without
 * suffix. */
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
	if (r == 0 && m->packed == NULL)
		r = model_fit(m, f);
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

/* A folder with an adapter and no model gets an error of its own. */
static int
model_not_adapter(const char *folder, const char *config, struct fault *f)
{
	char	*path = path_join(folder, ADAPTER_CONFIG);
	int	 r = 0;

	if (access(path, F_OK) == 0 && access(config, F_OK) != 0)
		r = fault_set(f, "bad_model", NULL, "%s: expected a model, "
		    "found an adapter (%s); an adapter belongs into "
		    "model.adapters, beside its base model", folder,
		    ADAPTER_CONFIG);
	free(path);
	return (r);
}

/* Open a Hugging Face folder. */
static int
model_open_folder(struct model *m, struct fault *f)
{
	char	*path = path_join(m->path, "config.json"), *whole;
	int	 r;

	whole = realpath(m->path, NULL);	/* so that "." has a name */
	m->name = model_last_name(whole != NULL ? whole : m->path, "");
	free(whole);
	m->tokenizer_path = path_join(m->path, "tokenizer.json");
	if ((r = fileio_folder(m->path, f)) != 0 ||
	    (r = model_not_adapter(m->path, path, f)) != 0 ||
	    (r = fileio_text(path, CONFIG_BYTES_MAX, &m->config_text,
	    &m->config_len, f)) != 0 ||
	    (r = hfconfig_parse(path, m->config_text, m->config_len,
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

/* Open a GGUF file of size bytes; fd is taken. */
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

/* Refuse a file that is neither packed nor GGUF. */
static int
model_other_file(const struct model *m, const char *found, struct fault *f)
{
	return (fault_set(f, "bad_model", NULL, "%s: expected a folder with "
	    "config.json, a GGUF file or a packed file, found %s", m->path,
	    found));
}

/* Open a model in one file of size bytes (fd is taken). Its first bytes show
 * its form. */
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

/* Open a model in one file. */
static int
model_open_file(struct model *m, struct fault *f)
{
	uint64_t	 size;
	int		 fd, r;

	if ((r = fileio_open(m->path, &fd, &size, f)) != 0)
		return (r);
	return (model_open_kind(m, fd, size, f));
}

/* Open a packed file; fd and table are taken. */
static int
model_open_packed(struct model *m, int fd, uint64_t size, uint64_t data,
    struct st_table *table, struct fault *f)
{
	char	*config = NULL, *where;
	size_t	 n;
	int	 r;

	/* Start reading the disk ahead while the tokenizer is read. */
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
	    (r = hfconfig_parse(where, config, n, &m->config, f)) == 0)
		r = packed_text(m->packed, "tokenizer.json",
		    MODEL_TOKENIZER_MAX, &m->tokenizer, &m->tokenizer_len, f);
	if (r == 0 && packed_find(m->packed, PACKED_TABLES) != NULL)
		r = packed_bytes(m->packed, PACKED_TABLES, MODEL_TABLES_MAX,
		    &m->tables, &m->tables_len, f);
	free(where);
	free(config);
	return (r);
}

/* Return the configuration. */
const struct model_config *
model_config(const struct model *m)
{
	return (&m->config);
}

/* Return the path as it was given. */
const char *
model_path(const struct model *m)
{
	return (m->path);
}

/* Return the name of the last folder. */
const char *
model_name(const struct model *m)
{
	return (m->name);
}

/* Return the container's name. */
const char *
model_format(const struct model *m)
{
	if (m->synth)
		return ("random");
	return (m->packed != NULL ? "packed" : shards_format(m->shards));
}

/* Return the text of tokenizer.json. */
const char *
model_tokenizer(const struct model *m, size_t *n, const char **path)
{
	*n = m->tokenizer_len;
	*path = m->tokenizer_path;
	return (m->tokenizer);
}

/* Return the tables of the tokenizer. */
const uint8_t *
model_tokenizer_tables(const struct model *m, size_t *n)
{
	*n = m->tables_len;
	return (m->tables);
}

/* Return the packed file. */
const struct packed *
model_packed(const struct model *m)
{
	return (m->packed);
}

/* Return the digest, once it is known. */
const char *
model_digest(const struct model *m)
{
	return (m->digest);
}

/* Return the bytes of the weight files. */
int64_t
model_bytes(const struct model *m)
{
	return (m->bytes);
}

/* Return the bytes read so far. */
int64_t
model_bytes_read(const struct model *m)
{
	return (m->bytes_read);
}

/* Return the number of parameters. */
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
