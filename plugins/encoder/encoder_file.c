/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model file of the encoder: read as a whole, checked before any of it is
 * used.  tools/encoder/README.md describes it.
 */
#include "encoder.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "encoder_kernels.h"
#include "sha256.h"
#include "utf8.h"
#include "xmalloc.h"

#define FILE_MAX	(256u << 20)	/* bytes */
#define FILE_HEADER	256
#define FILE_DIGEST	32
#define FILE_ALIGN	64
#define FILE_VERSION	1
#define FILE_HIDDEN_MAX	1024
#define FILE_FFN_MAX	8192
#define FILE_LANES_MAX	128		/* of a head */
#define FILE_VOCAB_MAX	262144
#define FILE_EMOJI_IDS	65536
#define FILE_FLOAT_MAX	1e6f		/* of any number in the file */

/* The header: 32-bit little-endian numbers, from byte 8 on. */
struct file_header {
	char		 magic[8];
	uint32_t	 version, header;
	uint64_t	 size;
	uint32_t	 hidden, heads, layers, positions, vocab, outputs;
	uint32_t	 names_len, vocab_len, emoji, emoji_ids;
	uint32_t	 reserved[2];
	float		 eps;
	uint32_t	 id_unk, id_cls, id_sep;
	uint32_t	 ffn[ENCODER_LAYERS_MAX];
	char		 name[64];
};

/* A file being read. */
struct file_work {
	const char	*path;
	struct fault	*f;
	struct encoder	*e;
	struct file_header	 h;
	size_t		 at;		/* next byte of the file */
	uint8_t		*spare;		/* next byte after the file, in block */
	uint8_t		*spare_end;
	int		 bad;		/* a fault was found */
	char		 where[40];	/* the part being read */
};

/* Note a fault; the first one counts. Returns CHAT_EFORMAT. */
static int __attribute__((format(printf, 2, 3)))
file_bad(struct file_work *w, const char *fmt, ...)
{
	char	 why[200];
	va_list	 ap;

	if (w->bad)
		return (CHAT_EFORMAT);
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	w->bad = 1;
	return (fault_set(w->f, "bad_model", NULL, "%.150s: %s", w->path,
	    why));
}

/* Check a number of the header. */
static void
file_range(struct file_work *w, const char *what, uint64_t v, uint64_t low,
    uint64_t high, uint64_t step)
{
	if (v < low || v > high || v % step != 0)
		file_bad(w, "%s is %llu, expected %llu to %llu%s", what,
		    (unsigned long long)v, (unsigned long long)low,
		    (unsigned long long)high, step == 16 ?
		    ", a multiple of 16" : step == 8 ? ", a multiple of 8" :
		    "");
}

/* Check the header. */
static int
file_header(struct file_work *w, size_t size)
{
	const struct file_header	*h = &w->h;
	uint32_t			 i;

	if (memcmp(h->magic, "chatdenc", 8) != 0)
		return (file_bad(w, "no model file of the encoder"));
	if (h->version != FILE_VERSION)
		return (file_bad(w, "version %u of the format, expected %d",
		    h->version, FILE_VERSION));
	if (h->header != FILE_HEADER)
		return (file_bad(w, "a header of %u bytes, expected %d",
		    h->header, FILE_HEADER));
	if (h->size != size)
		return (file_bad(w, "%zu bytes, its header says %llu", size,
		    (unsigned long long)h->size));
	file_range(w, "hidden", h->hidden, 16, FILE_HIDDEN_MAX, 16);
	file_range(w, "heads", h->heads, 1, FILE_HIDDEN_MAX, 1);
	if (!w->bad && h->hidden % h->heads != 0)
		file_bad(w, "%u lanes in %u heads", h->hidden, h->heads);
	if (!w->bad)
		file_range(w, "lanes of a head", h->hidden / h->heads, 8,
		    FILE_LANES_MAX, 8);
	file_range(w, "layers", h->layers, 1, ENCODER_LAYERS_MAX, 1);
	file_range(w, "positions", h->positions, 8, 65536, 1);
	file_range(w, "vocabulary", h->vocab, 3, FILE_VOCAB_MAX, 1);
	file_range(w, "outputs", h->outputs, 1, ENCODER_OUTPUTS_MAX, 1);
	file_range(w, "bytes of names", h->names_len, 1, 65536, 1);
	file_range(w, "bytes of the vocabulary", h->vocab_len, 1, 16u << 20,
	    1);
	file_range(w, "emoji", h->emoji, 0, FILE_EMOJI_IDS, 1);
	file_range(w, "ids of emoji", h->emoji_ids, 0, FILE_EMOJI_IDS, 1);
	file_range(w, "[UNK]", h->id_unk, 0, h->vocab - 1, 1);
	file_range(w, "[CLS]", h->id_cls, 0, h->vocab - 1, 1);
	file_range(w, "[SEP]", h->id_sep, 0, h->vocab - 1, 1);
	for (i = 0; !w->bad && i < h->layers; i++)
		file_range(w, "ffn", h->ffn[i], 16, FILE_FFN_MAX, 16);
	if (!w->bad && !(h->eps > 0 && h->eps < 1))
		file_bad(w, "eps of LayerNorm is %g", (double)h->eps);
	return (w->bad ? CHAT_EFORMAT : 0);
}

