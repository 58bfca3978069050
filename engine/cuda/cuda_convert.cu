/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversion, a slice of rows at a time: each row is widened to fp32 in a
 * thread's own buffer, checked, rounded, and put into its place in each piece
 * that is made of it.
 */
#include "cuda_convert.h"

#include <atomic>

#include <math.h>
#include <stdlib.h>
#include <string.h>

extern "C" {
#include "dtype.h"
#include "quant.h"
}

#define CONVERT_ROWS	16	/* rows in one piece of work */
#define CONVERT_MAX	3	/* pieces made of the same rows */
#define CONVERT_SPREAD	0.035f	/* of random weights: deviation 0.02 */

/* A thread's buffers, for one row. */
struct convert_room {
	float		*row;		/* owned: [K] */
	uint8_t		*u;		/* owned: [K padded] */
	int8_t		*q;		/* owned: [K padded] */
	uint16_t	*scale;		/* owned: [K padded / GROUP] */
};

/* A piece that is being filled. */
struct convert_open {
	const struct cuda_piece	*piece;
	uint8_t			*bytes;	/* borrowed from the sink */
};

struct convert {
	const struct backend_host	*h;
	struct model			*m;
	const struct cuda_pieces	*p;
	const struct backend_options	*opt;
	const struct cuda_sink		*sink;
	struct pool			*pool;	/* owned */
	struct convert_room		*room;	/* owned: one per thread */
	int				 threads;
	struct convert_open		 open[CONVERT_MAX];
	int				 nopen;
	const struct model_slice	*slice;
	std::atomic<int64_t>		 bad;	/* first row that is refused */
};

/* Zeroed memory, or the end of the process. */
static void *
convert_alloc(size_t n, size_t size)
{
	void	*p = calloc(n > 0 ? n : 1, size);

	if (p == NULL)
		abort();
	return (p);
}

/* Buffers for the longest row. */
static void
convert_rooms(struct convert *c)
{
	const struct model_config *mc = &c->p->config;
	const int	 K = layout_pad(mc->inner > 3 * mc->channels ?
			    mc->inner : 3 * mc->channels, LAYOUT_K);
	int		 i;

	c->pool = c->h->pool_new(c->opt->threads);
	c->threads = c->h->pool_size(c->pool);
	c->room = (struct convert_room *)convert_alloc((size_t)c->threads,
	    sizeof *c->room);
	for (i = 0; i < c->threads; i++) {
		c->room[i].row = (float *)convert_alloc((size_t)K,
		    sizeof(float));
		c->room[i].u = (uint8_t *)convert_alloc((size_t)K, 1);
		c->room[i].q = (int8_t *)convert_alloc((size_t)K, 1);
		c->room[i].scale = (uint16_t *)convert_alloc(
		    (size_t)(K / GROUP), sizeof(uint16_t));
	}
}

/* Release them. */
static void
convert_rooms_free(struct convert *c)
{
	int	 i;

	for (i = 0; i < c->threads; i++) {
		free(c->room[i].row);
		free(c->room[i].u);
		free(c->room[i].q);
		free(c->room[i].scale);
	}
	free(c->room);
	c->h->pool_free(c->pool);
}

/* Begin a piece, if the model has it. */
static void
convert_begin(struct convert *c, enum tensor part, int layer,
    enum piece_kind kind)
{
	const struct cuda_piece	*q = cuda_pieces_find(c->p, part, layer, kind);
	struct convert_open	*o;

	if (q == NULL)
		return;
	o = &c->open[c->nopen++];
	o->piece = q;
	o->bytes = c->sink->begin(c->sink->arg, q);
	/* Padding is zero: 128 is zero in int8; a group of int4 is, if its
	 * scale is. */
	memset(o->bytes, kind == PIECE_MATRIX && c->p->elem == CUDA_I8 ? 128 :
	    0, q->size);
}

