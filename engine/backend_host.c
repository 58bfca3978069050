/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of the engine that a backend may call: fills the table of
 * backend.h.
 */
#include "backend.h"

#include <math.h>
#include <string.h>

#include "dtype.h"
#include "log.h"
#include "meminfo.h"
#include "model.h"
#include "packed.h"
#include "packed_write.h"
#include "pool.h"

/* Widen one row, and refuse NaN and infinity. */
static int
backend_host_widen(const struct model_slice *s, int64_t i, float *out,
    struct fault *f)
{
	int64_t	 k;

	dtype_to_f32(s->dtype, s->bytes + (size_t)i * s->row_bytes, out,
	    (size_t)s->cols);
	for (k = 0; k < s->cols; k++)
		if (!isfinite(out[k]))
			return (model_not_finite(s, i, k, out[k], "", f));
	return (0);
}

/* The precision of a packed file. */
static const char *
backend_host_packed_precision(const struct model *m)
{
	const struct packed	*p = model_packed(m);

	return (p != NULL ? p->precision : NULL);
}

/* A tensor of a packed file. */
static int
backend_host_packed_find(const struct model *m, const char *name,
    struct packed_tensor *out)
{
	const struct packed	*p = model_packed(m);
	const struct st_tensor	*t;

	if (p == NULL || (t = packed_find(p, name)) == NULL)
		return (CHAT_ENOTFOUND);
	*out = (struct packed_tensor){ .name = t->name,
		.dtype = t->dtype_name, .dims = t->dims, .begin = t->begin,
		.end = t->end };
	memcpy(out->shape, t->shape, sizeof out->shape);
	return (0);
}

/* Bytes of a packed file. */
static int
backend_host_packed_read(const struct model *m, uint64_t at, size_t n,
    void *out, struct fault *f)
{
	const struct packed	*p = model_packed(m);

	if (p == NULL)
		return (fault_set(f, "bad_model", NULL, "%s: expected a packed "
		    "file, found %s", model_path(m), model_format(m)));
	return (packed_read(p, out, n, at, f));
}

const struct backend_host backend_host = {
	.version = BACKEND_VERSION,
	.size = sizeof backend_host,
	.config = model_config,
	.path = model_path,
	.parameters = model_parameters,
	.bytes = model_bytes,
	.bytes_read = model_bytes_read,
	.is_synth = model_is_synth,
	.stream = model_stream,
	.widen = backend_host_widen,
	.row = model_row,
	.packed_precision = backend_host_packed_precision,
	.packed_find = backend_host_packed_find,
	.packed_read = backend_host_packed_read,
	.packed_write = packed_write,
	.fault = fault_set,
	.warn = log_warnx,
	.info = log_info,
	.debug = log_debug,
	.pool_new = pool_new,
	.pool_free = pool_free,
	.pool_size = pool_size,
	.pool_run = pool_run,
	.memory_free = meminfo_free
};
