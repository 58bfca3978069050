/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A training run, from the recipe to the folder of the model.
 */
#include "run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "begin.h"
#include "bpe_train.h"
#include "clock.h"
#include "folder.h"
#include "mat_device.h"
#include "path.h"
#include "pool.h"
#include "rng.h"
#include "sha256.h"
#include "xmalloc.h"

#define TRAIN_RECIPE_MAX	(1024 * 1024)

/* Add the bytes of a file to the digest; a folder's name counts. */
static int
run_digest_file(struct sha256 *s, const char *path, struct fault *f)
{
	char	*text;
	size_t	 n;
	int	 r;

	if ((r = path_read(path, TRAIN_RECIPE_MAX, &text, &n)) != 0) {
		fault_set(f, "bad_config", NULL, "%s: %s", path,
		    r == CHAT_ESYSTEM ? strerror(errno) : chat_strerror(r));
		return (r);
	}
	sha256_add(s, text, n);
	free(text);
	return (0);
}

/* Make the tokenizer from the recipe's documents, and write it. */
static int
run_tokenizer_new(struct run *t, const char *out, struct fault *f)
{
	struct bpe_train	*b = bpe_train_new();
	struct textbuf		 text = { 0 };
	int			 i;

	for (i = 0; i < t->r->documents; i++) {
		text.n = 0;
		/* Far from the documents of the training. */
		data_text(t->data, -1 - (int64_t)i, &text);
		bpe_train_text(b, text.s, text.n);
	}
	t->tok_text = bpe_train_json(b, t->r->model.vocab);
	t->tok_len = strlen(t->tok_text);
	textbuf_clear(&text);
	bpe_train_free(b);
	return (folder_put(out, "tokenizer.json", t->tok_text, t->tok_len,
	    f));
}

/* Read the tokenizer. */
static int
run_tokenizer_read(struct run *t, const char *path, struct fault *f)
{
	int	 r = path_read(path, TOKENIZER_FILE_MAX, &t->tok_text,
		    &t->tok_len);

	if (r != 0)
		fault_set(f, "bad_config", "tokenizer", "%s: %s", path,
		    r == CHAT_ESYSTEM ? strerror(errno) : chat_strerror(r));
	return (r);
}

/* The tokenizer: of a file, of the model (may be NULL), or a new one. A run
 * that continues has made it in an earlier part; any other file is replaced. */
static int
run_tokenizer(struct run *t, const struct model *m, const char *out,
    struct fault *f)
{
	const char	*path = t->r->tokenizer, *text = NULL;
	char		*own = NULL;
	int		 r = 0;

	if (path == NULL && m != NULL)
		text = model_tokenizer(m, &t->tok_len, &path);
	if (path == NULL)
		path = own = path_join(out, "tokenizer.json");
	if (text != NULL)
		t->tok_text = xstrndup(text, t->tok_len);
	else if (own != NULL && !run_saved(out))
		r = run_tokenizer_new(t, out, f);
	else
		r = run_tokenizer_read(t, path, f);
	if (r == 0)
		r = tokenizer_parse(path, t->tok_text, t->tok_len, &t->tok,
		    f);
	free(own);
	if (r == 0)
		data_set_tokenizer(t->data, t->tok);
	return (r);
}

/* Tokens of the longest pass. */
static int
run_rows(const struct recipe *r)
{
	int64_t	 most = recipe_compares(r) == RECIPE_DPO ? 2 * r->length :
		    r->length;

	return ((int)(r->micro > most ? r->micro : most));
}

/* Check that the ids of the tokenizer have embeddings. */
static int
run_fits(const struct run *t, const struct model_config *c,
    struct fault *f)
{
	if (tokenizer_size(t->tok) > c->vocab)
		return (fault_set(f, "bad_config", NULL, "the tokenizer has "
		    "%d ids, the model's vocab_size is %d",
		    tokenizer_size(t->tok), c->vocab));
	return (0);
}