/* Begin what is made of a tensor. */
static void
convert_begin_all(struct convert *c, enum tensor part, int layer)
{
	int	 kind;

	c->nopen = 0;
	for (kind = PIECE_MATRIX; kind <= PIECE_VECTOR; kind++)
		convert_begin(c, part, layer, (enum piece_kind)kind);
	if (part != TENSOR_EMBED)
		return;
	convert_begin(c, part, layer, PIECE_TABLE);
	if (!c->p->config.tied)
		return;
	convert_begin(c, TENSOR_HEAD, layer, PIECE_MATRIX);
	convert_begin(c, TENSOR_HEAD, layer, PIECE_SCALES);
}

/* End what was begun. */
static int
convert_end_all(struct convert *c, struct fault *f)
{
	int	 i, r = 0;

	for (i = 0; i < c->nopen && r == 0; i++)
		r = c->sink->done(c->sink->arg, c->open[i].piece,
		    c->open[i].bytes, f);
	c->nopen = 0;
	return (r);
}

/* x in the type of the activations. */
static uint16_t
convert_half(const struct convert *c, float x)
{
	return (c->p->act == CUDA_BF16 ? dtype_bf16(x) : dtype_f16(x));
}

/* Can each piece that is made of x hold it? */
static int
convert_fits(const struct convert *c, enum piece_kind kind, float x)
{
	const uint16_t	 inf = c->p->act == CUDA_BF16 ? 0x7f80 : 0x7c00;

	if (kind == PIECE_VECTOR || (kind == PIECE_MATRIX &&
	    c->p->elem == CUDA_I8))
		return (isfinite(x));
	if (kind == PIECE_MATRIX && c->p->elem == CUDA_I4)
		return (fabsf(x) <= QUANT_INT4_MAX);
	return ((convert_half(c, x) & inf) != inf);
}

/* Put a row of 16-bit floats into a matrix. */
static void
convert_put_half(const struct convert *c, uint8_t *to, int n, int K,
    const float *row)
{
	const int	 Kp = layout_pad(K, LAYOUT_K);
	uint16_t	 h;
	int		 k;

	for (k = 0; k < K; k++) {
		h = convert_half(c, row[k]);
		memcpy(to + layout_weight(c->p->elem, n, k, Kp), &h, sizeof h);
	}
}

/* Put a row of int4 with its scales into a matrix. */
static void
convert_put_int4(uint8_t *to, int n, int K, const struct convert_room *room)
{
	const int	 Kp = layout_pad(K, LAYOUT_K);
	int		 k;

	for (k = 0; k < layout_pad(K, GROUP); k++)
		to[layout_weight(CUDA_I4, n, k, Kp)] |= (uint8_t)
		    (room->u[k] << layout_nibble(n, k));
	for (k = 0; k < K; k += GROUP)
		memcpy(to + layout_scale(n, k, Kp), &room->scale[k / GROUP],
		    sizeof(uint16_t));
}

/* Round a row to int4; a row that is in these terms already is kept. */
static void
convert_int4(const struct model_slice *s, int64_t i,
    const struct convert_room *room)
{
	int64_t	 k;

	if (s->dtype != DTYPE_Q4_0) {
		quant_int4(room->row, (int)s->cols, room->u, room->scale);
		return;
	}
	dtype_q4_0(s->bytes + (size_t)i * s->row_bytes, room->q, room->scale,
	    (size_t)s->cols);
	for (k = 0; k < s->cols; k++)
		room->u[k] = (uint8_t)(room->q[k] + 8);
}

/* Put row i of the slice into one piece. */
static void
convert_put(struct convert *c, const struct convert_open *o, int64_t i, int n,
    struct convert_room *room)
{
	const int	 K = (int)c->slice->cols, Kp = layout_pad(K, LAYOUT_K);
	uint16_t	 h;
	float		 scale;
	int		 k;

