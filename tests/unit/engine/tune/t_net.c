/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trainer's model: losses and gradients are those of torch (tests/data/tune
 * has them, and the script that made them) and those of finite differences, in
 * each variant of the arithmetic, with one thread and with several.
 */
#include "net.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine_data.h"
#include "err.h"
#include "faults.h"
#include "net_lora.h"
#include "pool.h"
#include "rng.h"
#include "tensors.h"
#include "xmalloc.h"

#define VOCAB	50

static const char *const isas[] = { "scalar", "avx2", "avx512",
	"avx512bf16", "avx512fp16", "amx" };

/* The configuration of reference.py. */
static struct model_config
config(enum gelu gelu, int parallel, double pct, int tied)
{
	struct model_config	 c = { .layers = 2, .channels = 48,
				    .heads = 3, .lanes = 16, .inner = 64,
				    .vocab = VOCAB, .context = 128,
				    .rotary_base = 10000, .norm_eps = 1e-5f,
				    .attn_bias = 1, .eos = 0 };

	c.gelu = gelu;
	c.parallel = parallel;
	c.rotary = (int)(16 * pct);
	c.tied = tied;
	return (c);
}

/* The weights of reference.py. */
static void
fill(struct net *n)
{
	const struct net_tensor	*t;
	int			 k, norm;
	size_t			 i;

	for (k = 0; k < n->tensors; k++) {
		t = &n->tensor[k];
		norm = t->part == TENSOR_NORM1 || t->part == TENSOR_NORM2 ||
		    t->part == TENSOR_NORM;
		for (i = 0; i < t->n; i++)
			n->param[t->at + i] = (float)(0.2 * sin(0.7 *
			    (double)i * (double)i + k) + norm);
	}
}

/* The documents of reference.py; *total is the sum of the weights. */
static void
documents(struct net_batch *b, double *total)
{
	static const int lens[] = { 5, 37, 70 };
	int32_t		 id[70];
	float		 w[70];
	size_t		 d;
	int		 i, at = 0;

	memset(b, 0, sizeof *b);
	*total = 0;
	for (d = 0; d < nitems(lens); at += lens[d++]) {
		for (i = 0; i < lens[d]; i++) {
			id[i] = (7 * (at + i) + 3) % VOCAB;
			w[i] = (at + i) % 3 == 0 ? 0.3f : 1.0f;
			*total += i > 0 ? (double)w[i] : 0;
		}
		net_batch_add(b, id, w, lens[d]);
	}
}

/* Make a model. */
static struct net *
make(const struct model_config *c, const char *isa, struct pool *pool)
{
	const struct mat_kind	*kind = mat_find(isa);
	struct net		*n;
	struct fault		 f;

	assert_non_null(kind);
	assert_int_equal(net_new(c, c->context, kind, pool, &n, &f), 0);
	fill(n);
	return (n);
}

/* Compare one tensor's gradient with its line. */
static void
compare(const struct net *n, const struct net_tensor *t, const char *line,
    double tol)
{
	const float	*g = n->grad + t->at;
	double		 sum = 0, abs = 0, want[4];
	char		 name[128];
	size_t		 i;

	assert_int_equal(sscanf(line, "%127s %lf %lf %lf %lf", name,
	    &want[0], &want[1], &want[2], &want[3]), 5);
	for (i = 0; i < t->n; i++) {
		sum += (double)g[i];
		abs += fabs((double)g[i]);
	}
	if (fabs(sum - want[0]) > tol * want[1] + 1e-6 ||
	    fabs(abs - want[1]) > tol * want[1] + 1e-6 ||
	    fabs((double)g[0] - want[2]) > 4 * tol * want[1] /
	    sqrt((double)t->n) + 1e-6 ||
	    fabs((double)g[t->n - 1] - want[3]) > 4 * tol * want[1] /
	    sqrt((double)t->n) + 1e-6)
		fail_msg("%s: %s: sum %g |sum| %g first %g last %g; expected "
		    "%s", n->kind->name, name, sum, abs, (double)g[0],
		    (double)g[t->n - 1], line);
}