/* Take the next n elements of the file, or NULL. */
static const void *
file_take(struct file_work *w, size_t n, size_t element)
{
	size_t	 end = w->e->file_size - FILE_DIGEST, bytes = n * element;
	size_t	 at = (w->at + FILE_ALIGN - 1) / FILE_ALIGN * FILE_ALIGN;

	if (w->bad)
		return (NULL);
	if (at > end || bytes > end - at) {
		file_bad(w, "ends inside %s", w->where);
		return (NULL);
	}
	w->at = at + bytes;
	return (w->e->file + at);
}

/* Take n floats, each finite and not absurd; above 0 if "above". */
static const float *
file_floats(struct file_work *w, size_t n, int above)
{
	const float	*p = file_take(w, n, sizeof *p);
	size_t		 i;

	for (i = 0; p != NULL && i < n; i++) {
		if (!(fabsf(p[i]) <= FILE_FLOAT_MAX) || (above && p[i] <= 0)) {
			file_bad(w, "%s: number %zu is %g", w->where, i,
			    (double)p[i]);
			return (NULL);
		}
	}
	return (p);
}

/* Take work space. */
static void *
file_spare(struct file_work *w, size_t n, size_t element)
{
	uint8_t	*p = w->spare;
	size_t	 bytes = (n * element + FILE_ALIGN - 1) / FILE_ALIGN *
		    FILE_ALIGN;

	if (bytes > (size_t)(w->spare_end - p))
		abort();		/* file_spare_size is wrong */
	w->spare += bytes;
	return (p);
}

/* Check one row of a matrix, sum it up. */
static int
file_row(const struct encoder_matrix *m, uint32_t row, int32_t *sum)
{
	const int8_t	*w = m->w + (size_t)(row / 16) * 16 * m->k +
			    row % 16 * 4;
	int		 plus[2], minus[2], g;
	uint32_t	 k, i;

	*sum = 0;
	for (k = 0; k < m->k; k += 8, w += 128) {
		memset(plus, 0, sizeof plus);
		memset(minus, 0, sizeof minus);
		for (i = 0; i < 8; i++) {
			g = w[i / 4 * 64 + i % 4];
			*sum += g;
			if (g > 0)
				plus[i / 2 % 2] += g;
			else
				minus[i / 2 % 2] -= g;
		}
		for (i = 0; i < 2; i++)
			if (plus[i] > ENCODER_GROUP_MAX ||
			    minus[i] > ENCODER_GROUP_MAX)
				return (CHAT_EFORMAT);
	}
	return (0);
}