	switch (o->piece->kind) {
	case PIECE_VECTOR:
		memcpy(o->bytes + (size_t)n * sizeof(float), room->row,
		    sizeof(float));
		return;
	case PIECE_TABLE:
		for (k = 0; k < K; k++) {
			h = convert_half(c, room->row[k]);
			memcpy(o->bytes + ((size_t)n * (size_t)K + (size_t)k) *
			    2, &h, sizeof h);
		}
		return;
	case PIECE_SCALES:
		quant_int8(room->row, K, room->u, &scale);
		memcpy(o->bytes + (size_t)n * sizeof scale, &scale,
		    sizeof scale);
		return;
	case PIECE_MATRIX:
		break;
	}
	if (c->p->elem == CUDA_I8) {
		quant_int8(room->row, K, room->u, &scale);
		for (k = 0; k < K; k++)
			o->bytes[layout_weight(CUDA_I8, n, k, Kp)] =
			    room->u[k];
	} else if (c->p->elem == CUDA_I4) {
		convert_int4(c->slice, i, room);
		convert_put_int4(o->bytes, n, K, room);
	} else
		convert_put_half(c, o->bytes, n, K, room->row);
}

/* The first column of room's row that a piece can't hold; -1: none. */
static int64_t
convert_refused(const struct convert *c, const struct convert_room *room)
{
	int64_t	 k;
	int	 j;

	for (j = 0; j < c->nopen; j++)
		for (k = 0; k < c->slice->cols; k++)
			if (!convert_fits(c, c->open[j].piece->kind,
			    room->row[k]))
				return (k);
	return (-1);
}

/* Some rows of a slice. */
static void
convert_piece(void *arg, int item, int thread)
{
	struct convert		*c = (struct convert *)arg;
	struct convert_room	*room = &c->room[thread];
	const struct model_slice *s = c->slice;
	int64_t			 i = (int64_t)item * CONVERT_ROWS, end, old;
	int			 j, n;

	end = i + CONVERT_ROWS < s->count ? i + CONVERT_ROWS : s->count;
	for (; i < end; i++) {
		if (c->h->widen(s, i, room->row, NULL) != 0 ||
		    convert_refused(c, room) != -1) {
			for (old = c->bad.load(); i < old &&
			    !c->bad.compare_exchange_weak(old, i); )
				;
			return;
		}
		n = (int)c->h->row(c->m, s, s->first + i);
		for (j = 0; j < c->nopen; j++)
			convert_put(c, &c->open[j], i, n, room);
	}
}

/* Say which number of row i is refused. */
static int
convert_bad(struct convert *c, int64_t i, struct fault *f)
{
	const struct model_slice *s = c->slice;
	int64_t			 k;
	int			 r;

	if ((r = c->h->widen(s, i, c->room[0].row, f)) != 0)
		return (r);
	k = convert_refused(c, &c->room[0]);
	return (c->h->fault(f, "bad_model", NULL, "%s: %s: expected numbers "
	    "that %s can hold, found %g in row %lld, column %lld", s->path,
	    s->name, cuda_precision_names[c->p->precision],
	    (double)c->room[0].row[k], (long long)(s->first + i),
	    (long long)k));
}

/* Report how far we are. */
static void
convert_progress(const struct convert *c)
{
	if (c->opt->progress != NULL)
		c->opt->progress(c->opt->progress_arg,
		    c->h->bytes_read(c->m), c->h->bytes(c->m));
}

/* One slice. */
static int
convert_slice(void *arg, const struct model_slice *s, struct fault *f)
{
	struct convert	*c = (struct convert *)arg;

	if (s->first == 0)
		convert_begin_all(c, s->part, s->layer);
	if (c->nopen == 0) {	/* of another stage */
		convert_progress(c);
		return (0);
	}
	c->slice = s;
	c->bad.store(INT64_MAX);
	c->h->pool_run(c->pool, (int)((s->count + CONVERT_ROWS - 1) /
	    CONVERT_ROWS), convert_piece, c);
	convert_progress(c);
	if (c->bad.load() < INT64_MAX)
		return (convert_bad(c, c->bad.load(), f));
	if (s->first + s->count < s->rows)
		return (0);
	return (convert_end_all(c, f));
}

