/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logistic regression by AdaGrad: the gates of both heads, each in a thread of
 * its own, then the categories, learned from harmful rows alone.  A long text
 * is learned by its window with the highest score, as it will be judged.  The
 * result depends on nothing but the rows, their order and the recipe.
 */
#include "train.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "linear_impl.h"
#include "xmalloc.h"

#define NONE	UINT32_MAX
#define LEARN_MEAN	20	/* places */

struct weight {
	float	 w, g;
};

/* A document of one head. */
struct lesson {
	uint32_t	 doc;
	float		 weight;
	int		 harmful;
	uint32_t	 labels;
};

struct learner {
	const struct corpus	*c;
	const struct rows	*rows;
	const struct recipe	*rc;
	const uint32_t		*map;		/* to weights, or NONE */
	const uint32_t		*name_map;
	int			 head;
	struct lesson		*lesson;	/* owned */
	size_t			 n;
	struct weight		*gate;		/* owned: [gates] */
	size_t			 gates;
	float			 bias, bias_g;
	struct weight		*name;		/* owned: [][categories] */
	struct weight		 name_bias[LINEAR_CATEGORIES];
	double			 loss;
	int			 with_names;
};

/* The next number of a generator. */
static uint32_t
learn_random(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	return ((uint32_t)(*s >> 33));
}

/* Give feature numbers that occur in enough rows, and sources, a weight. */
static uint32_t
learn_map(const struct corpus *c, const struct rows *rs,
    const struct recipe *rc, const unsigned char *left, int names,
    uint32_t *map)
{
	uint32_t	*rows, *last, *source, *sources, n = 0, k;
	size_t		 d, h, i;

	rows = xcalloc(c->numbers_n, sizeof *rows);
	last = xcalloc(c->numbers_n, sizeof *last);
	source = xcalloc(c->numbers_n, sizeof *source);
	sources = xcalloc(c->numbers_n, sizeof *sources);
	for (d = 0; d < c->docs_n; d++) {
		const struct corpus_doc	*doc = &c->doc[d];
		const struct row	*r = &rs->row[doc->row];

		if (left[r->source] || (doc->flags & CORPUS_NOISE) ||
		    (names && (r->labels & ~ROW_OTHER) == 0))
			continue;
		for (h = doc->half; h < doc->half + doc->halves; h++) {
			const struct corpus_half	*p = &c->half[h];

			for (i = p->at; i < p->at + p->n; i++) {
				if (names && !(c->feature[i] & CORPUS_NAME))
					continue;
				k = c->feature[i] & ~CORPUS_NAME;
				if (last[k] == d + 1)
					continue;
				last[k] = (uint32_t)d + 1;
				rows[k]++;
				if (source[k] != r->source + 1) {
					source[k] = r->source + 1;
					sources[k]++;
				}
			}
		}
	}
	for (i = 0; i < c->numbers_n; i++)
		map[i] = rows[i] >= rc->min_rows && sources[i] >=
		    rc->min_sources ? n++ : NONE;
	free(rows);
	free(last);
	free(source);
	free(sources);
	return (n);
}

/* Choose what a head learns from, and weigh it. */
static void
learn_lessons(struct learner *l, const unsigned char *left)
{
	const struct corpus	*c = l->c;
	double			*count, sum[2] = { 0, 0 }, w;
	size_t			 d, i;

	l->lesson = xcalloc(c->docs_n + 1, sizeof *l->lesson);
	count = xcalloc(l->rows->sources_n, sizeof *count);
	for (d = 0; d < c->docs_n; d++)
		if (l->rows->row[c->doc[d].row].head == l->head)
			count[l->rows->row[c->doc[d].row].source]++;
	for (d = 0; d < c->docs_n; d++) {
		const struct row	*r = &l->rows->row[c->doc[d].row];
		int			 harmful = (r->labels & ~ROW_OTHER)
					    != 0;

		if (left[r->source] || (r->labels == ROW_OTHER))
			continue;
		w = r->weight;
		if (c->doc[d].flags & CORPUS_NOISE)
			w *= 0.5;
		if (r->head != l->head) {
			if (harmful)
				continue;
			w *= l->rc->cross;
		}
		if (count[r->source] > 0)
			w *= pow(count[r->source] / 1000, l->rc->power - 1);
		if (w <= 0)
			continue;
		l->lesson[l->n++] = (struct lesson){ (uint32_t)d, (float)w,
		    harmful, r->labels & ~ROW_OTHER };
		sum[harmful] += w;
	}
	/* both classes weigh the same, and the mean weight is 1 */
	for (i = 0; i < l->n; i++) {
		w = l->lesson[i].weight;
		if (l->rc->balance > 0)
			w *= (double)l->n / (2 * sum[l->lesson[i].harmful]);
		else
			w *= (double)l->n / (sum[0] + sum[1]);
		l->lesson[i].weight = (float)w;
	}
	free(count);
}