/* The model: read, or new. */
static int
run_model(struct run *t, struct recipe *r, struct model *m,
    const struct mat_kind *kind, struct fault *f)
{
	struct model_config	 c = m != NULL ? *model_config(m) : r->model;
	int			 e;

	if (r->length == 0 || r->length > c.context)
		r->length = c.context;
	if (m == NULL && tokenizer_size(t->tok) < c.vocab)
		c.vocab = tokenizer_size(t->tok);
	if ((e = run_fits(t, &c, f)) != 0 ||
	    (e = net_new(&c, run_rows(r), kind, t->pool, &t->net, f)) != 0)
		return (e);
	t->net->mat.device = t->device;
	if (m != NULL) {
		e = folder_read(m, t->net, f);
		t->base = model_digest(m);
	} else if (r->induction)
		begin_induction(t->net, rng_seed((uint64_t)r->seed, 1));
	else
		begin_normal(t->net, rng_seed((uint64_t)r->seed, 1));
	if (e != 0)
		return (e);
	if (r->rank > 0) {
		t->lora = lora_new(t->net, r->rank, (float)r->alpha,
		    r->targets, rng_seed((uint64_t)r->seed, 2));
		t->net->lora = t->lora;
		t->net->frozen = 1;
	} else if (recipe_compares(r) != -1) {
		if ((e = net_new(&c, run_rows(r), kind, t->pool, &t->ref,
		    f)) != 0)
			return (e);
		t->ref->mat.device = t->device;
		memcpy(t->ref->param, t->net->param,
		    t->net->n * sizeof *t->net->param);
	}
	return (0);
}

/* The optimiser of the recipe. */
static void
run_optimizer(struct run *t)
{
	const struct recipe	*r = t->r;
	struct optim_options	 o = { .kind = (enum optim_kind)r->optimizer,
				    .rate = r->rate,
				    .embed_rate = r->embed_rate,
				    .vector_rate = r->vector_rate,
				    .beta1 = r->beta1, .beta2 = r->beta2,
				    .eps = r->eps, .decay = r->decay,
				    .momentum = r->momentum,
				    .clip = r->clip };

	t->optim = optim_new(&o, t->net);
}

/* Processor time of all threads, in seconds. */
static double
run_cpu(void)
{
	struct timespec	 t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return ((double)t.tv_sec + 1e-9 * (double)t.tv_nsec);
}

/* A line of progress. */
static void
run_say(const struct run *t, int64_t first, int64_t tokens, double begin,
    double cpu)
{
	const struct run_point	*p = &t->point[t->step - 1];
	double	 spent = clock_seconds() - begin, rate, left;

	rate = (double)(t->tokens - tokens) / (spent > 0 ? spent : 1e-9);
	left = spent / (double)(t->step - first) *
	    (double)(t->r->steps - t->step);
	printf("step %lld/%lld  %.2fM tokens  loss %.4f  norm %.3g  rate "
	    "%.3f  %.0f tokens/s (%.0f, %.0f GFLOP per CPU s)  %d:%02d "
	    "left\n",
	    (long long)t->step, (long long)t->r->steps,
	    (double)t->tokens / 1e6, p->loss, p->norm, p->rate, rate,
	    (double)(t->tokens - tokens) / (run_cpu() - cpu),
	    t->net->mat.flops / 1e9 / (run_cpu() - cpu),
	    (int)(left / 60), (int)left % 60);
	fflush(stdout);
}

/* Are all weights numbers? */
static int
run_weights_finite(const struct run *t)
{
	const float	*p = t->lora != NULL ? t->lora->param :
			    t->net->param;
	size_t		 n = t->lora != NULL ? t->lora->n : t->net->n, i;

	for (i = 0; i < n; i++)
		if (!isfinite(p[i]))
			return (0);
	return (1);
}

/* After a step: refuse to go on with numbers that are lost. save: the weights
 * are about to be saved. */
static int
run_check(const struct run *t, int save, struct fault *f)
{
	const struct run_point	*p = &t->point[t->step - 1];
	const char		*what = !isfinite(p->loss) ? "the loss" :
				    !isfinite(p->norm) ? "the gradient" :
				    save && !run_weights_finite(t) ?
				    "a weight" : NULL;
	char			*kept;
	int			 r;

	if (what == NULL)
		return (0);
	kept = t->saved == 0 ? xstrdup("there is no checkpoint") :
	    xasprintf("the checkpoint of step %lld is kept",
	    (long long)t->saved);
	r = fault_set(f, "bad_config", NULL, "step %lld: %s is not finite; "
	    "%s; lower the rate", (long long)t->step, what, kept);
	free(kept);
	return (r);
}

/* All steps that are left. */
static int
run_steps(struct run *t, const struct run_options *o, struct fault *f)
{
	int64_t	 first = t->step, tokens = t->tokens;
	int64_t	 end = o->stop > 0 && o->stop < t->r->steps ? o->stop :
		    t->r->steps;
	double	 begin = clock_seconds(), cpu = run_cpu();
	int	 r = 0, save;

	while (r == 0 && t->step < end) {
		run_step(t);
		save = t->step % t->r->save_every == 0 || t->step == end;
		if ((r = run_check(t, save, f)) != 0)
			return (r);
		if (o->step != NULL)
			o->step(o->arg, t);
		else if (o->every > 0 && (t->step % o->every == 0 ||
		    t->step == end))
			run_say(t, first, tokens, begin, cpu);
		if (save)
			r = run_save(t, o->out, f);
	}
	return (r);
}

