/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents of all sources: templates, and files of rows (data_rows.c).
 */
#include "data.h"

#include <stdlib.h>
#include <string.h>

#include "growbuf.h"
#include "rng.h"
#include "xmalloc.h"

#define DATA_TRIES	1000	/* documents of templates, to find one */

struct data_source {
	struct gen	*gen;		/* owned; NULL: a file */
	struct data_row	*row;		/* owned */
	size_t		 n;
};

struct data {
	const struct recipe	*r;		/* borrowed */
	const struct tokenizer	*tok;		/* borrowed */
	struct data_source	*source;	/* owned */
};

/* Lengths of generated documents in bytes, and how often. */
static const struct {
	int	 bytes, weight;
} data_lengths[] = {
	{ 120, 18 }, { 400, 22 }, { 900, 12 }, { 2600, 6 }
};

/* Append text with one weight. */
static void
data_put(const struct tokenizer *t, struct data_doc *d, const char *s,
    size_t n, double weight)
{
	size_t	 from = d->id.n;

	tokenizer_encode(t, s, n, 0, &d->id);
	if (d->id.n > d->size) {
		d->size = 2 * d->id.n;
		d->weight = xreallocarray(d->weight, d->size,
		    sizeof *d->weight);
	}
	for (; from < d->id.n; from++)
		d->weight[from] = (float)weight;
}

/* A turn, with its tag. learnt: the last turn was a reply that is learnt. */
static void
data_turn(const struct tokenizer *t, struct data_doc *d, const char *tag,
    const char *text, int first, double tag_weight, double weight)
{
	char	*s = xasprintf("%s%s", first ? "" : "\n", tag);
	size_t	 n;

	data_put(t, d, s, strlen(s), tag_weight);
	free(s);
	text += strspn(text, " \n\t");
	n = strlen(text);
	while (n > 0 && strchr(" \n\t", text[n - 1]) != NULL)
		n--;
	s = xasprintf(" %.*s", (int)n, text);
	if (n > 0)
		data_put(t, d, s, strlen(s), weight);
	free(s);
}

/* Encode turns. */
void
data_add_turns(const struct tokenizer *t, const struct recipe *r,
    const struct gen_doc *doc, struct data_doc *out)
{
	double	 all = r->objective == RECIPE_LM ? 1 : 0;
	int	 learnt = 0, first = 1, reply;
	size_t	 i;

	for (i = 0; i < doc->n; i++) {
		if (doc->turn[i].role == GEN_PLAIN) {
			data_put(t, out, doc->turn[i].text,
			    strlen(doc->turn[i].text),
			    all > 0 ? 1 : r->plain);
			continue;
		}
		reply = doc->turn[i].role != GEN_SAID;
		/* The tag after a reply ends it. */
		data_turn(t, out, reply ? DATA_BOT : DATA_HUMAN,
		    doc->turn[i].text, first, all > 0 ? 1 : learnt ?
		    r->reply : r->prompt * 0.25,
		    all > 0 ? 1 : doc->turn[i].role == GEN_REPLY ? r->reply :
		    reply ? 0 : r->prompt);
		learnt = doc->turn[i].role == GEN_REPLY;
		first = 0;
	}
	if (!first)
		data_put(t, out, "\n" DATA_HUMAN, strlen("\n" DATA_HUMAN),
		    all > 0 ? 1 : learnt ? r->reply : 0);
}

/* Open all sources. */
int
data_open(const struct recipe *r, const char *corpus, struct data **out,
    struct fault *f)
{
	struct data	*d = xcalloc(1, sizeof *d);
	size_t		 i;
	int		 e = 0;

	d->r = r;
	d->source = xcalloc(r->sources, sizeof *d->source);
	for (i = 0; e == 0 && i < r->sources; i++)
		e = r->source[i].kind == DATA_TEMPLATES ?
		    gen_open(r->source[i].path, r->source[i].corpus != NULL ?
		    r->source[i].corpus : corpus, &d->source[i].gen, f) :
		    data_rows(&r->source[i], &d->source[i].row,
		    &d->source[i].n, f);
	if (e != 0) {
		data_free(d);
		return (e);
	}
	*out = d;
	return (0);
}

/* Release them. */
void
data_free(struct data *d)
{
	size_t	 i, k;

	if (d == NULL)
		return;
	for (i = 0; i < d->r->sources; i++) {
		gen_free(d->source[i].gen);
		for (k = 0; k < d->source[i].n; k++)
			data_row_clear(&d->source[i].row[k]);
		free(d->source[i].row);
	}
	free(d->source);
	free(d);
}

/* Set the tokenizer. */
void
data_set_tokenizer(struct data *d, const struct tokenizer *t)
{
	d->tok = t;
}

/* The share of a source in the documents of a part. */
static double
data_share(const struct data *d, size_t i, enum data_part part)
{
	const struct recipe_source	*s = &d->r->source[i];
	int				 compared;

	compared = s->kind == DATA_PREFERENCE || s->kind == DATA_LABELS;
	if (recipe_learns(d->r) && recipe_compares(d->r) != -1 &&
	    compared != (part == DATA_COMPARED))
		return (0);
	return (s->share);
}

/* The source of a document of a part, by the shares. */
static size_t
data_choose(const struct data *d, enum data_part part, uint64_t *rng)
{
	double	 sum = 0, at;
	size_t	 i, last = 0;

	for (i = 0; i < d->r->sources; i++)
		sum += data_share(d, i, part);
	at = rng_real(rng) * sum;
	for (i = 0; i < d->r->sources; i++) {
		if (data_share(d, i, part) <= 0)
			continue;
		last = i;
		if ((at -= data_share(d, i, part)) < 0)
			break;
	}
	return (last);
}

