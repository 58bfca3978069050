/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adapters: their panels, and adding them to products.
 */
#include "adapt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "layout_index.h"
#include "xmalloc.h"

#define ADAPT_RUN	16	/* rows of a piece, at most */
#define ADAPT_PANELS	32	/* panels of a piece, at most */
#define ADAPT_JOBS	2	/* products in one adapt_add, at most */

/* The panels of one matrix; a is NULL if the adapter does not change it. */
struct adapt_pair {
	const float	*a, *b;
	int		 N, K;
};

struct adapt_adapter {
	int			 rank;
	unsigned		 targets;
	struct adapt_pair	*pair;		/* owned: [layers][targets] */
	float			*memory;	/* owned */
};

/* Rows of one adapter that follow each other in a step. */
struct adapt_run {
	int	 adapter;	/* index in adapt.adapter */
	int	 first, rows;
};

struct adapt {
	struct adapt_adapter	*adapter;	/* owned: [n] */
	int			 n;
	size_t			 ldz;		/* floats from row to row */
	float			*z;		/* owned: [ADAPT_JOBS][size]
						 * [ldz] */
	struct adapt_run		*run;		/* owned: [size] */
	int			 size;		/* rows there is room for */
	int			 runs;
	/* the products in progress */
	const struct kernels	*kernels;
	int			 layer;
	const struct adapt_job	*job;
	int			 chunks;	/* pieces of a run */
	int			 from;		/* the first job of this pass */
};

/* Floats of the panels of A, and of those of B. */
static size_t
adapt_floats_a(int rank, int K)
{
	return (ROUND_UP((size_t)rank, PANEL) * (size_t)K);
}

static size_t
adapt_floats_b(int rank, int N)
{
	return (ROUND_UP((size_t)N, PANEL) * ROUND_UP((size_t)rank, 2));
}

/* Floats of an adapter in these layers. */
static size_t
adapt_floats(const struct adapter *a, int first, int end)
{
	const struct adapter_pair *p;
	size_t			 n = 0;
	int			 l, t;

	for (l = first; l < end; l++)
		for (t = 0; t < ADAPTER_TARGETS; t++) {
			if ((a->targets >> t & 1) == 0)
				continue;
			p = adapter_pair(a, l, (enum adapter_target)t);
			n += adapt_floats_a(a->rank, p->K) +
			    adapt_floats_b(a->rank, p->N);
		}
	return (n);
}

/* The floats of a row of z: the largest rank, as panels write it. */
static size_t
adapt_width(const struct adapter *const *list, int n)
{
	size_t	 width = 0, w;
	int	 i;

	for (i = 0; i < n; i++) {
		w = ROUND_UP((size_t)list[i]->rank, PANEL);
		if (w > width)
			width = w;
	}
	return (width);
}

/* The bytes. */
int64_t
adapt_bytes(const struct adapter *const *list, int n, int first, int end,
    int rows)
{
	size_t	 floats = ADAPT_JOBS * (size_t)rows * adapt_width(list, n);
	int	 i;

	for (i = 0; i < n; i++)
		floats += adapt_floats(list[i], first, end);
	return ((int64_t)(floats * sizeof(float)));
}

/* Write the panels of one pair to *at, and advance it. */
static void
adapt_panels(const struct adapter *a, const struct adapter_pair *p,
    struct adapt_pair *out, float **at)
{
	const size_t	 r = (size_t)a->rank, K = (size_t)p->K;
	const size_t	 even = ROUND_UP(r, 2);
	size_t		 i, k;
	float		*to = *at;

	*out = (struct adapt_pair){ .a = to, .N = p->N, .K = p->K };
	for (i = 0; i < r; i++)
		for (k = 0; k < K; k++)
			to[layout_index(ELEM_F32, K, i, k)] =
			    p->a[i * K + k];
	to += adapt_floats_a(a->rank, p->K);
	out->b = to;
	for (i = 0; i < (size_t)p->N; i++)
		for (k = 0; k < r; k++)
			to[layout_index(ELEM_F32, even, i, k)] = a->scale *
			    p->b[i * r + k];
	*at = to + adapt_floats_b(a->rank, p->N);
}

