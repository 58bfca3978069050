/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU's part of a packed file: its tensors are the pieces of the layout.
 */
#include "cpu_pack.h"

#include <stdlib.h>
#include <string.h>

#include "convert.h"
#include "cpu.h"
#include "layout.h"
#include "packed_write.h"
#include "pool.h"
#include "xmalloc.h"

struct pack {
	struct model			*model;
	const struct backend_options	*opt;
	struct layout			 layout;
	struct packed_tensor		*tensors;	/* owned */
	char				(*names)[TENSOR_NAME_MAX]; /* owned */
};

/* List the pieces as tensors. */
static void
cpu_pack_plan(struct pack *p)
{
	struct packed_tensor	*t;
	const struct piece	*q;
	size_t			 i;

	p->tensors = xcalloc(p->layout.n, sizeof *p->tensors);
	p->names = xcalloc(p->layout.n, sizeof *p->names);
	for (i = 0; i < p->layout.n; i++) {
		q = &p->layout.pieces[i];
		layout_name(q, p->names[i]);
		t = &p->tensors[i];
		t->name = p->names[i];
		t->dtype = q->dtype;
		t->dims = q->dims;
		memcpy(t->shape, q->shape, sizeof q->shape);
		t->begin = q->at;
		t->end = q->at + q->size;
	}
}

/* Convert the weights into the file. */
static int
cpu_pack_fill(void *arg, uint8_t *data, struct fault *f)
{
	struct pack	*p = arg;
	struct pool	*pool = pool_new(p->opt->threads);
	int		 r;

	r = convert_model(p->model, &p->layout, data, pool, p->opt, f);
	pool_free(pool);
	return (r);
}

/* Write a packed file. */
int
cpu_pack_write(struct model *m, const void *tables, size_t n, const char *out,
    const struct backend_options *opt, struct fault *f)
{
	struct pack		 p = { .model = m, .opt = opt };
	struct packed_job	 job;
	enum precision		 precision;
	int			 r;

	if ((r = cpu_precision(m, opt->precision, &precision, f)) != 0)
		return (r);
	layout_init(&p.layout, model_config(m), precision);
	cpu_pack_plan(&p);
	job = (struct packed_job){ .model = m, .out = out,
		.layout = CPU_LAYOUT, .precision = precision_name(precision),
		.tables = tables, .ntables = n, .tensors = p.tensors,
		.n = p.layout.n, .fill = cpu_pack_fill, .arg = &p };
	r = packed_write(&job, f);
	layout_clear(&p.layout);
	free(p.tensors);
	free(p.names);
	return (r);
}
