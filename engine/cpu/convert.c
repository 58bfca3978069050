/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversion, a slice of rows at a time: each row is widened to fp32 in a
 * thread's own buffer, checked, and put into its column of a panel.
 */
#include "convert.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtype.h"
#include "layout_index.h"
#include "quant.h"
#include "weights_random.h"
#include "xmalloc.h"

#define CONVERT_ROWS	16	/* rows in one piece of work */

/* A thread's buffers, for one row. */
struct convert_room {
	float		*row;		/* owned: [K] */
	uint8_t		*u;		/* owned: [ROUND_UP(K, 64)] */
	int8_t		*q;		/* owned: [ROUND_UP(K, 64)] */
	uint16_t	*scale;		/* owned: [ROUND_UP(K, 64) / GROUP] */
};

struct convert {
	struct model			*model;
	const struct layout		*l;
	uint8_t				*base;
	struct pool			*pool;
	const struct backend_options	*opt;
	struct convert_room		*room;	/* owned: one per thread */
	/* the tensor that is being converted, and its slice */
	const struct piece		*piece, *scales;
	const struct model_slice	*slice;
	_Atomic int64_t			 bad;	/* first row with a number
						 * that is not finite */
};

static int	convert_slice(void *, const struct model_slice *,
		    struct fault *);
static void	convert_piece(void *, int, int);
static int	convert_row(struct convert *, int64_t, struct convert_room *);
static int	convert_bad(struct convert *, int64_t, struct fault *);

/* Buffers for the longest row. */
static void
convert_rooms(struct convert *c, int threads)
{
	const struct model_config *mc = &c->l->config;
	const size_t	 K = ROUND_UP((size_t)(mc->inner > mc->channels ?
			    mc->inner : mc->channels), 64);
	int		 i;

	c->room = xcalloc((size_t)threads, sizeof *c->room);
	for (i = 0; i < threads; i++) {
		c->room[i].row = xcalloc(K, sizeof(float));
		c->room[i].u = xcalloc(K, 1);
		c->room[i].q = xcalloc(K, 1);
		c->room[i].scale = xcalloc(K / GROUP, sizeof(uint16_t));
	}
}

/* Report the bytes read so far. */
static void
convert_progress(const struct convert *c)
{
	if (c->opt->progress != NULL)
		c->opt->progress(c->opt->progress_arg,
		    model_bytes_read(c->model), model_bytes(c->model));
}

/* Convert a model. */
int
convert_model(struct model *m, const struct layout *l, void *base,
    struct pool *pool, const struct backend_options *opt, struct fault *f)
{
	struct convert	 c = { .model = m, .l = l, .base = base, .pool = pool,
		.opt = opt };
	int		 threads = pool_size(pool), i, r;
	uint64_t	 seed;

	if (model_is_synth(m, &seed)) {
		weights_random_fill(l, base, seed, pool);
		return (0);
	}
	convert_rooms(&c, threads);
	convert_progress(&c);
	if (opt->stream != NULL)
		r = opt->stream(opt->stream_arg, m, convert_slice, &c, f);
	else
		r = model_stream(m, convert_slice, &c, f);
	if (r == 0)
		convert_progress(&c);
	for (i = 0; i < threads; i++) {
		free(c.room[i].row);
		free(c.room[i].u);
		free(c.room[i].q);
		free(c.room[i].scale);
	}
	free(c.room);
	return (r);
}

/* Convert one slice. */
static int
convert_slice(void *arg, const struct model_slice *s, struct fault *f)
{
	struct convert	*c = arg;

	c->slice = s;
	if ((c->piece = layout_find(c->l, s->part, s->layer, 0)) == NULL) {
		convert_progress(c);	/* of another stage */
		return (0);
	}
	c->scales = layout_find(c->l, s->part, s->layer, 1);
	atomic_store(&c->bad, INT64_MAX);
	pool_run(c->pool, (int)((s->count + CONVERT_ROWS - 1) / CONVERT_ROWS),
	    convert_piece, c);
	convert_progress(c);
	if (atomic_load(&c->bad) < INT64_MAX)
		return (convert_bad(c, atomic_load(&c->bad), f));
	return (0);
}

/* Convert some rows of a slice. */
static void
convert_piece(void *arg, int item, int thread)
{
	struct convert	*c = arg;
	int64_t		 i = (int64_t)item * CONVERT_ROWS, end, old;

	end = i + CONVERT_ROWS < c->slice->count ? i + CONVERT_ROWS :
	    c->slice->count;
	for (; i < end; i++) {
		if (convert_row(c, i, &c->room[thread]))
			continue;
		for (old = atomic_load(&c->bad); i < old &&
		    !atomic_compare_exchange_weak(&c->bad, &old, i); )
			;
	}
}

/* Is x finite, and can this precision hold it? */
static int
convert_fits(const struct convert *c, float x)
{
	if (c->piece->elem == ELEM_BF16)
		return ((dtype_bf16(x) & 0x7f80) != 0x7f80);
	if (c->piece->elem == ELEM_I4)
		return (fabsf(x) <= QUANT_INT4_MAX);
	return (isfinite(x));
}