/* Copy one adapter. */
static int
adapt_copy(const struct adapter *a, int first, int end,
    struct adapt_adapter *out, struct fault *f)
{
	const size_t	 n = adapt_floats(a, first, end);
	float		*at;
	void		*p;
	int		 l, t;

	out->rank = a->rank;
	out->targets = a->targets;
	out->pair = xcalloc((size_t)(end - first) * ADAPTER_TARGETS,
	    sizeof *out->pair);
	if (posix_memalign(&p, 64, n * sizeof(float)) != 0) {
		fault_set(f, "no_memory", NULL, "%s: no memory for the "
		    "adapter", a->path);
		return (CHAT_ENOMEM);
	}
	out->memory = at = memset(p, 0, n * sizeof(float));
	for (l = first; l < end; l++)
		for (t = 0; t < ADAPTER_TARGETS; t++)
			if ((a->targets >> t & 1) != 0)
				adapt_panels(a, adapter_pair(a, l,
				    (enum adapter_target)t),
				    &out->pair[(l - first) * ADAPTER_TARGETS +
				    t], &at);
	return (0);
}

/* Copy all. */
int
adapt_new(const struct adapter *const *list, int n, int first, int end,
    struct adapt **out, struct fault *f)
{
	struct adapt	*l;
	int		 i, r = 0;

	*out = NULL;
	if (n == 0)
		return (0);
	l = xcalloc(1, sizeof *l);
	l->adapter = xcalloc((size_t)n, sizeof *l->adapter);
	l->n = n;
	l->ldz = adapt_width(list, n);
	for (i = 0; i < n && r == 0; i++)
		r = adapt_copy(list[i], first, end, &l->adapter[i], f);
	if (r == 0)
		*out = l;
	else
		adapt_free(l);
	return (r);
}

/* Release all. */
void
adapt_free(struct adapt *l)
{
	int	 i;

	if (l == NULL)
		return;
	for (i = 0; i < l->n; i++) {
		free(l->adapter[i].pair);
		free(l->adapter[i].memory);
	}
	free(l->adapter);
	free(l->z);
	free(l->run);
	free(l);
}

/* The number of adapters. */
int
adapt_count(const struct adapt *l)
{
	return (l != NULL ? l->n : 0);
}

/* Make room for the arrays of T rows. */
static int
adapt_grow(struct adapt *l, int T)
{
	void	*p;

	if (T <= l->size)
		return (0);
	free(l->z);
	free(l->run);
	l->size = 0;
	l->z = posix_memalign(&p, 64, ADAPT_JOBS * (size_t)T * l->ldz *
	    sizeof *l->z) == 0 ? p : NULL;
	l->run = calloc((size_t)T, sizeof *l->run);
	if (l->z == NULL || l->run == NULL)
		return (CHAT_ENOMEM);
	l->size = T;
	return (0);
}

/* Find the runs. */
int
adapt_begin(struct adapt *l, const struct backend_row *rows, int T,
    unsigned *targets)
{
	struct adapt_run	*run;
	int		 t, r;

	*targets = 0;
	if (l == NULL)
		return (0);
	if ((r = adapt_grow(l, T)) != 0)
		return (r);
	l->runs = 0;
	for (t = 0; t < T; t++) {
		if (rows[t].adapter == 0)
			continue;
		run = l->runs > 0 ? &l->run[l->runs - 1] : NULL;
		if (run != NULL && run->adapter == rows[t].adapter - 1 &&
		    run->first + run->rows == t && run->rows < ADAPT_RUN) {
			run->rows++;
			continue;
		}
		l->run[l->runs++] = (struct adapt_run){
		    rows[t].adapter - 1, t, 1 };
		*targets |= l->adapter[rows[t].adapter - 1].targets;
	}
	return (0);
}

