/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The optimisers.  A group is a range of parameters with one rate: a tensor, or
 * all adapters.
 */
#include "optim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net_lora.h"
#include "optim8.h"
#include "pool.h"
#include "xmalloc.h"

#define OPTIM_CHUNK	16384	/* elements that a thread takes at a time */
#define OPTIM_ROUNDS	5	/* of Newton and Schulz */
#define MUON_ROWS	32	/* that a thread turns at a time */

/* A range of parameters. */
struct optim_group {
	size_t	 at, n;
	int	 rows, cols;	/* of a matrix of Muon, else 0 */
	double	 rate, decay;
};

struct optim {
	struct optim_options	 opt;
	struct net		*net;		/* borrowed */
	float			*param, *grad;	/* borrowed */
	size_t			 n;
	struct optim_group	*group;		/* owned */
	int			 groups;
	int64_t			 step;
	float			*m, *v;		/* owned; NULL in 8 bits */
	struct optim8		*m8, *v8;	/* owned; NULL in 32 bits */
	float			*x, *y, *a, *b;	/* owned: of Muon */
};

/* AdamW of one group, for the threads. */
struct optim_job {
	struct optim		*o;
	struct optim_group	*g;
	float			 hyper[ADAM_HYPER];
};

/* Which rate and decay a tensor has. */
static void
optim_add(struct optim *o, const struct net_tensor *t)
{
	struct optim_group	*g = &o->group[o->groups++];
	int			 matrix = t->cols > 1 &&
				    t->part < TENSOR_LAYER_COUNT;

	g->at = t->at;
	g->n = t->n;
	g->rate = matrix ? o->opt.rate : t->cols > 1 ? o->opt.embed_rate :
	    o->opt.vector_rate;
	g->decay = matrix ? o->opt.decay : 0;
	if (matrix && o->opt.kind == OPTIM_MUON) {
		g->rows = (int)t->rows;
		g->cols = (int)t->cols;
	}
}

/* Buffers of Muon for the largest matrix. */
static void
optim_muon_buffers(struct optim *o)
{
	size_t	 most = 0, side = 0, s;
	int	 i;

	for (i = 0; i < o->groups; i++) {
		s = (size_t)(o->group[i].rows < o->group[i].cols ?
		    o->group[i].rows : o->group[i].cols);
		if (s > 0 && o->group[i].n > most)
			most = o->group[i].n;
		if (s > side)
			side = s;
	}
	if (most == 0)
		return;
	o->x = mat_floats(most);
	o->y = mat_floats(most);
	o->a = mat_floats(side * side);
	o->b = mat_floats(side * side);
}

/* Make an optimiser. */
struct optim *
optim_new(const struct optim_options *opt, struct net *n)
{
	struct optim	*o = xcalloc(1, sizeof *o);
	int		 i;

	o->opt = *opt;
	o->net = n;
	o->param = n->lora != NULL ? n->lora->param : n->param;
	o->grad = n->lora != NULL ? n->lora->grad : n->grad;
	o->n = n->lora != NULL ? n->lora->n : n->n;
	o->group = xcalloc((size_t)n->tensors + 1, sizeof *o->group);
	if (n->lora != NULL)
		o->group[o->groups++] = (struct optim_group){ 0, o->n, 0, 0,
		    opt->rate, opt->decay };
	else
		for (i = 0; i < n->tensors; i++)
			optim_add(o, &n->tensor[i]);
	if (opt->kind == OPTIM_ADAMW8) {
		o->m8 = optim8_new(o->n, 1);
		o->v8 = optim8_new(o->n, 0);
	} else {
		o->m = mat_floats(o->n);
		o->v = mat_floats(o->n);
	}
	optim_muon_buffers(o);
	return (o);
}

/* Release it. */
void
optim_free(struct optim *o)
{
	if (o == NULL)
		return;
	free(o->group);
	free(o->m);
	free(o->v);
	optim8_free(o->m8);
	optim8_free(o->v8);
	free(o->x);
	free(o->y);
	free(o->a);
	free(o->b);
	free(o);
}

/* The norm of the gradients that are clipped. */
static double
optim_norm(const struct optim *o)
{
	const struct optim_group	*g;
	double				 sum = 0;
	size_t				 k, n;
	int				 i;

	for (i = 0; i < o->groups; i++) {
		g = &o->group[i];
		for (k = 0; g->rows == 0 && k < g->n; k += n) {
			n = g->n - k < OPTIM_CHUNK ? g->n - k : OPTIM_CHUNK;
			/* What fills a group up to a whole vector is 0. */
			sum += (double)o->net->kind->dot_row(o->grad + g->at +
			    k, o->grad + g->at + k, (int)n);
		}
	}
	return (sqrt(sum));
}

