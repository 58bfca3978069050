/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the weight files of a model. Every byte is read once, in order,
 * and hashed. The rows of the needed tensors are passed on in slices, which
 * limits the memory.
 */
#include "model_impl.h"

#include <stdlib.h>
#include <string.h>

#include "dtype.h"
#include "sha256.h"
#include "strided.h"
#include "xmalloc.h"

#define STREAM_SLICE	((size_t)4 * 1024 * 1024)	/* bytes, about */
#define STREAM_ROWS	16	/* a slice has a multiple of these rows */

struct stream {
	struct model		*m;
	int			 (*take)(void *, const struct model_slice *,
				    struct fault *);
	void			*arg;
	struct fault		*f;
	uint8_t			*buf;		/* owned */
	size_t			 size;		/* bytes of buf */
	struct sha256		 all;		/* digest of the lines of
						 * sha256sum */
	struct sha256		 file;		/* digest of this file so far */
	size_t			 index;		/* index of this file */
	uint64_t		 at;		/* bytes of this file read so
						 * far */
};

static int	stream_file(struct stream *, size_t *);
static int	stream_part(struct stream *, const struct model_part *);

/* Add a line of the output of sha256sum. */
static void
stream_line(struct stream *s, struct sha256 *file, const char *path)
{
	const char	*slash = strrchr(path, '/');
	char		 hex[SHA256_HEX], *line;

	sha256_end(file, hex);
	line = xasprintf("%s  %s\n", hex, slash != NULL ? slash + 1 : path);
	sha256_add(&s->all, line, strlen(line));
	free(line);
}

/* Add the line of a text that was read before. */
static void
stream_text(struct stream *s, const char *text, size_t n, const char *name)
{
	struct sha256	 sum;

	if (text == NULL)
		return;
	sha256_init(&sum);
	sha256_add(&sum, text, n);
	stream_line(s, &sum, name);
}

/* Read everything. */
int
model_stream(struct model *m, int (*take)(void *arg,
    const struct model_slice *s, struct fault *f), void *arg, struct fault *f)
{
	struct stream	 s = { .m = m, .take = take, .arg = arg, .f = f };
	char		 hex[SHA256_HEX];
	uint64_t	 size;
	size_t		 part = 0;
	int		 r = 0;

	m->bytes_read = 0;
	sha256_init(&s.all);
	if (m->config_text != NULL) {
		stream_text(&s, m->config_text, m->config_len, "config.json");
		stream_text(&s, m->tokenizer, m->tokenizer_len,
		    "tokenizer.json");
	}
	s.size = STREAM_SLICE;
	s.buf = xmalloc(s.size);
	for (; r == 0 && shards_file(m->shards, s.index, &size) != NULL;
	    s.index++)
		r = stream_file(&s, &part);
	free(s.buf);
	if (r != 0)
		return (r);
	sha256_end(&s.all, hex);
	free(m->digest);
	m->digest = xasprintf("sha256:%s", hex);
	return (0);
}

/* Read and hash the next n bytes of this file into buf. */
static int
stream_next(struct stream *s, size_t n)
{
	int	 r;

	if ((r = shards_read(s->m->shards, s->index, s->at, s->buf, n,
	    s->f)) != 0)
		return (r);
	sha256_add(&s->file, s->buf, n);
	s->at += n;
	s->m->bytes_read += (int64_t)n;
	return (0);
}

/* Read past bytes that no tensor needs, up to byte end. */
static int
stream_skip(struct stream *s, uint64_t end)
{
	uint64_t	 n;
	int		 r;

	while (s->at < end) {
		n = end - s->at < s->size ? end - s->at : s->size;
		if ((r = stream_next(s, (size_t)n)) != 0)
			return (r);
	}
	return (0);
}

/* Read one file, which has the parts from *part on. */
static int
stream_file(struct stream *s, size_t *part)
{
	const struct model	*m = s->m;
	const char		*path;
	uint64_t		 size;
	int			 r;

	path = shards_file(m->shards, s->index, &size);
	sha256_init(&s->file);
	for (s->at = 0; *part < m->nparts && m->parts[*part].where.file ==
	    s->index; ++*part)
		if ((r = stream_skip(s, m->parts[*part].where.at)) != 0 ||
		    (r = stream_part(s, &m->parts[*part])) != 0)
			return (r);
	if ((r = stream_skip(s, size)) != 0)
		return (r);
	stream_line(s, &s->file, path);
	return (0);
}

/* Read one tensor, slice by slice. */
static int
stream_part(struct stream *s, const struct model_part *p)
{
	const struct st_tensor	*st = p->where.st;
	struct model_slice	 x = { .part = p->part, .layer = p->layer,
		.name = st->name, .rows = p->rows, .cols = p->cols,
		.dtype = st->dtype, .bytes = s->buf };
	uint64_t		 size, at = p->where.at;
	size_t			 n;
	int64_t			 step;
	int			 r;

	x.path = shards_file(s->m->shards, s->index, &size);
	x.split_qkv = s->m->split_qkv && (p->part == TENSOR_QKV ||
	    p->part == TENSOR_QKV_BIAS);
	x.row_bytes = (size_t)p->cols / dtype_block(st->dtype) *
	    dtype_block_size(st->dtype);
	if (s->size < STREAM_ROWS * x.row_bytes) {
		s->size = STREAM_ROWS * x.row_bytes;
		s->buf = xreallocarray(s->buf, s->size, 1);
		x.bytes = s->buf;
	}
	step = (int64_t)(s->size / x.row_bytes) / STREAM_ROWS * STREAM_ROWS;
	for (; x.first < p->rows; x.first += x.count, at += n) {
		x.count = p->rows - x.first < step ? p->rows - x.first : step;
		n = (size_t)x.count * x.row_bytes;
		if (st->strided)	/* its bytes are hashed later */
			r = strided_read(s->m->shards, &p->where, x.first,
			    x.count, p->cols, s->buf, s->f);
		else if (at == s->at)
			r = stream_next(s, n);
		else	/* its bytes are shared with an earlier tensor */
			r = shards_read(s->m->shards, s->index, at, s->buf,
			    n, s->f);
		if (r != 0 || (r = s->take(s->arg, &x, s->f)) != 0)
			return (r);
	}
	return (0);
}

/* Report a number that is not allowed. */
int
model_not_finite(const struct model_slice *s, int64_t i, int64_t k, float x,
    const char *why, struct fault *f)
{
	return (fault_set(f, "bad_model", NULL, "%s: %s: expected finite "
	    "numbers, found %g in row %lld, column %lld%s", s->path, s->name,
	    (double)x, (long long)(s->first + i), (long long)k, why));
}

/* Return the place of a row in our order. */
int64_t
model_row(const struct model *m, const struct model_slice *s, int64_t i)
{
	const struct model_config	*c = &m->config;
	int64_t				 j, h;

	if (!s->split_qkv)
		return (i);
	j = i / c->channels;			/* query, key or value */
	h = i % c->channels / c->lanes;
	return (h * 3 * c->lanes + j * c->lanes + i % c->lanes);
}
