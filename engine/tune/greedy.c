/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Greedy replies.  Each of GREEDY_SLOTS sequences has blocks of the backend's
 * cache of its own.
 */
#include "greedy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "growbuf.h"
#include "model.h"
#include "tokenizer.h"
#include "xmalloc.h"

#define GREEDY_SLOTS	16
#define GREEDY_STOP	"<human>"

/* A sequence. */
struct greedy_slot {
	struct greedy_item	*item;
	struct idbuf		 id;	/* prompt and reply */
	size_t			 prompt;
	struct textbuf		 text;	/* of the reply */
	int32_t			*blocks; /* owned */
	float			*logits; /* owned: after the last token */
	int			 bad;	/* a step has failed */
	int			 active;
};

struct greedy_model {
	struct model		*model;		/* owned, like the next */
	struct tokenizer	*tok;
	struct backend		*b;
	struct backend_info	 info;
	struct greedy_slot	 slot[GREEDY_SLOTS];
	int			 eos;
};

/* Open the parts of a model. */
static int
greedy_parts(struct greedy_model *m, const char *path,
    const struct backend_options *opt, struct fault *f)
{
	const char	*text, *where;
	size_t		 n;
	int		 r;

	if ((r = model_open(path, &m->model, f)) != 0)
		return (r);
	if ((text = model_tokenizer(m->model, &n, &where)) == NULL)
		return (fault_set(f, "bad_model", NULL,
		    "%s: no tokenizer.json", path));
	if ((r = tokenizer_parse(where, text, n, &m->tok, f)) != 0)
		return (r);
	return (backend_open(m->model, opt, &m->b, f));
}

/* Open a model. */
int
greedy_open(const char *path, const char *precision, int threads,
    struct greedy_model **out, struct fault *f)
{
	struct backend_options	 opt = { .precision = precision,
				    .kv_precision = "auto", .device = "cpu",
				    .isa = "auto", .threads = threads };
	struct greedy_model	*m = xcalloc(1, sizeof *m);
	int			 r, i, k, per;

	opt.rows = 64;
	opt.kv_tokens = 65536;
	if ((r = greedy_parts(m, path, &opt, f)) != 0) {
		greedy_free(m);
		return (r);
	}
	m->b->ops->info(m->b, &m->info);
	m->eos = model_config(m->model)->eos;
	per = m->info.kv_blocks / GREEDY_SLOTS;
	if (per > (m->info.context + KV_BLOCK - 1) / KV_BLOCK)
		per = (m->info.context + KV_BLOCK - 1) / KV_BLOCK;
	for (i = 0; i < GREEDY_SLOTS; i++) {
		m->slot[i].blocks = xcalloc((size_t)per,
		    sizeof *m->slot[i].blocks);
		m->slot[i].logits = xcalloc((size_t)m->info.vocab,
		    sizeof *m->slot[i].logits);
		for (k = 0; k < per; k++)
			m->slot[i].blocks[k] = i * per + k;
	}
	if (m->info.context > per * KV_BLOCK)
		m->info.context = per * KV_BLOCK;
	*out = m;
	return (0);
}

/* Close it. */
void
greedy_free(struct greedy_model *m)
{
	int	 i;

	if (m == NULL)
		return;
	for (i = 0; i < GREEDY_SLOTS; i++) {
		free(m->slot[i].blocks);
		free(m->slot[i].logits);
		idbuf_clear(&m->slot[i].id);
		textbuf_clear(&m->slot[i].text);
	}
	if (m->b != NULL)
		m->b->ops->free(m->b);
	tokenizer_free(m->tok);
	model_free(m->model);
	free(m);
}

/* The digest. */
const char *
greedy_digest(const struct greedy_model *m)
{
	return (model_digest(m->model));
}

/* End a reply: without the stop text and white space. */
static void
greedy_end(struct greedy_slot *s, int ended)
{
	const char	*t = s->text.s;
	size_t		 n = s->text.n;

	while (n > 0 && strchr(" \n\t", *t) != NULL) {
		t++;
		n--;
	}
	while (n > 0 && strchr(" \n\t", t[n - 1]) != NULL)
		n--;
	s->item->reply = n > 0 ? xstrndup(t, n) : xstrdup("");
	s->item->ended = ended;
	s->active = 0;
}

/* The largest logit. */
static int32_t
greedy_best(const float *logit, int V)
{
	int	 i, best = 0;

	for (i = 1; i < V; i++)
		if (logit[i] > logit[best])
			best = i;
	return (best);
}

