/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What feedback trains on: rows with each corrected reply after many phrasings
 * of what was said, pairs or labels to compare, replies of the parent to other
 * things; and the recipe, which mixes them with the templates.
 */
#include "feedback.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "folder.h"
#include "growbuf.h"
#include "path.h"
#include "rng.h"
#include "utf8.h"
#include "xmalloc.h"

#define WRITE_ORIGINALS	4	/* one row in so many has the words that were
				 * said */
#define WRITE_OWN	400	/* replies of the parent, without a corpus */
#define WRITE_REPLY	220	/* tokens of one, at most */
#define WRITE_SESSION	240	/* bytes of turns before a phrasing */
#define WRITE_TEMPLATE	640	/* mean bytes of a document of templates */
#define WRITE_TOKEN	3.5	/* bytes of a token, about */

/* Streams of the seed. */
enum { WRITE_SEED_VARY = 1, WRITE_SEED_CONTEXT, WRITE_SEED_OWN };

/* Append a row (taken; NULL: one of its texts is not UTF-8, and it is left
 * out). */
static void
write_row(struct feedback_rows *w, json_t *row)
{
	char	*s;

	if (row == NULL)
		return;
	s = json_dumps(row, JSON_COMPACT);
	textbuf_puts(&w->text, s);
	textbuf_puts(&w->text, "\n");
	w->n++;
	free(s);
	json_decref(row);
}

/* The mean bytes of a row. */
static double
write_mean(const struct feedback_rows *w)
{
	return (w->n == 0 ? 1 : (double)w->text.n / (double)w->n);
}

/* The prompt of phrasing k of row i. Owned. */
static char *
write_prompt(const struct feedback *t, size_t i, int64_t k)
{
	const struct feedback_row	*row = &t->data.row[i];
	struct feedback_row		 turns = { .said = row->said };
	struct gen_doc			 doc = { 0 };
	uint64_t			 seed, rng;
	char				*said, *prompt;
	size_t				 j;

	if (k % WRITE_ORIGINALS == 0)
		return (feedback_prompt(row, NULL));
	seed = (uint64_t)t->p.seed ^ (uint64_t)i << 20 ^ (uint64_t)k;
	said = gen_vary(t->gen, rng_seed(seed, WRITE_SEED_VARY), 0,
	    row->said);
	rng = rng_seed(seed, WRITE_SEED_CONTEXT);
	if (row->before.n > 0 || rng_real(&rng) >= t->p.context) {
		prompt = feedback_prompt(row, said);
		free(said);
		return (prompt);
	}
	gen_document(t->gen, rng_next(&rng), 1 + rng_below(&rng,
	    WRITE_SESSION), 0, &doc);
	for (j = 0; j < doc.n; j++)
		if (doc.turn[j].role == GEN_REPLY)
			doc.turn[j].role = GEN_CONTEXT;
	turns.before = doc;
	prompt = feedback_prompt(&turns, said);
	gen_doc_clear(&doc);
	free(said);
	return (prompt);
}

/* The rows with the right replies. */
static void
write_said(const struct feedback *t, struct feedback_rows *w)
{
	const struct feedback_row	*row;
	size_t				 i;
	int64_t				 k;
	char				*prompt;

	for (i = 0; i < t->data.n; i++) {
		row = &t->data.row[i];
		for (k = 0; row->good != NULL && k < t->p.phrasings; k++) {
			prompt = write_prompt(t, i, k);
			write_row(w, json_pack("{s:s, s:s}", "prompt", prompt,
			    "completion", row->good));
			free(prompt);
		}
	}
}

/* Pairs for DPO. */
static void
write_pairs(const struct feedback *t, struct feedback_rows *w)
{
	const struct feedback_row	*row;
	size_t				 i;
	int64_t				 k;
	char				*prompt;

	for (i = 0; i < t->data.n; i++) {
		row = &t->data.row[i];
		for (k = 0; row->good != NULL && row->bad != NULL &&
		    k < t->p.phrasings; k += 2) {
			prompt = write_prompt(t, i, k);
			write_row(w, json_pack("{s:s, s:s, s:s}", "prompt",
			    prompt, "chosen", row->good, "rejected",
			    row->bad));
			free(prompt);
		}
	}
}

/* One reply with its label. */
static void
write_label(struct feedback_rows *w, const char *prompt, const char *reply,
    int label)
{
	write_row(w, json_pack("{s:s, s:s, s:b}", "prompt", prompt,
	    "completion", reply, "label", label));
}

