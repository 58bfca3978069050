/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elements with a stride. Runs of them are read together with the bytes in
 * between, as long as these are few, and the elements are then copied out.
 */
#include "strided.h"

#include <string.h>

#include "dtype.h"

#define STRIDED_BUF	65536	/* bytes read at once */
#define STRIDED_NEAR	4096	/* elements at most this many bytes apart are
				 * read together */

/* The place of elements in a file, and their destination. */
struct strided_run {
	const struct shards	*s;
	size_t			 file;
	uint64_t		 at;		/* byte of the first */
	uint64_t		 step;		/* bytes from one element to the
						 * next */
	uint8_t			*out;
	size_t			 out_step;	/* the same in out */
	size_t			 size;		/* bytes of one element */
	int64_t			 n;
};

/* Read a run. */
static int
strided_run(const struct strided_run *x, struct fault *f)
{
	uint8_t	 buf[STRIDED_BUF];
	int64_t	 i, k, n, most = 1;
	int	 r;

	if (x->step <= STRIDED_NEAR)
		most = STRIDED_BUF / (int64_t)(x->step > x->size ? x->step :
		    x->size);
	for (i = 0; i < x->n; i += n) {
		n = x->n - i < most ? x->n - i : most;
		if ((r = shards_read(x->s, x->file, x->at + (uint64_t)i *
		    x->step, buf, (size_t)(n - 1) * x->step + x->size,
		    f)) != 0)
			return (r);
		for (k = 0; k < n; k++)
			memcpy(x->out + (size_t)(i + k) * x->out_step, buf +
			    (size_t)k * x->step, x->size);
	}
	return (0);
}

/* Read rows. Runs follow the dimension of the smaller stride. */
int
strided_read(const struct shards *s, const struct shard_tensor *t,
    int64_t first, int64_t rows, int64_t cols, uint8_t *out, struct fault *f)
{
	const struct st_tensor	*st = t->st;
	const size_t		 size = dtype_block_size(st->dtype);
	const uint64_t		 down = (uint64_t)st->stride[0] * size;
	const uint64_t		 right = st->dims < 2 ? 0 :
				    (uint64_t)st->stride[1] * size;
	const int		 by_row = cols > 1 && (rows == 1 ||
				    right <= down);
	struct strided_run	 x = { .s = s, .file = t->file, .size = size };
	int64_t			 i;
	int			 r = 0;

	x.n = by_row ? cols : rows;
	x.step = by_row ? right : down;
	x.out_step = by_row ? size : (size_t)cols * size;
	for (i = 0; i < (by_row ? rows : cols) && r == 0; i++) {
		x.at = t->at + (uint64_t)first * down + (uint64_t)i * (by_row ?
		    down : right);
		x.out = out + (size_t)i * (by_row ? (size_t)cols * size :
		    size);
		r = strided_run(&x, f);
	}
	return (r);
}