/* Take a matrix. */
static void
file_matrix(struct file_work *w, struct encoder_matrix *m, uint32_t n,
    uint32_t k)
{
	uint32_t	 i;

	m->n = n;
	m->k = k;
	m->bias = file_floats(w, n, 0);
	m->scale = file_floats(w, n, 1);
	m->w = file_take(w, (size_t)n * k, 1);
	m->sums = file_spare(w, n, sizeof *m->sums);
	for (i = 0; !w->bad && i < n; i++)
		if (file_row(m, i, &m->sums[i]) != 0)
			file_bad(w, "%s: row %u: weights that overflow",
			    w->where, i);
}

/* Take a layer. */
static void
file_layer(struct file_work *w, uint32_t i)
{
	struct encoder_layer	*l = &w->e->layer[i];
	uint32_t		 h = w->h.hidden;

	snprintf(w->where, sizeof w->where, "layer %u, attention", i);
	l->in_shift = file_floats(w, h, 0);
	l->in_mul = file_floats(w, h, 1);
	file_matrix(w, &l->qkv, 3 * h, h);
	file_matrix(w, &l->out, h, h);
	snprintf(w->where, sizeof w->where, "layer %u, LayerNorm 1", i);
	l->norm1_gamma = file_floats(w, h, 0);
	l->norm1_beta = file_floats(w, h, 0);
	snprintf(w->where, sizeof w->where, "layer %u, feed-forward", i);
	l->mid_shift = file_floats(w, h, 0);
	l->mid_mul = file_floats(w, h, 1);
	file_matrix(w, &l->up, w->h.ffn[i], h);
	file_matrix(w, &l->down, h, w->h.ffn[i]);
	snprintf(w->where, sizeof w->where, "layer %u, LayerNorm 2", i);
	l->norm2_gamma = file_floats(w, h, 0);
	l->norm2_beta = file_floats(w, h, 0);
}

/* Take the names of the outputs. */
static void
file_names(struct file_work *w)
{
	const char	*s, *end, *nul;
	uint32_t	 i;

	snprintf(w->where, sizeof w->where, "the names of outputs");
	if ((s = file_take(w, w->h.names_len, 1)) == NULL)
		return;
	end = s + w->h.names_len;
	for (i = 0; i < w->h.outputs; i++, s = nul + 1) {
		if ((nul = memchr(s, '\0', (size_t)(end - s))) == NULL ||
		    nul == s || nul - s > 64 ||
		    !utf8_valid(s, (size_t)(nul - s))) {
			file_bad(w, "output %u has no valid name", i);
			return;
		}
		w->e->names[i] = s;
	}
	if (s != end)
		file_bad(w, "more names than outputs");
}

/* Take the vocabulary and the table of emoji. */
static void
file_vocabulary(struct file_work *w)
{
	struct wordpiece	*p = &w->e->words;
	const uint32_t		*row;
	uint32_t		 size = wordpiece_table_size(w->h.vocab), i;
	uint32_t		 bad;

	snprintf(w->where, sizeof w->where, "the vocabulary");
	p->n = w->h.vocab;
	p->text = file_take(w, w->h.vocab_len, 1);
	p->at = file_spare(w, (size_t)p->n + 1, sizeof *p->at);
	p->table = file_spare(w, size, sizeof *p->table);
	p->unknown = w->h.id_unk;
	memset(p->table, 0, size * sizeof *p->table);
	if (p->text != NULL &&
	    (bad = wordpiece_index(p, w->h.vocab_len, size)) != 0)
		file_bad(w, "the vocabulary: token %u is twice there, or "
		    "does not end", bad - 1);
	snprintf(w->where, sizeof w->where, "the table of emoji");
	p->emoji_n = w->h.emoji;
	p->emoji = file_take(w, (size_t)w->h.emoji * 3, sizeof *p->emoji);
	p->emoji_ids = file_take(w, w->h.emoji_ids, sizeof *p->emoji_ids);
	for (i = 0; !w->bad && i < p->emoji_n; i++) {
		row = p->emoji + (size_t)3 * i;
		if (row[1] > w->h.emoji_ids ||
		    row[2] > w->h.emoji_ids - row[1] ||
		    (i > 0 && row[-3] >= row[0]))
			file_bad(w, "emoji %u: out of order or range", i);
	}
	for (i = 0; !w->bad && i < w->h.emoji_ids; i++)
		if (p->emoji_ids[i] >= p->n)
			file_bad(w, "emoji: id %u of %u", p->emoji_ids[i],
			    p->n);
}