/* Labelled replies for KTO: each reply after each phrasing. */
static void
write_labels(const struct feedback *t, struct feedback_rows *w)
{
	const struct feedback_row	*row;
	size_t				 i;
	int64_t				 k;
	char				*prompt;

	for (i = 0; i < t->data.n; i++)
		for (k = 0; k < t->p.phrasings; k++) {
			row = &t->data.row[i];
			prompt = write_prompt(t, i, k);
			if (row->good != NULL)
				write_label(w, prompt, row->good, 1);
			if (row->bad != NULL)
				write_label(w, prompt, row->bad, 0);
			free(prompt);
		}
}

/* A generated prompt. Owned; NULL: nothing is said in the document. */
static char *
write_other(const struct feedback *t, int64_t i)
{
	uint64_t		 rng = rng_seed(rng_seed((uint64_t)t->p.seed,
				    WRITE_SEED_OWN), (uint64_t)i);
	struct gen_doc		 doc;
	struct feedback_row	 row = { .said = NULL };
	char			*out = NULL;
	size_t			 k, n;
	uint32_t		 seen = 0;

	gen_document(t->gen, rng_next(&rng), 60 + rng_below(&rng, 300), 0,
	    &doc);
	for (n = 0, k = 0; k < doc.n; k++)
		if (doc.turn[k].role == GEN_SAID &&
		    rng_below(&rng, ++seen) == 0)
			n = k + 1;
	if (n > 0) {
		row.before = doc;
		row.before.n = n - 1;
		row.said = doc.turn[n - 1].text;
		out = feedback_prompt(&row, NULL);
	}
	gen_doc_clear(&doc);
	return (out);
}

/* What the parent replies to other things, so that it goes on doing so. */
static int
write_own(struct feedback *t, struct feedback_rows *w, struct fault *f)
{
	int64_t			 want = t->p.own >= 0 ? t->p.own :
				    t->o->corpus != NULL ? 0 : WRITE_OWN, i;
	struct greedy_model	*m;
	struct greedy_item	*item;
	size_t			 n = 0, k;
	char			*prompt;
	int			 r;

	if (want == 0 || t->p.replay <= 0)
		return (0);
	if ((r = greedy_open(t->o->parent, "fp32", t->o->threads, &m,
	    f)) != 0)
		return (r);
	snprintf(t->parent_digest, sizeof t->parent_digest, "%s",
	    greedy_digest(m));
	item = xcalloc((size_t)want, sizeof *item);
	for (i = 0; i < want; i++)
		if ((prompt = write_other(t, i)) != NULL)
			item[n++].prompt = prompt;
	greedy_run(m, item, n, WRITE_REPLY);
	for (k = 0; k < n; k++) {
		if (item[k].ended && *item[k].reply != '\0' &&
		    utf8_valid(item[k].reply, strlen(item[k].reply)))
			write_row(w, json_pack("{s:s, s:s}", "prompt",
			    item[k].prompt, "completion", item[k].reply));
		free((void *)(uintptr_t)item[k].prompt);
		free(item[k].reply);
	}
	free(item);
	greedy_free(m);
	return (0);
}

/* A text in quotes, for YAML. Owned. */
static char *
write_quoted(const char *s)
{
	json_t	*v = json_string(s);
	char	*out = json_dumps(v, JSON_ENCODE_ANY);

	json_decref(v);
	return (out);
}

/* A line of data of the recipe. */
static void
write_source(struct textbuf *b, const char *kind, const char *path,
    const char *corpus, double share)
{
	char	*p = write_quoted(path), *c = NULL, *s;

	if (corpus != NULL)
		c = write_quoted(corpus);
	s = xasprintf("  - {kind: %s, path: %s%s%s, share: %.6g}\n", kind, p,
	    c == NULL ? "" : ", corpus: ", c == NULL ? "" : c, share);
	textbuf_puts(b, s);
	free(s);
	free(c);
	free(p);
}

/* The steps: each corrected reply is seen p->visits times. */
static int64_t
write_steps(const struct feedback *t, const struct feedback_rows *said)
{
	double	 tokens = write_mean(said) / WRITE_TOKEN *
		    (double)t->data.good * (double)t->p.visits;
	double	 steps = tokens / ((double)t->p.batch * (1 - t->p.replay));

	return (t->p.steps > 0 ? t->p.steps : (int64_t)steps + 10);
}

/* The recipe's data. Shares count documents, so they are divided by what a
 * document has. */
static void
write_data(const struct feedback *t, struct textbuf *b, int compare)
{
	const struct feedback_rows	*said = &t->said, *own = &t->own;
	double				 replay = t->p.replay;

	textbuf_puts(b, "data:\n");
	if (said->n > 0)
		write_source(b, "dialogues", "said.jsonl", NULL,
		    (1 - replay) / write_mean(said));
	if (own->n > 0) {
		replay /= 2;
		write_source(b, "dialogues", "own.jsonl", NULL,
		    replay / write_mean(own));
	}
	if (replay > 0 || said->n == 0)
		write_source(b, "templates", t->o->templates, t->o->corpus,
		    (replay > 0 ? replay : 1) / WRITE_TEMPLATE);
	if (compare != FEEDBACK_NONE)
		write_source(b, compare == FEEDBACK_DPO ? "preference" :
		    "labels", "compared.jsonl", NULL,
		    1 / write_mean(&t->compared));
}