/* The next 64 bits: SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t
convert_next(uint64_t *state)
{
	uint64_t	 z = *state += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return (z ^ z >> 31);
}

/* Random 16-bit floats. */
static void
convert_random_half(const struct convert *c, uint8_t *to, size_t n,
    uint64_t *state)
{
	uint64_t	 bits = 0;
	uint16_t	 h;
	size_t		 i;

	for (i = 0; i < n / 2; i++) {
		bits = i % 4 == 0 ? convert_next(state) : bits >> 16;
		h = convert_half(c, ((float)(bits & 0xffff) - 32767.5f) *
		    (CONVERT_SPREAD / 32768));
		memcpy(to + 2 * i, &h, sizeof h);
	}
}

/* A random matrix: numbers without padding rules, since what pads K meets
 * activations that are zero. */
static void
convert_random_matrix(const struct convert *c, const struct cuda_piece *q,
    uint8_t *to, uint64_t *state)
{
	const size_t	 n = layout_matrix(c->p->elem, q->N, q->K);
	const uint16_t	 half = dtype_f16(CONVERT_SPREAD / 8);
	uint64_t	 bits;
	size_t		 i, j;

	if (c->p->elem == CUDA_F16 || c->p->elem == CUDA_BF16) {
		convert_random_half(c, to, n, state);
		return;
	}
	for (i = 0; i < n; i += 8) {
		bits = convert_next(state);
		memcpy(to + i, &bits, 8);
	}
	if (c->p->elem != CUDA_I4)
		return;
	for (i = 512; i < n; i += (size_t)layout_tile(CUDA_I4))
		for (j = 0; j < 64; j += 2)
			memcpy(to + i + j, &half, sizeof half);
}

/* A random piece. */
static void
convert_random_piece(const struct convert *c, const struct cuda_piece *q,
    uint8_t *to, uint64_t state)
{
	float	 x = 0;
	size_t	 i;

	if (q->kind == PIECE_MATRIX) {
		convert_random_matrix(c, q, to, &state);
		return;
	}
	if (q->kind == PIECE_TABLE) {
		convert_random_half(c, to, (size_t)q->N * (size_t)q->K * 2,
		    &state);
		return;
	}
	if (q->kind == PIECE_SCALES)
		x = CONVERT_SPREAD / 127;
	else if (q->part == TENSOR_NORM1 || q->part == TENSOR_NORM2 ||
	    q->part == TENSOR_NORM)
		x = 1;
	for (i = 0; i < q->size / sizeof x; i++)
		memcpy(to + i * sizeof x, &x, sizeof x);
}

/* All pieces of a random model. */
static int
convert_random(struct convert *c, uint64_t seed, struct fault *f)
{
	const struct cuda_piece	*q;
	uint8_t			*bytes;
	int			 i, r = 0;

	for (i = 0; i < c->p->n && r == 0; i++) {
		q = &c->p->list[i];
		bytes = c->sink->begin(c->sink->arg, q);
		convert_random_piece(c, q, bytes, seed + q->whole *
		    0x9e3779b97f4a7c15U);
		r = c->sink->done(c->sink->arg, q, bytes, f);
	}
	return (r);
}

/* Convert a model. */
int
cuda_convert(const struct backend_host *h, struct model *m,
    const struct cuda_pieces *p, const struct backend_options *opt,
    const struct cuda_sink *sink, struct fault *f)
{
	struct convert	 c = {};
	uint64_t	 seed;
	int		 r;

	c.h = h;
	c.m = m;
	c.p = p;
	c.opt = opt;
	c.sink = sink;
	if (h->is_synth(m, &seed))
		return (convert_random(&c, seed, f));
	convert_rooms(&c);
	convert_progress(&c);
	r = opt->stream != NULL ? opt->stream(opt->stream_arg, m,
	    convert_slice, &c, f) : h->stream(m, convert_slice, &c, f);
	if (r == 0)
		convert_progress(&c);
	convert_rooms_free(&c);
	return (r);
}