/* Read a line of the table; 0 at its end. */
static int
next(FILE *f, char *line, int size)
{
	if (fgets(line, size, f) == NULL)
		return (0);
	line[strcspn(line, "\n")] = '\0';
	return (1);
}

static void
test_gradients_are_those_of_torch(void **state)
{
	char		*path = data_path("tune/reference.txt");
	char		 line[2048], act[16];
	struct pool	*pool = pool_new(2);
	struct net_batch b;
	double		 total, pct, want, got, tol;
	int		 parallel, tied, k, models = 0;
	size_t		 v;
	FILE		*f;

	(void)state;
	documents(&b, &total);
	for (v = 0; v < nitems(isas); v++) {
		if (mat_find(isas[v]) == NULL)
			continue;
		tol = strcmp(isas[v], "amx") == 0 ||
		    strcmp(isas[v], "avx512bf16") == 0 ||
		    strcmp(isas[v], "avx512fp16") == 0 ? 2e-2 : 2e-5;
		assert_non_null(f = fopen(path, "r"));
		while (next(f, line, sizeof line) && sscanf(line,
		    "model %15s %d %lf %d %lf", act, &parallel, &pct, &tied,
		    &want) == 5) {
			struct model_config c = config(strcmp(act, "gelu") ==
			    0 ? GELU_ERF : GELU_TANH, parallel, pct, tied);
			struct net *n = make(&c, isas[v], pool);

			n->chunk = models % 2 == 0 ? 128 : 37;
			net_forward(n, &b);
			got = net_loss(n, &b, NULL, (float)(1 / total)) /
			    total;
			if (fabs(got - want) > tol * want)
				fail_msg("%s: loss %f, expected %f", isas[v],
				    got, want);
			net_backward(n, &b);
			for (k = 0; k < n->tensors; k++) {
				assert_true(next(f, line, sizeof line));
				compare(n, &n->tensor[k], line, tol);
			}
			net_free(n);
			models++;
		}
		fclose(f);
	}
	assert_true(models >= 4);
	net_batch_clear(&b);
	pool_free(pool);
	free(path);
}

/* The loss of a batch. */
static double
loss_of(struct net *n, const struct net_batch *b, double total)
{
	net_changed(n);
	net_forward(n, b);
	return (net_loss(n, b, NULL, 0) / total);
}

/* Compare a gradient with the slope of the loss. */
static void
slope(struct net *n, const struct net_batch *b, double total, float *p,
    float grad, const char *what)
{
	const float	 keep = *p, h = 4e-3f;
	double		 up, down, want;

	*p = keep + h;
	up = loss_of(n, b, total);
	*p = keep - h;
	down = loss_of(n, b, total);
	*p = keep;
	want = (up - down) / (2 * (double)h);
	if (fabs(want - (double)grad) > 2e-4 + 0.03 * fabs(want))
		fail_msg("%s: gradient %g, slope of the loss %g", what,
		    (double)grad, want);
}

static void
test_gradients_are_slopes_of_the_loss(void **state)
{
	struct pool		*pool = pool_new(1);
	struct model_config	 c = config(GELU_ERF, 0, 0.5, 0);
	struct net		*n = make(&c, "scalar", pool);
	struct net_batch	 b;
	char			 name[TENSOR_NAME_MAX];
	uint64_t		 seed = 5;
	double			 total;
	size_t			 at;
	int			 k, i;

	(void)state;
	documents(&b, &total);
	net_forward(n, &b);
	net_loss(n, &b, NULL, (float)(1 / total));
	net_backward(n, &b);
	for (k = 0; k < n->tensors; k++) {
		tensor_name(n->tensor[k].part, n->tensor[k].layer, name);
		for (i = 0; i < 2; i++) {
			at = n->tensor[k].at + rng_below(&seed,
			    (uint32_t)n->tensor[k].n);
			slope(n, &b, total, n->param + at, n->grad[at], name);
		}
	}
	net_batch_clear(&b);
	net_free(n);
	pool_free(pool);
}