/* A length for a generated document. */
static size_t
data_length(uint64_t *rng)
{
	int	 sum = 0, at;
	size_t	 i;

	for (i = 0; i < nitems(data_lengths); i++)
		sum += data_lengths[i].weight;
	at = (int)rng_below(rng, (uint32_t)sum);
	for (i = 0; i + 1 < nitems(data_lengths); i++)
		if ((at -= data_lengths[i].weight) < 0)
			break;
	return ((size_t)data_lengths[i].bytes);
}

/* The turns of document i: from a row (borrowed) or generated into made. */
static const struct gen_doc *
data_turns_of(struct data *d, int64_t i, enum data_part part,
    struct gen_doc *made, const struct data_row **row)
{
	uint64_t		 rng = rng_seed((uint64_t)d->r->seed,
				    (uint64_t)i);
	size_t			 s = data_choose(d, part, &rng), bytes;
	struct data_source	*src = &d->source[s];

	*row = NULL;
	if (src->gen == NULL) {
		*row = &src->row[rng_below(&rng, (uint32_t)src->n)];
		return (&(*row)->doc);
	}
	bytes = data_length(&rng);
	gen_document(src->gen, rng_next(&rng), bytes,
	    bytes > 200 && rng_below(&rng, 8) == 0, made);
	return (made);
}

/* Append turns, at most r->length tokens of them. */
static void
data_append(const struct data *d, const struct recipe *r,
    const struct gen_doc *doc, struct data_doc *out)
{
	size_t	 from = out->id.n;

	data_add_turns(d->tok, r, doc, out);
	if (r->length > 0 && out->id.n - from > (size_t)r->length)
		out->id.n = from + (size_t)r->length;
}

/* The rejected reply after the same prompt. */
static void
data_other(const struct data *d, const struct recipe *r,
    const struct data_row *row, struct data_doc *out)
{
	struct gen_doc	 other = row->doc;

	other.turn = xcalloc(row->doc.n, sizeof *other.turn);
	memcpy(other.turn, row->doc.turn, row->doc.n * sizeof *other.turn);
	other.turn[row->prompt].text = row->other;
	data_append(d, r, &other, out);
	free(other.turn);
}

/* Encode turns, which are those of a row unless row is NULL. */
static void
data_encode(const struct data *d, const struct recipe *r,
    const struct gen_doc *doc, const struct data_row *row,
    struct data_doc *out)
{
	out->id.n = 0;
	data_append(d, r, doc, out);
	out->split = out->id.n;
	out->label = row != NULL && row->label;
	out->pair = row != NULL && row->other != NULL;
	if (out->pair)
		data_other(d, r, row, out);
}

/* Can something be learnt from a document? */
int
data_usable(const struct data_doc *doc)
{
	return (doc->split >= 2 && (!doc->pair ||
	    doc->id.n >= doc->split + 2));
}

/* Has a source a document of which data_usable is true? */
static int
data_source_usable(const struct data *d, const struct data_source *s,
    struct data_doc *out)
{
	struct gen_doc	 made;
	size_t		 i;

	for (i = 0; i < s->n; i++) {
		data_encode(d, d->r, &s->row[i].doc, &s->row[i], out);
		if (data_usable(out))
			return (1);
	}
	for (i = 0; s->gen != NULL && i < DATA_TRIES; i++) {
		memset(&made, 0, sizeof made);
		gen_document(s->gen, rng_seed(0, i),
		    (size_t)data_lengths[0].bytes, 0, &made);
		data_encode(d, d->r, &made, NULL, out);
		gen_doc_clear(&made);
		if (data_usable(out))
			return (1);
	}
	return (0);
}

/* Is there something to learn in each source? */
int
data_check(struct data *d, struct fault *f)
{
	struct data_doc	 doc = { .id = { 0 } };
	size_t		 i;
	int		 r = 0;

	for (i = 0; r == 0 && i < d->r->sources; i++)
		if (d->r->source[i].share > 0 &&
		    !data_source_usable(d, &d->source[i], &doc))
			r = fault_set(f, "bad_config", "data", "%s: expected "
			    "a text of at least 2 tokens, found only empty "
			    "ones", d->r->source[i].path);
	data_doc_clear(&doc);
	return (r);
}

/* Document i. */
void
data_document(struct data *d, int64_t i, enum data_part part,
    struct data_doc *out)
{
	const struct gen_doc	*doc;
	const struct data_row	*row;
	struct gen_doc		 made = { 0 };
	struct recipe		 r = *d->r;

	/* Only replies are compared. */
	if (recipe_compares(&r) != -1 && (part == DATA_COMPARED ||
	    !recipe_learns(&r)))
		r.prompt = r.plain = 0;
	doc = data_turns_of(d, i, part, &made, &row);
	data_encode(d, &r, doc, row, out);
	gen_doc_clear(&made);
}

/* Release the arrays. */
void
data_doc_clear(struct data_doc *doc)
{
	idbuf_clear(&doc->id);
	free(doc->weight);
	memset(doc, 0, sizeof *doc);
}

/* The text of document i. */
void
data_text(struct data *d, int64_t i, struct textbuf *out)
{
	const struct gen_doc	*doc;
	const struct data_row	*row;
	struct gen_doc		 made = { 0 };
	size_t			 k;

	doc = data_turns_of(d, i, DATA_LEARNT, &made, &row);
	for (k = 0; k < doc->n; k++) {
		if (doc->turn[k].role != GEN_PLAIN)
			textbuf_puts(out, doc->turn[k].role == GEN_SAID ?
			    DATA_HUMAN " " : DATA_BOT " ");
		textbuf_puts(out, doc->turn[k].text);
		textbuf_puts(out, "\n");
	}
	gen_doc_clear(&made);
}