/* Take all parts of the file. */
static int
file_parts(struct file_work *w)
{
	struct encoder	*e = w->e;
	uint32_t	 h = w->h.hidden, i;

	w->at = FILE_HEADER;
	file_names(w);
	file_vocabulary(w);
	snprintf(w->where, sizeof w->where, "the head");
	e->head = file_floats(w, (size_t)e->outputs * h, 0);
	e->head_bias = file_floats(w, e->outputs, 0);
	e->head_mul = file_floats(w, e->outputs, 1);
	e->head_shift = file_floats(w, e->outputs, 0);
	snprintf(w->where, sizeof w->where, "the embeddings");
	e->word_scale = file_floats(w, w->h.vocab, 1);
	e->word = file_take(w, (size_t)w->h.vocab * h, 1);
	e->position = file_floats(w, (size_t)w->h.positions * h, 0);
	e->norm_gamma = file_floats(w, h, 0);
	e->norm_beta = file_floats(w, h, 0);
	for (i = 0; i < e->layers; i++)
		file_layer(w, i);
	if (!w->bad && (w->at + FILE_ALIGN - 1) / FILE_ALIGN * FILE_ALIGN !=
	    e->file_size - FILE_DIGEST)
		file_bad(w, "%zu bytes after the last layer",
		    e->file_size - FILE_DIGEST - w->at);
	return (w->bad ? CHAT_EFORMAT : 0);
}

/* Take the work space of a pass. */
static void
file_space(struct file_work *w)
{
	struct encoder	*e = w->e;
	size_t		 h = e->hidden, t = (e->tokens + 15) / 16 * 16;
	size_t		 wide = h, i;

	for (i = 0; i < e->layers; i++)
		wide = e->ffn[i] > wide ? e->ffn[i] : wide;
	e->x = file_spare(w, t * h, sizeof *e->x);
	e->y = file_spare(w, t * h, sizeof *e->y);
	e->qkv = file_spare(w, t * h * 3, sizeof *e->qkv);
	e->mid = file_spare(w, t * wide, sizeof *e->mid);
	e->q8 = file_spare(w, t * wide, sizeof *e->q8);
	e->q8_scale = file_spare(w, t, sizeof *e->q8_scale);
	e->q8_zero = file_spare(w, t, sizeof *e->q8_zero);
	e->keys = file_spare(w, t * (h / e->heads), sizeof *e->keys);
	e->scores = file_spare(w, t * 4, sizeof *e->scores);
}

/* Bytes after the file that file_spare gives out, at most. */
static size_t
file_spare_size(const struct file_header *h)
{
	size_t	 wide = h->hidden, sums = 0, i;
	size_t	 t = ENCODER_TOKENS;

	for (i = 0; i < h->layers; i++) {
		wide = h->ffn[i] > wide ? h->ffn[i] : wide;
		sums += 5 * (size_t)h->hidden + h->ffn[i];
	}
	return ((sums + (size_t)h->vocab + 1 + wordpiece_table_size(h->vocab) +
	    t * (5 * (size_t)h->hidden + 2 * wide + FILE_LANES_MAX + 8)) * 4 +
	    (16 + 4 * (size_t)h->layers) * FILE_ALIGN);
}

/* Compare the digest at the end with the bytes before. */
static int
file_digest(struct file_work *w)
{
	const uint8_t	*want;
	struct sha256	 s;
	char		 hex[SHA256_HEX], byte[3];
	size_t		 n = w->e->file_size - FILE_DIGEST, i;

	sha256_init(&s);
	sha256_add(&s, w->e->file, n);
	sha256_end(&s, hex);
	want = w->e->file + n;
	for (i = 0; i < FILE_DIGEST; i++) {
		snprintf(byte, sizeof byte, "%02x", want[i]);
		if (memcmp(byte, hex + 2 * i, 2) != 0)
			return (file_bad(w, "the digest at its end is not "
			    "that of its bytes"));
	}
	return (0);
}