static void
test_gradients_of_adapters_are_slopes_of_the_loss(void **state)
{
	struct pool		*pool = pool_new(1);
	struct model_config	 c = config(GELU_TANH, 1, 0.25, 1);
	struct net		*n = make(&c, "scalar", pool);
	struct net_batch	 b;
	uint64_t		 seed = 6;
	double			 total, base;
	size_t			 at, i;

	(void)state;
	documents(&b, &total);
	base = loss_of(n, &b, total);
	n->lora = lora_new(n, 4, 8, 15, 1);
	assert_true(loss_of(n, &b, total) == base);	/* B is 0 */
	for (i = 0; i < n->lora->n; i++)
		n->lora->param[i] += 0.02f * (float)rng_normal(&seed);
	net_zero(n);
	net_forward(n, &b);
	n->frozen = 1;
	net_loss(n, &b, NULL, (float)(1 / total));
	net_backward(n, &b);
	for (i = 0; i < n->n; i++)
		assert_true(n->grad[i] == 0);	/* only adapters learn */
	for (i = 0; i < 40; i++) {
		at = rng_below(&seed, (uint32_t)n->lora->n - 16);
		slope(n, &b, total, n->lora->param + at, n->lora->grad[at],
		    "adapter");
	}
	base = loss_of(n, &b, total);
	lora_merge(n);
	lora_free(n->lora);
	n->lora = NULL;
	assert_true(fabs(loss_of(n, &b, total) - base) < 1e-5);
	net_batch_clear(&b);
	net_free(n);
	pool_free(pool);
}

static void
test_bits_do_not_depend_on_threads(void **state)
{
	struct model_config	 c = config(GELU_ERF, 1, 0.25, 1);
	struct net		*n[2];
	struct pool		*pool[2];
	struct net_batch	 b;
	double			 total;
	size_t			 v;
	int			 i;

	(void)state;
	documents(&b, &total);
	for (v = 0; v < nitems(isas); v++) {
		if (mat_find(isas[v]) == NULL)
			continue;
		for (i = 0; i < 2; i++) {
			pool[i] = pool_new(1 + 2 * i);
			n[i] = make(&c, isas[v], pool[i]);
			net_forward(n[i], &b);
			net_loss(n[i], &b, NULL, (float)(1 / total));
			net_backward(n[i], &b);
		}
		assert_memory_equal(n[0]->grad, n[1]->grad,
		    n[0]->n * sizeof(float));
		for (i = 0; i < 2; i++) {
			net_free(n[i]);
			pool_free(pool[i]);
		}
	}
	net_batch_clear(&b);
}

/* Documents of these lengths, all of whose tokens count. */
static void
whole(struct net_batch *b, const int *lens, size_t docs)
{
	int32_t	*id;
	float	*w;
	size_t	 d;
	int	 i;

	memset(b, 0, sizeof *b);
	for (d = 0; d < docs; d++) {
		id = xcalloc((size_t)lens[d], sizeof *id);
		w = xcalloc((size_t)lens[d], sizeof *w);
		for (i = 0; i < lens[d]; i++) {
			id[i] = (7 * i + i / 11 + 3 * (int)d) % VOCAB;
			w[i] = 1;
		}
		net_batch_add(b, id, w, lens[d]);
		free(id);
		free(w);
	}
}

/* All gradients of a batch. */
static void
learn(struct net *n, const struct net_batch *b)
{
	net_forward(n, b);
	net_loss(n, b, NULL, 1.0f / (float)b->T);
	net_backward(n, b);
}

/* The distance of a tensor's gradients from others, as a share of these. */
static double
distance(const struct net_tensor *t, const float *got, const float *want)
{
	double	 diff = 0, sum = 0, d;
	size_t	 i;

	for (i = t->at; i < t->at + t->n; i++) {
		d = (double)got[i] - (double)want[i];
		diff += d * d;
		sum += (double)want[i] * (double)want[i];
	}
	return (sum > 0 ? sqrt(diff / sum) : 0);
}

/* More columns than are multiplied at a time, more lanes than a panel has
 * rows. */
