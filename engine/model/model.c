/*
 * A model on disk: config.json and the weight files together, every tensor
 * the configuration asks for checked before any weight is read.
 */
#include "model.h"

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
#include "hf.h"
#include "log.h"
#include "path.h"
#include "sha256.h"
#include "tensors.h"
#include "xmalloc.h"

#define MODEL_SLICE	(256 * 1024)	/* bytes read at a time */

struct model {
	char			*path;		/* owned */
	char			*name;		/* owned */
	char			*digest;	/* owned; NULL: not yet asked */
	struct model_config	 config;
	struct hf		*hf;		/* owned */
	int64_t			 bytes, bytes_read;
	uint8_t			 slice[MODEL_SLICE];
};

static int	model_read_config(struct model *, struct fault *);
static int	model_check(struct model *, struct fault *);
static int	model_find(const struct model *, const char *, int64_t,
		    int64_t, struct hf_tensor *, struct fault *);
static void	model_warn_unknown(const struct model *);
static int	model_digest_file(struct sha256 *, const char *);

/* The last folder of a path, slashes at its end left out. */
static char *
model_last_name(const char *path)
{
	size_t	 n = strlen(path), i;

	while (n > 1 && path[n - 1] == '/')
		n--;
	for (i = n; i > 0 && path[i - 1] != '/'; i--)
		;
	return (xstrndup(path + i, n - i));
}

/* Open a folder. */
int
model_open(const char *path, struct model **out, struct fault *f)
{
	struct model	*m = xcalloc(1, sizeof *m);
	struct stat	 st;
	int		 r;

	m->path = xstrdup(path);
	m->name = model_last_name(path);
	if (stat(path, &st) == -1) {
		r = fault_set(f, "bad_model", NULL, "%s: %s", path,
		    strerror(errno));
		goto out;
	}
	if (!S_ISDIR(st.st_mode)) {
		r = fault_set(f, "bad_model", NULL,
		    "%s: expected a folder with config.json and "
		    "weights, found a file", path);
		goto out;
	}
	if ((r = model_read_config(m, f)) != 0 ||
	    (r = hf_open(path, &m->hf, f)) != 0 ||
	    (r = model_check(m, f)) != 0)
		goto out;
	model_warn_unknown(m);
	*out = m;
	m = NULL;
out:
	model_free(m);
	return (r);
}

/* Release everything. */
void
model_free(struct model *m)
{
	if (m == NULL)
		return;
	hf_free(m->hf);
	free(m->path);
	free(m->name);
	free(m->digest);
	free(m);
}

/* Read config.json. */
static int
model_read_config(struct model *m, struct fault *f)
{
	char	*path = path_join(m->path, "config.json"), *text = NULL;
	size_t	 n;
	int	 r;

	if ((r = path_read(path, CONFIG_BYTES_MAX, &text, &n)) != 0)
		fault_set(f, "bad_model", NULL, "%s: %s", path,
		    r == CHAT_ESYSTEM ? strerror(errno) : chat_strerror(r));
	else
		r = config_parse(path, text, n, &m->config, f);
	free(text);
	free(path);
	return (r);
}