/* The panels of a job for a run; NULL if its adapter has none. */
static const struct adapt_pair *
adapt_pair(const struct adapt *l, const struct adapt_job *job,
    const struct adapt_run *run)
{
	const struct adapt_pair	*p = &l->adapter[run->adapter].pair[l->layer *
				    ADAPTER_TARGETS + job->target];

	return (p->a != NULL ? p : NULL);
}

/* The place of z for the first row of a run. */
static float *
adapt_z(const struct adapt *l, const struct adapt_job *job,
    const struct adapt_run *run)
{
	return (l->z + ((size_t)(job - l->job) * (size_t)l->size +
	    (size_t)run->first) * l->ldz);
}

/* z = x A' for one run of one job. */
static void
adapt_low_piece(void *arg, int item, int thread)
{
	const struct adapt	*l = arg;
	const struct adapt_run	*run = &l->run[item % l->runs];
	const struct adapt_job	*job = &l->job[item / l->runs];
	const struct adapt_pair	*p = adapt_pair(l, job, run);
	const int		 rank = l->adapter[run->adapter].rank;
	struct matmul		 m = { .elem = ELEM_F32, .end = MM_STORE };

	(void)thread;
	if (p == NULL)
		return;
	m.a = job->in->f + (size_t)run->first * job->in->ld;
	m.lda = job->in->ld;
	m.rows = run->rows;
	m.K = p->K;
	m.N = rank;
	m.w = p->a;
	m.out = adapt_z(l, job, run);
	m.ldo = l->ldz;
	l->kernels->matmul(&m, 0, (rank + PANEL - 1) / PANEL);
}

/* y = y + z B' for some panels of one run of one job. */
static void
adapt_high_piece(void *arg, int item, int thread)
{
	const struct adapt	*l = arg;
	const struct adapt_job	*job = &l->job[l->from + item / (l->runs *
				    l->chunks)];
	const struct adapt_run	*run = &l->run[item / l->chunks % l->runs];
	const struct adapt_pair	*p = adapt_pair(l, job, run);
	const int		 first = item % l->chunks * ADAPT_PANELS;
	struct matmul		 m = { .elem = ELEM_F32, .end = MM_ADD };
	int			 panels, last;

	(void)thread;
	if (p == NULL)
		return;
	panels = (p->N + PANEL - 1) / PANEL;
	last = first + ADAPT_PANELS < panels ? first + ADAPT_PANELS : panels;
	m.a = adapt_z(l, job, run);
	m.lda = l->ldz;
	m.rows = run->rows;
	m.K = ROUND_UP(l->adapter[run->adapter].rank, 2);
	m.N = p->N;
	m.w = p->b;
	m.out = job->out->f + (size_t)run->first * job->out->ld;
	m.ldo = job->out->ld;
	if (first < panels)
		l->kernels->matmul(&m, first, last);
}

/* Add the adapters. */
void
adapt_add(struct adapt *l, struct pool *pool, const struct kernels *kernels,
    int layer, const struct adapt_job *jobs, int n)
{
	int	 i, panels, most = 0;

	if (l == NULL || l->runs == 0)
		return;
	l->kernels = kernels;
	l->layer = layer;
	l->job = jobs;
	pool_run(pool, n * l->runs, adapt_low_piece, l);
	for (i = 0; i < n; i++) {
		panels = (jobs[i].out->n + PANEL - 1) / PANEL;
		most = panels > most ? panels : most;
	}
	l->chunks = (most + ADAPT_PANELS - 1) / ADAPT_PANELS;
	l->from = 0;
	if (n == 2 && jobs[0].out == jobs[1].out) {
		pool_run(pool, l->runs * l->chunks, adapt_high_piece, l);
		l->from = n = 1;
	}
	pool_run(pool, n * l->runs * l->chunks, adapt_high_piece, l);
}