static void
test_long_documents_of_wide_heads(void **state)
{
	static const int	 lens[] = { 1100 };
	struct model_config	 c = config(GELU_ERF, 1, 0.25, 1);
	struct pool		*pool = pool_new(2);
	struct net		*want, *got;
	struct net_batch	 b;
	char			 name[TENSOR_NAME_MAX];
	double			 d;
	size_t			 v;
	int			 k;

	(void)state;
	c.layers = 1;
	c.heads = 1;
	c.channels = c.lanes = 64;
	c.rotary = 16;
	c.context = 1100;
	whole(&b, lens, nitems(lens));
	want = make(&c, "scalar", pool);
	learn(want, &b);
	for (v = 1; v < nitems(isas); v++) {
		if (mat_find(isas[v]) == NULL)
			continue;
		got = make(&c, isas[v], pool);
		learn(got, &b);
		for (k = 0; k < got->tensors; k++) {
			tensor_name(got->tensor[k].part, 0, name);
			d = distance(&got->tensor[k], got->grad, want->grad);
			if (!(d < 5e-2))
				fail_msg("%s: %s: %g away from scalar",
				    isas[v], name, d);
		}
		net_free(got);
	}
	net_free(want);
	net_batch_clear(&b);
	pool_free(pool);
}

/* The MLP takes some rows at a time; how many must not depend on threads. */
static void
test_bits_of_the_mlp_do_not_depend_on_threads(void **state)
{
	static const int	 lens[] = { 500, 300 };
	struct model_config	 c = config(GELU_ERF, 1, 0.25, 1);
	struct net		*n[3];
	struct pool		*pool[3];
	struct net_batch	 b;
	size_t			 v;
	int			 i;

	(void)state;
	c.layers = 1;
	c.inner = 1024;
	c.context = 800;
	whole(&b, lens, nitems(lens));
	for (v = 0; v < nitems(isas); v++) {
		if (mat_find(isas[v]) == NULL)
			continue;
		for (i = 0; i < 3; i++) {
			pool[i] = pool_new(1 + i);
			n[i] = make(&c, isas[v], pool[i]);
			assert_true(n[i]->chunk < b.T);
			learn(n[i], &b);
			if (memcmp(n[0]->grad, n[i]->grad, n[0]->n *
			    sizeof(float)) != 0)
				fail_msg("%s: other bits with %d threads",
				    isas[v], 1 + i);
		}
		for (i = 0; i < 3; i++) {
			net_free(n[i]);
			pool_free(pool[i]);
		}
	}
	net_batch_clear(&b);
}

/* Run a batch of documents of these lengths, in a child. */
static int
run_batch_of(void *arg)
{
	static const int	 lens[][2] = { { 60, 68 }, { 60, 69 },
				    { 129, 0 } };
	struct model_config	 c = config(GELU_ERF, 1, 0.25, 1);
	struct pool		*pool = pool_new(1);
	struct net		*n = make(&c, "scalar", pool);
	struct net_batch	 b;

	whole(&b, lens[*(int *)arg], lens[*(int *)arg][1] > 0 ? 2 : 1);
	net_forward(n, &b);
	return (0);
}

static void
test_a_batch_that_does_not_fit_ends_the_process(void **state)
{
	int	 i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(faults_child(run_batch_of, &i), i > 0);
}

static void
test_odd_sizes_are_refused(void **state)
{
	struct pool		*pool = pool_new(1);
	struct model_config	 c = config(GELU_ERF, 1, 0.25, 1);
	struct net		*n;
	struct fault		 f;

	(void)state;
	c.inner = 100;
	assert_int_equal(net_new(&c, 16, mat_find("scalar"), pool, &n, &f),
	    CHAT_EUNSUPPORTED);
	assert_non_null(strstr(f.message, "intermediate_size 100"));
	pool_free(pool);
}

/* Run all. */
int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gradients_are_those_of_torch),
		cmocka_unit_test(test_gradients_are_slopes_of_the_loss),
		cmocka_unit_test(
		    test_gradients_of_adapters_are_slopes_of_the_loss),
		cmocka_unit_test(test_bits_do_not_depend_on_threads),
		cmocka_unit_test(test_long_documents_of_wide_heads),
		cmocka_unit_test(
		    test_bits_of_the_mlp_do_not_depend_on_threads),
		cmocka_unit_test(
		    test_a_batch_that_does_not_fit_ends_the_process),
		cmocka_unit_test(test_odd_sizes_are_refused)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