/* Every part that the configuration asks for is there, in its shape. */
static int
model_check(struct model *m, struct fault *f)
{
	struct hf_tensor	 t;
	char			 name[TENSOR_NAME_MAX];
	int64_t			 rows, cols;
	int			 part, l, r;

	for (part = 0; part < TENSOR_COUNT; part++) {
		if (!tensor_wanted((enum tensor)part, &m->config))
			continue;
		tensor_shape((enum tensor)part, &m->config, &rows, &cols);
		for (l = 0; l < m->config.layers; l++) {
			tensor_name((enum tensor)part, l, name);
			if ((r = model_find(m, name, rows, cols, &t, f)) != 0)
				return (r);
			m->bytes += (int64_t)(t.st->end - t.st->begin);
			if (part >= TENSOR_LAYER_COUNT)
				break;
		}
	}
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

/* Find a tensor and check type and shape. */
static int
model_find(const struct model *m, const char *name, int64_t rows,
    int64_t cols, struct hf_tensor *t, struct fault *f)
{
	int64_t	 want[2] = { rows, cols };
	int	 dims = cols == 0 ? 1 : 2;
	char	 expected[64], found[160];

	if (hf_find(m->hf, name, t) != 0) {
		fault_set(f, "bad_model", NULL, "%s: %s: expected a tensor of "
		    "that name, found none", m->path, name);
		return (CHAT_ENOTFOUND);
	}
	if (t->st->dims != dims || t->st->shape[0] != rows ||
	    (dims == 2 && t->st->shape[1] != cols)) {
		model_shape_text(dims, want, expected, sizeof expected);
		model_shape_text(t->st->dims, t->st->shape, found,
		    sizeof found);
		fault_set(f, "bad_model", NULL,
		    "%s: %s: expected shape [%s] from config.json, found [%s]",
		    hf_file(m->hf, t->file), name, expected, found);
		return (CHAT_ESHAPE);
	}
	if (!t->st->readable)
		return (fault_set(f, "bad_model", NULL,
		    "%s: %s: expected F16, BF16, F32 or F64, found %s",
		    hf_file(m->hf, t->file), name, t->st->dtype_name));
	return (0);
}

/* Is this name a part of a model of this configuration? */
static int
model_knows(const struct model *m, const char *name)
{
	char	 known[TENSOR_NAME_MAX], *end;
	long	 l = 0;
	int	 part;

	if (strncmp(name, "gpt_neox.layers.", 16) == 0) {
		l = strtol(name + 16, &end, 10);
		if (*end != '.' || l < 0 || l >= m->config.layers)
			return (0);
	}
	for (part = 0; part < TENSOR_COUNT; part++) {
		tensor_name((enum tensor)part, (int)l, known);
		if (strcmp(name, known) == 0)
			return (part == TENSOR_HEAD ||
			    tensor_wanted((enum tensor)part, &m->config));
	}
	return (tensor_is_buffer(name));
}

/* One warning for all the tensors that nothing uses. */
static void
model_warn_unknown(const struct model *m)
{
	struct hf_tensor	 t;
	char			*first = NULL;
	size_t			 i, n = 0;

	for (i = 0; hf_at(m->hf, i, &t) == 0; i++) {
		if (model_knows(m, t.st->name))
			continue;
		if (n++ == 0)
			first = t.st->name;
	}
	if (n > 0)
		log_warnx("model %s: %zu unknown tensor%s left out, the "
		    "first is %s", m->path, n, n == 1 ? "" : "s", first);
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

/* Bytes of the tensors that are needed. */
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

/* Is there a tensor of that name? */
int
model_has(const struct model *m, const char *tensor)
{
	struct hf_tensor	 t;

	return (hf_find(m->hf, tensor, &t) == 0);
}

/* Read a whole tensor. */
int
model_read(struct model *m, const char *tensor, int64_t rows, int64_t cols,
    float *out, struct fault *f)
{
	return (model_read_rows(m, tensor, rows, cols, 0, rows, out, f));
}

/* Read some rows, a slice of bytes at a time. */
int
model_read_rows(struct model *m, const char *tensor, int64_t rows,
    int64_t cols, int64_t first, int64_t count, float *out, struct fault *f)
{
	struct hf_tensor	 t;
	uint64_t		 at, left;
	size_t			 size, take;
	int			 r;

	if ((r = model_find(m, tensor, rows, cols, &t, f)) != 0)
		return (r);
	if (first < 0 || count < 0 || first > rows - count) {
		fault_set(f, "bad_model", NULL, "%s: expected rows up to %"
		    PRId64 ", asked for %" PRId64 " from %" PRId64, tensor,
		    rows, count, first);
		return (CHAT_ESHAPE);
	}
	size = dtype_size(t.st->dtype);
	at = (uint64_t)first * (uint64_t)(cols == 0 ? 1 : cols) * size;
	left = (uint64_t)count * (uint64_t)(cols == 0 ? 1 : cols) * size;
	while (left > 0) {
		take = left < MODEL_SLICE ? (size_t)left : MODEL_SLICE;
		if ((r = hf_read(m->hf, &t, at, m->slice, take, f)) != 0)
			return (r);
		dtype_to_f32(t.st->dtype, m->slice, out, take / size);
		out += take / size;
		m->bytes_read += (int64_t)take;
		at += take;
		left -= take;
	}
	return (0);
}

/*
 * What `sha256sum config.json tokenizer.json model*.safetensors | sha256sum`
 * prints in the folder (pytorch_model*.bin where that is read): a line "hex
 * name" for each file, hashed again.
 */
const char *
model_digest(struct model *m)
{
	static const char *const small[] = { "config.json", "tokenizer.json" };
	struct sha256	 sum;
	char		 hex[SHA256_HEX], *path;
	size_t		 i;
	int		 r = 0;

	if (m->digest != NULL)
		return (m->digest);
	sha256_init(&sum);
	for (i = 0; i < nitems(small) && r == 0; i++) {
		path = path_join(m->path, small[i]);
		if (access(path, F_OK) == 0)
			r = model_digest_file(&sum, path);
		free(path);
	}
	for (i = 0; hf_file(m->hf, i) != NULL && r == 0; i++)
		r = model_digest_file(&sum, hf_file(m->hf, i));
	if (r != 0)
		return (NULL);
	sha256_end(&sum, hex);
	m->digest = xasprintf("sha256:%s", hex);
	return (m->digest);
}

/* Add one file's line to a digest. 0 or CHAT_ESYSTEM. */
static int
model_digest_file(struct sha256 *sum, const char *path)
{
	struct sha256	 file;
	uint8_t		*buf;
	char		 hex[SHA256_HEX], *line;
	ssize_t		 n;
	int		 fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return (CHAT_ESYSTEM);
	buf = xmalloc(MODEL_SLICE);
	sha256_init(&file);
	while ((n = read(fd, buf, MODEL_SLICE)) > 0 ||
	    (n == -1 && errno == EINTR))
		if (n > 0)
			sha256_add(&file, buf, (size_t)n);
	sha256_end(&file, hex);
	line = xasprintf("%s  %s\n", hex, strrchr(path, '/') + 1);
	if (n == 0)
		sha256_add(sum, line, strlen(line));
	free(line);
	free(buf);
	close(fd);
	return (n == 0 ? 0 : CHAT_ESYSTEM);
}