/* What a whole run leaves: the model or the adapters, and the log. */
static int
run_finish(struct run *t, const struct run_options *o, struct fault *f)
{
	int	 r = run_plot(t, o->out, f);

	if (r != 0 || t->step < t->r->steps)
		return (r);
	if (t->lora == NULL)
		return (folder_write(o->out, t->net,
		    recipe_dtypes[t->r->dtype], t->tok_text, t->tok_len, f));
	if ((r = folder_write_adapter(o->out, t->net, t->r->start != NULL ?
	    t->r->start : "", t->base, f)) != 0 || o->whole == NULL)
		return (r);
	lora_merge(t->net);
	return (folder_write(o->whole, t->net, recipe_dtypes[t->r->dtype],
	    t->tok_text, t->tok_len, f));
}

/* Release everything. */
static void
run_clear(struct run *t)
{
	size_t	 i;

	for (i = 0; i < t->batch_size; i++)
		net_batch_clear(&t->batch[i]);
	free(t->batch);
	data_doc_clear(&t->doc);
	free(t->point);
	optim_free(t->optim);
	lora_free(t->lora);
	net_free(t->ref);
	net_free(t->net);
	tokenizer_free(t->tok);
	free(t->tok_text);
	data_free(t->data);
	mat_device_free(t->device);
	pool_free(t->pool);
}

/* Set everything up, and run. */
static int
run_all(struct run *t, struct recipe *r, const struct run_options *o,
    struct model *m, const struct mat_kind *kind, struct fault *f)
{
	int	 e;

	t->r = r;
	t->changed = o->changed;
	if ((e = data_open(r, o->corpus, &t->data, f)) != 0 ||
	    (o->fresh && (e = run_forget(o->out, f)) != 0) ||
	    (e = run_tokenizer(t, m, o->out, f)) != 0 ||
	    (e = run_model(t, r, m, kind, f)) != 0 ||
	    (e = data_check(t->data, f)) != 0)
		return (e);
	run_optimizer(t);
	t->point = xcalloc((size_t)r->steps, sizeof *t->point);
	if ((e = run_restore(t, o->out, f)) < 0)
		return (e);
	if (e == 1 && o->step == NULL)
		printf("continued after step %lld\n", (long long)t->step);
	if (o->every > 0 && o->step == NULL)
		printf("%zu parameters, %s, %d threads%s%s\n",
		    t->lora != NULL ? t->lora->n : t->net->n, kind->name,
		    pool_size(t->pool), t->device != NULL ? ", products on " :
		    "", t->device != NULL ? mat_device_name(t->device) : "");
	if ((e = run_steps(t, o, f)) != 0)
		return (e);
	return (run_finish(t, o, f));
}

/* A run. */
int
run_recipe(const struct run_options *o, struct fault *f)
{
	const struct mat_kind	*kind = mat_find(o->isa);
	struct run		 t;
	struct recipe		 r;
	struct model		*m = NULL;
	struct sha256		 s;
	int			 e;

	memset(&t, 0, sizeof t);
	if (kind == NULL)
		return (fault_set(f, "bad_config", NULL, "--isa: \"%s\" is "
		    "not auto, amx, avx512fp16, avx512bf16, avx512, avx2 or "
		    "scalar, or this processor can't run it", o->isa));
	if ((e = recipe_load(o->recipe, &r, f)) != 0)
		return (e);
	if (path_mkdirs(o->out, 0755) != 0) {
		fault_set(f, "system", NULL, "%s: %s", o->out,
		    strerror(errno));
		recipe_clear(&r);
		return (CHAT_ESYSTEM);
	}
	sha256_init(&s);
	e = run_digest_file(&s, o->recipe, f);
	sha256_add(&s, o->corpus, o->corpus == NULL ? 0 :
	    strlen(o->corpus));
	sha256_end(&s, t.digest);
	if (e == 0)
		e = mat_device_open(o->device, &t.device, f);
	if (e == 0 && r.start != NULL)
		e = model_open(r.start, &m, f);
	if (e == 0) {
		t.pool = pool_new(o->threads);
		e = run_all(&t, &r, o, m, kind, f);
	}
	run_clear(&t);
	model_free(m);
	recipe_clear(&r);
	return (e);
}