/* Read n bytes. */
static int
file_read(struct file_work *w, int fd, void *out, size_t n)
{
	uint8_t	*p = out;
	ssize_t	 r;

	while (n > 0) {
		if ((r = read(fd, p, n)) == -1 && errno == EINTR)
			continue;
		if (r == -1)
			return (file_bad(w, "%s", strerror(errno)));
		if (r == 0)
			return (file_bad(w, "ends too early"));
		p += r;
		n -= (size_t)r;
	}
	return (0);
}

/* Read the open file into an encoder. */
static int
file_load(struct file_work *w, int fd)
{
	struct encoder	*e = w->e;
	struct stat	 st;
	size_t		 size, spare;

	if (fstat(fd, &st) == -1)
		return (file_bad(w, "%s", strerror(errno)));
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)FILE_MAX ||
	    st.st_size < FILE_HEADER + FILE_DIGEST)
		return (file_bad(w, "no file of %d bytes to %u MiB",
		    FILE_HEADER + FILE_DIGEST, FILE_MAX >> 20));
	size = (size_t)st.st_size;
	if (file_read(w, fd, &w->h, sizeof w->h) != 0 ||
	    file_header(w, size) != 0)
		return (CHAT_EFORMAT);
	spare = file_spare_size(&w->h);
	if (posix_memalign(&e->block, FILE_ALIGN, size + FILE_ALIGN + spare)
	    != 0) {
		e->block = NULL;
		return (file_bad(w, "no memory for %zu bytes", size + spare));
	}
	e->file = e->block;
	e->file_size = size;
	w->spare = (uint8_t *)e->block + (size + FILE_ALIGN - 1) /
	    FILE_ALIGN * FILE_ALIGN;
	w->spare_end = (uint8_t *)e->block + size + FILE_ALIGN + spare;
	memcpy(e->block, &w->h, sizeof w->h);
	if (file_read(w, fd, (uint8_t *)e->block + sizeof w->h,
	    size - sizeof w->h) != 0 || file_digest(w) != 0)
		return (CHAT_EFORMAT);
	memcpy(e->name, w->h.name, sizeof e->name - 1);
	if (!utf8_valid(e->name, strlen(e->name)))
		return (file_bad(w, "its name is not UTF-8"));
	e->hidden = w->h.hidden;
	e->heads = w->h.heads;
	e->layers = w->h.layers;
	e->positions = w->h.positions;
	e->outputs = w->h.outputs;
	e->eps = w->h.eps;
	e->id_cls = w->h.id_cls;
	e->id_sep = w->h.id_sep;
	e->tokens = e->positions < ENCODER_TOKENS ? e->positions :
	    ENCODER_TOKENS;
	memcpy(e->ffn, w->h.ffn, sizeof e->ffn);
	if (file_parts(w) != 0)
		return (CHAT_EFORMAT);
	file_space(w);
	return (0);
}

/* Read a model file. */
int
encoder_open(const char *path, const char *isa, struct encoder **out,
    struct fault *f)
{
	struct file_work	 w = { .path = path, .f = f };
	const struct encoder_kernels	*k;
	int			 fd, r;

	if ((k = encoder_kernels_find(isa)) == NULL)
		return (fault_set(f, "bad_config", "isa", "isa: \"%.40s\": "
		    "this processor lacks it; expected another one or auto",
		    isa));
	if ((fd = open(path, O_RDONLY|O_CLOEXEC|O_NOCTTY)) == -1)
		return (file_bad(&w, "%s", strerror(errno)));
	w.e = xcalloc(1, sizeof *w.e);
	w.e->kernels = k;
	r = file_load(&w, fd);
	close(fd);
	if (r != 0) {
		encoder_free(w.e);
		return (r);
	}
	*out = w.e;
	return (0);
}

/* Release an encoder. */
void
encoder_free(struct encoder *e)
{
	if (e == NULL)
		return;
	free(e->block);
	free(e);
}