/* Widen row i of the slice to fp32. */
static void
convert_widen(const struct model_slice *s, int64_t i, float *row)
{
	dtype_to_f32(s->dtype, s->bytes + (size_t)i * s->row_bytes, row,
	    (size_t)s->cols);
}

/* Report which number of row i is bad. */
static int
convert_bad(struct convert *c, int64_t i, struct fault *f)
{
	const struct model_slice *s = c->slice;
	const float		*row = c->room[0].row;
	int64_t			 k = 0;

	convert_widen(s, i, c->room[0].row);
	while (k + 1 < s->cols && convert_fits(c, row[k]))
		k++;
	return (model_not_finite(s, i, k, row[k], !isfinite(row[k]) ? "" :
	    c->piece->elem == ELEM_BF16 ? ", too large for bf16" :
	    ", too large for int4", f));
}

/* Pad the row in room after column K with zeros. The room may still hold a
 * longer row. */
static void
convert_fill(enum elem elem, struct convert_room *room, int64_t K)
{
	const int64_t	 Kp = layout_columns(elem, (int)K);
	int64_t		 g;

	memset(room->u + K, elem == ELEM_I8 ? 128 : 8, (size_t)(Kp - K));
	for (g = (K + GROUP - 1) / GROUP; g < Kp / GROUP; g++)
		room->scale[g] = 0;
}

/* Put a row of int8 or int4 with its scales into its column. */
static void
convert_put_quantized(const struct convert *c, int64_t n, int64_t K,
    const struct convert_room *room, float scale)
{
	const int64_t	 Kp = layout_columns(c->piece->elem, (int)K);
	uint8_t		*u = c->base + c->piece->at, *b;
	uint8_t		*s = c->base + c->scales->at;
	const enum elem	 elem = c->piece->elem;
	int64_t		 k;

	if (elem == ELEM_I8) {
		for (k = 0; k < Kp; k++)
			u[layout_index(ELEM_I8, (size_t)Kp, (size_t)n,
			    (size_t)k)] = room->u[k];
		memcpy(s + layout_scale(elem, (size_t)Kp, (size_t)n, 0) *
		    sizeof scale, &scale, sizeof scale);
		return;
	}
	for (k = 0; k < Kp; k++) {
		b = &u[layout_index(ELEM_I4, (size_t)Kp, (size_t)n,
		    (size_t)k)];
		if (layout_shift((size_t)k) == 0)
			*b = room->u[k];
		else
			*b |= (uint8_t)(room->u[k] << 4);
	}
	for (k = 0; k < Kp; k += GROUP)
		memcpy(s + layout_scale(elem, (size_t)Kp, (size_t)n,
		    (size_t)k) * sizeof(uint16_t), &room->scale[k / GROUP],
		    sizeof(uint16_t));
}

/* Put a row of fp32 or bf16 into its column, or an element of a vector. */
static void
convert_put(const struct convert *c, int64_t n, int64_t K, const float *row)
{
	uint8_t		*at = c->base + c->piece->at;
	float		*s = (float *)(void *)at;
	uint16_t	*h = (uint16_t *)(void *)at;
	int64_t		 k;

	if (c->piece->dims == 1)
		s[n] = row[0];
	else if (c->piece->elem == ELEM_BF16)
		for (k = 0; k < K; k++)
			h[layout_index(ELEM_BF16, (size_t)K, (size_t)n,
			    (size_t)k)] = dtype_bf16(row[k]);
	else
		for (k = 0; k < K; k++)
			s[layout_index(ELEM_F32, (size_t)K, (size_t)n,
			    (size_t)k)] = row[k];
}

/* Convert row i of the slice. Returns 1, or 0 if a number in it is bad. */
static int
convert_row(struct convert *c, int64_t i, struct convert_room *room)
{
	const struct model_slice *s = c->slice;
	const int64_t	 K = s->cols, n = model_row(c->model, s, s->first + i);
	float		 scale = 0;
	int64_t		 k;

	convert_widen(s, i, room->row);
	for (k = 0; k < K; k++)
		if (!convert_fits(c, room->row[k]))
			return (0);
	if (c->scales == NULL) {
		convert_put(c, n, K, room->row);
		return (1);
	}
	if (c->piece->elem == ELEM_I8)
		quant_int8(room->row, (int)K, room->u, &scale);
	else if (s->dtype == DTYPE_Q4_0) {
		dtype_q4_0(s->bytes + (size_t)i * s->row_bytes, room->q,
		    room->scale, (size_t)K);
		for (k = 0; k < K; k++)
			room->u[k] = (uint8_t)(room->q[k] + 8);
	} else
		quant_int4(room->row, (int)K, room->u, room->scale);
	convert_fill(c->piece->elem, room, K);
	convert_put_quantized(c, n, K, room, scale);
	return (1);
}
