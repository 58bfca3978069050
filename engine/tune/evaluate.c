/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks and perplexity of a model.
 */
#include "evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "growbuf.h"
#include "rng.h"
#include "xmalloc.h"

#define EVALUATE_REPLY	220	/* tokens of a reply, at most */
#define EVALUATE_SEED	990001	/* of the items */

/* The prompt before turn k: owned. */
char *
evaluate_prompt(const struct gen_doc *doc, size_t k)
{
	struct textbuf	 b = { 0 };
	size_t		 i;

	for (i = 0; i < k; i++) {
		textbuf_puts(&b, doc->turn[i].role == GEN_SAID ?
		    "<human>: " : doc->turn[i].role == GEN_PLAIN ? "" :
		    "<bot>: ");
		textbuf_puts(&b, doc->turn[i].text);
		if (doc->turn[i].role != GEN_PLAIN)
			textbuf_puts(&b, "\n");
	}
	textbuf_puts(&b, "<bot>:");
	textbuf_add(&b, "", 1);
	return (b.s);
}

/* Add the expected replies of one test. */
static int
evaluate_add(const struct gen *g, struct evaluate_set *s, const char *task,
    uint64_t seed)
{
	struct gen_doc	 doc;
	const char	*family;
	size_t		 k;
	int		 r;

	if ((r = gen_test(g, task, seed, &doc, &family)) != 0) {
		gen_doc_clear(&doc);
		return (r);
	}
	for (k = 0; k < doc.n; k++) {
		if (doc.turn[k].role != GEN_REPLY)
			continue;
		s->item = xreallocarray(s->item, s->n + 1, sizeof *s->item);
		s->want = xreallocarray(s->want, s->n + 1, sizeof *s->want);
		s->family = xreallocarray(s->family, s->n + 1,
		    sizeof *s->family);
		memset(&s->item[s->n], 0, sizeof *s->item);
		s->item[s->n].prompt = evaluate_prompt(&doc, k);
		s->want[s->n] = xstrdup(doc.turn[k].text);
		s->family[s->n++] = family;
	}
	gen_doc_clear(&doc);
	return (0);
}

/* Ask all items of a task. */
int
evaluate_ask(const struct gen *g, struct greedy_model *m, const char *task,
    int items, struct evaluate_set *s)
{
	uint64_t	 i;
	int		 r = 0;

	memset(s, 0, sizeof *s);
	for (i = 0; r == 0 && i < (uint64_t)items; i++)
		r = evaluate_add(g, s, task, rng_seed(EVALUATE_SEED, i));
	if (r == 0 && s->n > 0)
		greedy_run(m, s->item, s->n, EVALUATE_REPLY);
	if (r != 0)
		evaluate_clear(s);
	return (r);
}

/* Release a set. */
void
evaluate_clear(struct evaluate_set *s)
{
	size_t	 i;

	for (i = 0; i < s->n; i++) {
		free((void *)(uintptr_t)s->item[i].prompt);
		free(s->item[i].reply);
		free(s->want[i]);
	}
	free(s->item);
	free(s->want);
	free(s->family);
	memset(s, 0, sizeof *s);
}

/* Is item i answered exactly? */
int
evaluate_right(const struct evaluate_set *s, size_t i)
{
	return (s->item[i].ended &&
	    strcmp(s->item[i].reply, s->want[i]) == 0);
}

/* The perplexity of a part of the corpus' dialogues. Their words are not held
 * out: training has seen one part in eight of each at most a few times. */
double
evaluate_perplexity(const struct gen *g, struct greedy_model *m,
    int documents, int *tokens)
{
	struct gen_doc	 doc = { 0 };
	struct gen_ctx	 c;
	struct textbuf	 b = { 0 };
	double		 sum = 0;
	char		*s;
	int		 i, n;

	*tokens = 0;
	for (i = 0; i < documents; i++) {
		gen_ctx_init(&c, g, rng_seed(EVALUATE_SEED,
		    (uint64_t)(1000000 + i)), 1, &doc);
		if (g->talks > 0)
			gen_plain(&c, 1500);
		else
			gen_session(&c, 900);
		gen_ctx_clear(&c);
		s = evaluate_prompt(&doc, doc.n);
		b.n = 0;
		textbuf_puts(&b, s);
		b.n -= strlen("<bot>:");
		free(s);
		gen_doc_clear(&doc);
		sum += greedy_loss(m, b.s, b.n, &n);
		*tokens += n;
	}
	textbuf_clear(&b);
	return (*tokens > 0 ? exp(sum / *tokens) : 0);
}