/* Take the token that a step has found. */
static void
greedy_take(struct greedy_model *m, struct greedy_slot *s, int most)
{
	const char	*bytes, *stop;
	size_t		 n, stop_n = strlen(GREEDY_STOP);
	int32_t		 id = greedy_best(s->logits, m->info.vocab);

	if (id == m->eos || s->bad) {
		greedy_end(s, !s->bad);
		return;
	}
	bytes = tokenizer_bytes(m->tok, id, &n);
	textbuf_add(&s->text, bytes, n);
	idbuf_add(&s->id, id);
	stop = s->text.n >= stop_n ? memmem(s->text.s, s->text.n, GREEDY_STOP,
	    stop_n) : NULL;
	if (stop != NULL) {
		s->text.n = (size_t)(stop - s->text.s);
		greedy_end(s, 1);
	} else if (s->id.n - s->prompt >= (size_t)most ||
	    s->id.n >= (size_t)m->info.context)
		greedy_end(s, 0);
}

/* Run the rows of a slot from position `from` on; the last one wants
 * logits. */
static void
greedy_rows(struct greedy_model *m, struct greedy_slot *s, size_t from)
{
	struct backend_row	*row = xcalloc(s->id.n - from, sizeof *row);
	size_t			 i;

	for (i = from; i < s->id.n; i++) {
		row[i - from].token = s->id.id[i];
		row[i - from].pos = (int32_t)i;
		row[i - from].blocks = s->blocks;
	}
	row[s->id.n - from - 1].logits = s->logits;
	if (m->b->ops->step(m->b, row, (int)(s->id.n - from)) != 0)
		s->bad = 1;
	free(row);
}

/* Begin an item in a slot. */
static void
greedy_begin(struct greedy_model *m, struct greedy_slot *s,
    struct greedy_item *item, int most)
{
	s->item = item;
	s->id.n = s->text.n = 0;
	s->active = 1;
	s->bad = 0;
	tokenizer_encode(m->tok, item->prompt, strlen(item->prompt), 0,
	    &s->id);
	s->prompt = s->id.n;
	if (s->id.n == 0 || s->id.n >= (size_t)m->info.context) {
		greedy_end(s, 0);
		return;
	}
	greedy_rows(m, s, 0);
	greedy_take(m, s, most);
}

/* One token for each active slot. Returns their number. */
static int
greedy_step(struct greedy_model *m, int most)
{
	struct backend_row	 row[GREEDY_SLOTS];
	struct greedy_slot	*used[GREEDY_SLOTS], *s;
	int			 i, n = 0;

	memset(row, 0, sizeof row);
	for (i = 0; i < GREEDY_SLOTS; i++) {
		s = &m->slot[i];
		if (!s->active)
			continue;
		row[n].token = s->id.id[s->id.n - 1];
		row[n].pos = (int32_t)s->id.n - 1;
		row[n].blocks = s->blocks;
		row[n].logits = s->logits;
		used[n++] = s;
	}
	if (n > 0 && m->b->ops->step(m->b, row, n) != 0)
		for (i = 0; i < n; i++)
			used[i]->bad = 1;
	for (i = 0; i < n; i++)
		greedy_take(m, used[i], most);
	return (n);
}

/* Reply to all. */
void
greedy_run(struct greedy_model *m, struct greedy_item *item, size_t n, int most)
{
	size_t	 next = 0;
	int	 i;

	for (;;) {
		for (i = 0; i < GREEDY_SLOTS && next < n; i++)
			if (!m->slot[i].active)
				greedy_begin(m, &m->slot[i], &item[next++],
				    most);
		if (greedy_step(m, most) == 0 && next == n)
			return;
	}
}

/* The loss of one row of logits. */
static double
greedy_row_loss(const float *logit, int V, int32_t id)
{
	float	 max = logit[0];
	double	 sum = 0;
	int	 i;

	for (i = 1; i < V; i++)
		max = logit[i] > max ? logit[i] : max;
	for (i = 0; i < V; i++)
		sum += exp((double)logit[i] - (double)max);
	return (log(sum) + (double)max - (double)logit[id]);
}

/* The loss of a text. */
double
greedy_loss(struct greedy_model *m, const char *s, size_t n, int *tokens)
{
	struct greedy_slot	*slot = &m->slot[0];
	struct backend_row	*row;
	int			 V = m->info.vocab, T, i;
	float			*logits;
	double			 sum = 0;

	slot->id.n = 0;
	tokenizer_encode(m->tok, s, n, 0, &slot->id);
	T = (int)slot->id.n < m->info.context ? (int)slot->id.n :
	    m->info.context;
	*tokens = 0;
	if (T < 2)
		return (0);
	row = xcalloc((size_t)T, sizeof *row);
	logits = xcalloc((size_t)T * (size_t)V, sizeof *logits);
	for (i = 0; i < T; i++) {
		row[i].token = slot->id.id[i];
		row[i].pos = i;
		row[i].blocks = slot->blocks;
		row[i].logits = logits + (size_t)i * (size_t)V;
	}
	if (m->b->ops->step(m->b, row, T) == 0) {
		for (i = 0; i + 1 < T; i++)
			sum += greedy_row_loss(row[i].logits, V,
			    slot->id.id[i + 1]);
		*tokens = T - 1;
	}
	free(logits);
	free(row);
	return (sum);
}