/* AdamW for some elements. */
static void
optim_adam_item(void *arg, int item, int thread)
{
	struct optim_job	*j = arg;
	struct optim		*o = j->o;
	size_t			 at = (size_t)item * OPTIM_CHUNK;
	size_t			 n = j->g->n - at;

	(void)thread;
	if (n > OPTIM_CHUNK)
		n = OPTIM_CHUNK;
	at += j->g->at;
	if (o->m8 != NULL)
		optim8_adam(o->m8, o->v8, o->net->kind, o->param, o->grad, at,
		    n, j->hyper);
	else
		o->net->kind->adam_row(o->param + at, o->m + at, o->v + at,
		    o->grad + at, (int)n, j->hyper);
}

/* AdamW for a group. */
static void
optim_adam(struct optim *o, struct optim_group *g, double factor, double clip)
{
	struct optim_job	 j = { o, g, { 0 } };

	j.hyper[ADAM_RATE] = (float)(g->rate * factor);
	j.hyper[ADAM_BETA1] = (float)o->opt.beta1;
	j.hyper[ADAM_BETA2] = (float)o->opt.beta2;
	j.hyper[ADAM_EPS] = (float)o->opt.eps;
	j.hyper[ADAM_DECAY] = (float)g->decay;
	j.hyper[ADAM_C1] = (float)(1 / (1 - pow(o->opt.beta1,
	    (double)o->step)));
	j.hyper[ADAM_C2] = (float)(1 / (1 - pow(o->opt.beta2,
	    (double)o->step)));
	j.hyper[ADAM_SCALE] = (float)clip;
	pool_run(o->net->pool, (int)((g->n + OPTIM_CHUNK - 1) / OPTIM_CHUNK),
	    optim_adam_item, &j);
}

/* One matrix of Muon, for the threads. */
struct muon_job {
	struct optim		*o;
	struct optim_group	*g;
	int			 rows, cols;	/* of what is turned */
	double			 rate;
};

/* The transpose of o->x[rows][cols] goes to o->y: MUON_ROWS rows of it. */
static void
optim_turn_item(void *arg, int item, int thread)
{
	const struct muon_job	*j = arg;
	const float		*x = j->o->x;
	float			*to = j->o->y;
	int			 from = item * MUON_ROWS, i, k, end;

	(void)thread;
	end = from + MUON_ROWS < j->rows ? from + MUON_ROWS : j->rows;
	for (k = 0; k < j->cols; k++)
		for (i = from; i < end; i++)
			to[(size_t)k * (size_t)j->rows + (size_t)i] =
			    x[(size_t)i * (size_t)j->cols + (size_t)k];
}

/* o->x[cols][rows] = the transpose of o->x[rows][cols]. */
static void
optim_turn(struct optim *o, int rows, int cols)
{
	struct muon_job	 j = { .o = o, .rows = rows, .cols = cols };
	float		*t = o->x;

	pool_run(o->net->pool, (rows + MUON_ROWS - 1) / MUON_ROWS,
	    optim_turn_item, &j);
	o->x = o->y;
	o->y = t;
}

/*
 * x[r][c] becomes nearly orthogonal, r <= c: x = a x + (b X + c X^2) x with
 * X = x x^T, some times.  The numbers are those of Jordan et al., "Muon", 2024.
 */
static void
optim_orthogonal(struct optim *o, int r, int c)
{
	const float	 ka = 3.4445f, kb = -4.7750f, kc = 2.0315f;
	struct mat	*m = &o->net->mat;
	const struct mat_kind *kind = o->net->kind;
	float		*t;
	int		 i, k;

	kind->scale_row(o->x, r * c, 1 / (sqrtf(kind->dot_row(o->x, o->x,
	    r * c)) + 1e-12f));
	for (k = 0; k < OPTIM_ROUNDS; k++) {
		mat_mul(m, r, r, c, (struct mat_in){ o->x, c, 1 },
		    (struct mat_in){ o->x, c, 1 }, o->a, r, 0);
		mat_mul(m, r, r, r, (struct mat_in){ o->a, r, 1 },
		    (struct mat_in){ o->a, r, 1 }, o->b, r, 0);
		kind->scale_row(o->b, r * r, kc);
		kind->add_row(o->b, o->a, r * r, kb);
		for (i = 0; i < r; i++)
			o->b[i * r + i] += ka;
		mat_mul(m, r, c, r, (struct mat_in){ o->b, r, 1 },
		    (struct mat_in){ o->x, 1, c }, o->y, c, 0);
		t = o->x;
		o->x = o->y;
		o->y = t;
	}
}