/* Sum the weights of half a window. */
static float
learn_sum(const struct learner *l, const struct corpus_half *h)
{
	const uint32_t	*p = l->c->feature + h->at, *end = p + h->n;
	float		 s = 0;
	uint32_t	 k;

	for (; p < end; p++) {
		k = l->map[*p & ~CORPUS_NAME];
		if (k != NONE)
			s += l->gate[k].w;
	}
	return (s);
}

/* Find the window with the highest score: its first half, and whether it has
 * a second one. Returns the score. */
static float
learn_window(const struct learner *l, const struct corpus_doc *doc,
    uint32_t *first, int *two)
{
	const struct corpus_half	*h = l->c->half + doc->half;
	float				 before = 0, s, z, best = 0;
	uint32_t			 i;

	*first = doc->half;
	*two = 0;
	for (i = 0; i < doc->halves; i++) {
		s = learn_sum(l, &h[i]);
		if (i == 0) {
			before = s;
			best = s / sqrtf((float)h[0].all);
			if (doc->halves > 1)
				best = -1e30f;
			continue;
		}
		z = (before + s) / sqrtf((float)(h[i - 1].all + h[i].all));
		if (z > best) {
			best = z;
			*first = doc->half + i - 1;
			*two = 1;
		}
		before = s;
	}
	return (best + l->bias);
}

/* Learn from one document. */
static void
learn_gate(struct learner *l, const struct lesson *t)
{
	const struct corpus_doc	*doc = &l->c->doc[t->doc];
	const uint32_t		*p, *end;
	uint32_t		 first, k;
	struct weight		*w;
	float			 z, g, x, d, rate = (float)l->rc->rate,
				 l2 = (float)l->rc->l2;
	int			 two, i;
	double			 prob;

	z = learn_window(l, doc, &first, &two);
	prob = 1 / (1 + exp(-z));
	l->loss -= t->weight * log(t->harmful ? prob + 1e-9 :
	    1 - prob + 1e-9);
	g = (float)(prob - t->harmful) * t->weight;
	l->bias_g += g * g;
	l->bias -= rate * g / sqrtf(l->bias_g + 1e-6f);
	if (fabsf(g) < 0.005f * t->weight)
		return;
	k = l->c->half[first].all + (two ? l->c->half[first + 1].all : 0);
	x = 1 / sqrtf((float)k);
	for (i = 0; i <= two; i++) {
		p = l->c->feature + l->c->half[first + (uint32_t)i].at;
		end = p + l->c->half[first + (uint32_t)i].n;
		for (; p < end; p++) {
			k = l->map[*p & ~CORPUS_NAME];
			if (k == NONE)
				continue;
			w = &l->gate[k];
			d = g * x + l2 * w->w;
			w->g += d * d;
			w->w -= rate * d / sqrtf(w->g + 1e-6f);
		}
	}
}

/* Learn the category of one harmful document. */
static void
learn_name(struct learner *l, const struct lesson *t)
{
	const struct corpus_doc	*doc = &l->c->doc[t->doc];
	float			 z[LINEAR_CATEGORIES], g[LINEAR_CATEGORIES], x,
				 d, rate = (float)l->rc->rate,
				 l2 = (float)l->rc->name_l2;
	double			 prob[LINEAR_CATEGORIES], sum = 0;
	const uint32_t		*p, *end;
	struct weight		*w;
	uint32_t		 first, k, names;
	int			 two, i, c, pass, labels;

	learn_window(l, doc, &first, &two);
	names = l->c->half[first].names + (two ?
	    l->c->half[first + 1].names : 0);
	x = 1 / sqrtf((float)(names > 0 ? names : 1));
	memset(z, 0, sizeof z);
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i <= two; i++) {
			p = l->c->feature + l->c->half[first +
			    (uint32_t)i].at;
			end = p + l->c->half[first + (uint32_t)i].n;
			for (; p < end; p++) {
				if (!(*p & CORPUS_NAME) || (k = l->name_map[
				    *p & ~CORPUS_NAME]) == NONE)
					continue;
				w = l->name + (size_t)k * LINEAR_CATEGORIES;
				for (c = 0; pass == 0 && c < LINEAR_CATEGORIES;
				    c++)
					z[c] += w[c].w;
				for (c = 0; pass == 1 && c < LINEAR_CATEGORIES;
				    c++) {
					d = g[c] * x + l2 * w[c].w;
					w[c].g += d * d;
					w[c].w -= rate * d /
					    sqrtf(w[c].g + 1e-6f);
				}
			}
		}
		if (pass == 1)
			break;
		labels = __builtin_popcount(t->labels);
		for (c = 0; c < LINEAR_CATEGORIES; c++)
			sum += prob[c] = exp(fminf(l->name_bias[c].w + z[c] *
			    x, 60));
		for (c = 0; c < LINEAR_CATEGORIES; c++) {
			g[c] = (float)(prob[c] / sum - (t->labels >> c & 1 ?
			    1.0 / labels : 0)) * t->weight;
			w = &l->name_bias[c];
			w->g += g[c] * g[c];
			w->w -= rate * g[c] / sqrtf(w->g + 1e-6f);
		}
	}
}