/* The digest of all rows, so that another recipe is written for others. */
static void
write_digest(const struct feedback *t, char hex[SHA256_HEX])
{
	struct sha256	 d;

	sha256_init(&d);
	sha256_add(&d, t->said.text.s, t->said.text.n);
	sha256_add(&d, t->own.text.s, t->own.text.n);
	sha256_add(&d, t->compared.text.s, t->compared.text.n);
	sha256_end(&d, hex);
}

/* The recipe. Owned. */
static char *
write_recipe(const struct feedback *t, int compare)
{
	const struct feedback_preset	*p = &t->p;
	struct textbuf			 b = { 0 };
	char				*parent = write_quoted(t->o->parent);
	char				 digest[SHA256_HEX], *s;

	write_digest(t, digest);
	s = xasprintf("# Written by chatd-tune feedback, for rows with the "
	    "SHA-256 %s.\nstart: %s\n", digest, parent);
	textbuf_puts(&b, s);
	free(s);
	free(parent);
	write_data(t, &b, compare);
	s = xasprintf("objective: %s\nweights: {reply: 1, prompt: 0.05, "
	    "plain: 0.3}\nbeta: %.6g\npairs: %lld\npair_weight: %.6g\n"
	    "optimizer: %s\nrate: %.6g\nembed_rate: %.6g\nvector_rate: %.6g\n"
	    "beta1: 0.9\nbeta2: 0.98\neps: 1e-10\ndecay: 0.01\nclip: %.6g\n"
	    "schedule: linear\nfall: %.6g\nwarmup: %lld\nsteps: %lld\n"
	    "batch: %lld\nmicro: %lld\nseed: %lld\nsave_every: 20\n"
	    "dtype: F16\n", compare == FEEDBACK_DPO ? "sft_dpo" :
	    compare == FEEDBACK_KTO ? "sft_kto" : "sft", p->beta,
	    (long long)p->pairs, p->pair_weight, p->rank > 0 ? "adamw" :
	    "muon", p->rate, p->embed_rate, p->vector_rate, p->clip, p->fall,
	    (long long)p->warmup, (long long)t->steps, (long long)p->batch,
	    (long long)p->micro, (long long)p->seed);
	textbuf_puts(&b, s);
	free(s);
	if (p->rank > 0) {
		s = xasprintf("lora: {rank: %lld, alpha: %.6g}\n",
		    (long long)p->rank, p->alpha);
		textbuf_puts(&b, s);
		free(s);
	}
	textbuf_add(&b, "", 1);
	return (b.s);
}

/* How replies are compared. */
static int
write_compare(const struct feedback *t)
{
	if (t->p.compare != FEEDBACK_AUTO)
		return ((int)t->p.compare);
	return (t->data.pairs > 0 ? FEEDBACK_DPO : t->data.bad > 0 ?
	    FEEDBACK_KTO : FEEDBACK_NONE);
}

/* Make all rows, and the recipe. */
int
feedback_prepare(struct feedback *t, int own, struct fault *f)
{
	int	 compare = write_compare(t), r;

	write_said(t, &t->said);
	if (compare == FEEDBACK_DPO)
		write_pairs(t, &t->compared);
	else if (compare == FEEDBACK_KTO)
		write_labels(t, &t->compared);
	if (t->compared.n == 0)
		compare = FEEDBACK_NONE;
	t->steps = write_steps(t, &t->said);
	if (own && t->said.n + t->compared.n > 0 &&
	    (r = write_own(t, &t->own, f)) != 0)
		return (r);
	t->recipe = write_recipe(t, compare);
	return (0);
}

/* Write a file of the folder of files; it is for its owner only. */
static int
write_file(const struct feedback *t, const char *name,
    struct feedback_rows *w, struct fault *f)
{
	int	 r = w->n == 0 ? 0 : folder_put(t->work, name, w->text.s,
		    w->text.n, f);

	textbuf_clear(&w->text);
	return (r);
}

/* Write all files. */
int
feedback_write(struct feedback *t, struct fault *f)
{
	int	 r;

	if ((r = write_file(t, "said.jsonl", &t->said, f)) == 0 &&
	    (r = write_file(t, "own.jsonl", &t->own, f)) == 0 &&
	    (r = write_file(t, "compared.jsonl", &t->compared, f)) == 0)
		r = folder_put(t->work, "recipe.yaml", t->recipe,
		    strlen(t->recipe), f);
	return (r);
}