/* The momentum of some elements; o->x = what is to be made orthogonal. */
static void
optim_momentum_item(void *arg, int item, int thread)
{
	const struct muon_job	*j = arg;
	struct optim		*o = j->o;
	const struct mat_kind	*kind = o->net->kind;
	const float		 beta = (float)o->opt.momentum;
	size_t			 k = (size_t)item * OPTIM_CHUNK;
	float			*m = o->m + j->g->at + k, *x = o->x + k;
	const float		*d = o->grad + j->g->at + k;
	int			 n = j->g->n - k < OPTIM_CHUNK ?
				    (int)(j->g->n - k) : OPTIM_CHUNK;

	(void)thread;
	kind->scale_row(m, n, beta);
	kind->add_row(m, d, n, 1 - beta);
	memcpy(x, d, (size_t)n * sizeof *d);
	kind->scale_row(x, n, 1 - beta);
	kind->add_row(x, m, n, beta);
}

/* The new values of some elements. */
static void
optim_move_item(void *arg, int item, int thread)
{
	const struct muon_job	*j = arg;
	const struct mat_kind	*kind = j->o->net->kind;
	size_t			 k = (size_t)item * OPTIM_CHUNK;
	float			*p = j->o->param + j->g->at + k;
	int			 n = j->g->n - k < OPTIM_CHUNK ?
				    (int)(j->g->n - k) : OPTIM_CHUNK;

	(void)thread;
	kind->scale_row(p, n, (float)(1 - j->rate * j->g->decay));
	kind->add_row(p, j->o->x + k, n, (float)-j->rate);
}

/* One step of Muon for a matrix. */
static void
optim_muon(struct optim *o, struct optim_group *g, double factor)
{
	const int	 tall = g->rows > g->cols;
	const int	 items = (int)((g->n + OPTIM_CHUNK - 1) / OPTIM_CHUNK);
	struct muon_job	 j = { .o = o, .g = g, .rate = g->rate * factor };

	pool_run(o->net->pool, items, optim_momentum_item, &j);
	if (tall) {
		optim_turn(o, g->rows, g->cols);
		optim_orthogonal(o, g->cols, g->rows);
		optim_turn(o, g->cols, g->rows);
		j.rate *= sqrt((double)g->rows / g->cols);
	} else
		optim_orthogonal(o, g->rows, g->cols);
	pool_run(o->net->pool, items, optim_move_item, &j);
}

/* A step. */
double
optim_step(struct optim *o, double factor)
{
	double	 norm = optim_norm(o), clip = 1;
	int	 i;

	o->step++;
	if (o->opt.clip > 0 && norm > o->opt.clip)
		clip = o->opt.clip / norm;
	for (i = 0; i < o->groups; i++)
		if (o->group[i].rows > 0)
			optim_muon(o, &o->group[i], factor);
		else
			optim_adam(o, &o->group[i], factor, clip);
	if (o->net->lora == NULL)
		net_changed(o->net);
	return (norm);
}

/* Write the state. */
int
optim_write(const struct optim *o, FILE *f)
{
	if (fwrite(&o->step, sizeof o->step, 1, f) != 1)
		return (-1);
	if (o->m8 != NULL)
		return (optim8_write(o->m8, f) == 0 &&
		    optim8_write(o->v8, f) == 0 ? 0 : -1);
	return (fwrite(o->m, sizeof *o->m, o->n, f) == o->n &&
	    fwrite(o->v, sizeof *o->v, o->n, f) == o->n ? 0 : -1);
}

/* Read it. */
int
optim_read(struct optim *o, FILE *f)
{
	if (fread(&o->step, sizeof o->step, 1, f) != 1)
		return (-1);
	if (o->m8 != NULL)
		return (optim8_read(o->m8, f) == 0 &&
		    optim8_read(o->v8, f) == 0 ? 0 : -1);
	return (fread(o->m, sizeof *o->m, o->n, f) == o->n &&
	    fread(o->v, sizeof *o->v, o->n, f) == o->n ? 0 : -1);
}

/* Bytes of the state. */
size_t
optim_bytes(const struct optim *o)
{
	return (o->m8 != NULL ? optim8_bytes(o->m8) + optim8_bytes(o->v8) :
	    2 * o->n * sizeof(float));
}