/* Train a head. The weights of the gates become their mean over LEARN_MEAN
 * places in the last epoch, which depends less on the order of the rows. */
static void *
learn_run(void *arg)
{
	struct learner	*l = arg;
	struct lesson	 t;
	uint64_t	 seed = (uint64_t)l->rc->seed * 7919 + 13;
	double		 bias = 0;
	float		*mean = xcalloc(l->gates + 1, sizeof *mean);
	size_t		 i, k, places = 0;
	int		 e;

	for (e = 0; e < (int)l->rc->epochs; e++) {
		for (i = l->n; i > 1; i--) {
			k = learn_random(&seed) % i;
			t = l->lesson[k];
			l->lesson[k] = l->lesson[i - 1];
			l->lesson[i - 1] = t;
		}
		l->loss = 0;
		for (i = 0; i < l->n; i++) {
			learn_gate(l, &l->lesson[i]);
			if (e + 1 < (int)l->rc->epochs || (i + 1) %
			    (l->n / LEARN_MEAN + 1) != 0)
				continue;
			for (k = 0; k < l->gates; k++)
				mean[k] += l->gate[k].w;
			bias += l->bias;
			places++;
		}
	}
	for (k = 0; places > 0 && k < l->gates; k++)
		l->gate[k].w = mean[k] / (float)places;
	l->bias = places > 0 ? (float)(bias / (double)places) : l->bias;
	free(mean);
	for (e = 0; l->with_names && e < (int)l->rc->name_epochs; e++)
		for (i = 0; i < l->n; i++)
			if (l->lesson[i].harmful)
				learn_name(l, &l->lesson[i]);
	return (NULL);
}

/* A feature for the tables, and how much it matters. */
struct choice {
	float		 matters;
	uint32_t	 number;
};

/* Order choices from strong to weak. */
static int
learn_compare(const void *va, const void *vb)
{
	const struct choice	*a = va, *b = vb;

	if (a->matters != b->matters)
		return (a->matters < b->matters ? 1 : -1);
	return (a->number < b->number ? -1 : a->number > b->number);
}

/* The nearest 8-bit weight. */
static int8_t
learn_byte(float w, float scale)
{
	float	 x = roundf(w / scale);

	return ((int8_t)(x > 127 ? 127 : x < -127 ? -127 : x));
}

/* Fill the table of the gates. */
static void
learn_put_gates(struct linear *m, const struct corpus *c,
    const struct learner *l, const uint32_t *map)
{
	struct choice	*list;
	float		 top[LINEAR_HEADS] = { 0, 0 }, a, b;
	int8_t		 w[LINEAR_HEADS];
	size_t		 i, n = 0;
	int		 h;

	list = xcalloc(c->numbers_n + 1, sizeof *list);
	for (i = 0; i < c->numbers_n; i++) {
		if (map[i] == NONE)
			continue;
		a = fabsf(l[0].gate[map[i]].w);
		b = fabsf(l[1].gate[map[i]].w);
		list[n++] = (struct choice){ a > b ? a : b, (uint32_t)i };
		top[0] = a > top[0] ? a : top[0];
		top[1] = b > top[1] ? b : top[1];
	}
	qsort(list, n, sizeof *list, learn_compare);
	for (h = 0; h < LINEAR_HEADS; h++)
		m->head[h].scale = top[h] > 0 ? top[h] / 127 : 1;
	for (i = 0; i < n && list[i].matters > 0; i++) {
		for (h = 0; h < LINEAR_HEADS; h++)
			w[h] = learn_byte(l[h].gate[map[list[i].number]].w,
			    m->head[h].scale);
		if (w[0] != 0 || w[1] != 0)
			linear_put_gate(m, c->hash[list[i].number], w);
	}
	free(list);
}

/* Fill the table of the categories. */
static void
learn_put_names(struct linear *m, const struct corpus *c,
    const struct learner *l, const uint32_t *map)
{
	struct choice	*list;
	float		 top[LINEAR_HEADS] = { 0, 0 }, a, sum;
	int8_t		 w[LINEAR_HEADS * LINEAR_CATEGORIES];
	size_t		 i, n = 0;
	int		 h, k;

	list = xcalloc(c->numbers_n + 1, sizeof *list);
	for (i = 0; i < c->numbers_n; i++) {
		if (map[i] == NONE)
			continue;
		for (sum = 0, h = 0; h < LINEAR_HEADS; h++)
			for (k = 0; k < LINEAR_CATEGORIES; k++) {
				a = fabsf(l[h].name[(size_t)map[i] *
				    LINEAR_CATEGORIES + (size_t)k].w);
				sum += a * a;
				top[h] = a > top[h] ? a : top[h];
			}
		list[n++] = (struct choice){ sum, (uint32_t)i };
	}
	qsort(list, n, sizeof *list, learn_compare);
	for (h = 0; h < LINEAR_HEADS; h++)
		m->head[h].name_scale = top[h] > 0 ? top[h] / 127 : 1;
	for (i = 0; i < n && list[i].matters > 0; i++) {
		for (h = 0; h < LINEAR_HEADS; h++)
			for (k = 0; k < LINEAR_CATEGORIES; k++)
				w[h * LINEAR_CATEGORIES + k] = learn_byte(
				    l[h].name[(size_t)map[list[i].number] *
				    LINEAR_CATEGORIES + (size_t)k].w,
				    m->head[h].name_scale);
		linear_put_name(m, c->hash[list[i].number], w);
	}
	free(list);
}

/* Make a model of what was learned. */
static struct linear *
learn_finish(const struct corpus *c, const struct recipe *rc,
    const struct learner *l, const struct features_words *words,
    const uint32_t *map, const uint32_t *name_map)
{
	struct linear	*m;
	int		 h, k;

	m = xcalloc(1, sizeof *m);
	m->groups = xcalloc(words->groups_n + 1, sizeof *m->groups);
	if (words->groups_n > 0)
		memcpy(m->groups, words->groups, words->groups_n *
		    sizeof *m->groups);
	m->clusters = xcalloc(words->clusters_n + 1, sizeof *m->clusters);
	if (words->clusters_n > 0)
		memcpy(m->clusters, words->clusters, words->clusters_n *
		    sizeof *m->clusters);
	m->words = (struct features_words){ m->groups, words->groups_n,
	    m->clusters, words->clusters_n };
	m->gates_n = (uint32_t)rc->gates;
	m->gates = xcalloc(m->gates_n, sizeof *m->gates);
	m->names_n = (uint32_t)rc->names;
	m->names = xcalloc(m->names_n, sizeof *m->names);
	learn_put_gates(m, c, l, map);
	learn_put_names(m, c, l, name_map);
	for (h = 0; h < LINEAR_HEADS; h++) {
		m->head[h].bias = l[h].bias;
		m->head[h].slope = 1;
		for (k = 0; k < LINEAR_CATEGORIES; k++)
			m->head[h].name_bias[k] = l[h].name_bias[k].w;
	}
	return (m);
}

/* Train a model. */
struct linear *
learn_linear(const struct corpus *c, const struct rows *rows,
    const struct recipe *rc, const struct features_words *words,
    const unsigned char *left, int with_names)
{
	struct learner	 l[LINEAR_HEADS];
	struct linear	*m;
	pthread_t	 thread;
	uint32_t	*map, *name_map, n, names;
	int		 h, threaded;

	map = xcalloc(c->numbers_n + 1, sizeof *map);
	name_map = xcalloc(c->numbers_n + 1, sizeof *name_map);
	n = learn_map(c, rows, rc, left, 0, map);
	names = learn_map(c, rows, rc, left, 1, name_map);
	for (h = 0; h < LINEAR_HEADS; h++) {
		l[h] = (struct learner){ .c = c, .rows = rows, .rc = rc,
		    .map = map, .name_map = name_map, .head = h,
		    .with_names = with_names };
		l[h].gates = n;
		l[h].gate = xcalloc(n + 1, sizeof *l[h].gate);
		l[h].name = xcalloc(((size_t)names + 1) * LINEAR_CATEGORIES,
		    sizeof *l[h].name);
		learn_lessons(&l[h], left);
	}
	threaded = pthread_create(&thread, NULL, learn_run, &l[1]) == 0;
	learn_run(&l[0]);
	if (threaded)
		pthread_join(thread, NULL);
	else
		learn_run(&l[1]);
	fprintf(stderr, "%zu and %zu lessons, %u features, %u for the "
	    "categories, loss %.4f %.4f\n", l[0].n, l[1].n, n, names,
	    l[0].loss / (double)(l[0].n + 1),
	    l[1].loss / (double)(l[1].n + 1));
	m = learn_finish(c, rc, l, words, map, name_map);
	for (h = 0; h < LINEAR_HEADS; h++) {
		free(l[h].gate);
		free(l[h].name);
		free(l[h].lesson);
	}
	free(map);
	free(name_map);
	return (m);
}
