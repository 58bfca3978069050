/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources of documents: templates, and files of JSON lines.
 *
 *   dialogues    {"turns": [...]}, {"messages": [...]} or
 *                {"text": "<human>: ..."}
 *   text         {"text": "..."}
 *   preference   {"prompt", "chosen", "rejected"}
 *   labels       {"prompt", "completion", "label"}
 */
#include "data.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen.h"
#include "rng.h"
#include "xmalloc.h"

#define DATA_HUMAN	"<human>:"
#define DATA_BOT	"<bot>:"

/* A document of a file: turns, or text without roles. */
struct data_row {
	struct gen_doc	 doc;
	size_t		 prompt;	/* turns of doc before the completion */
	char		*other;		/* owned: the rejected reply */
	int		 label;
};

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

/* Split text with tags into turns. */
static void
data_split(const char *s, struct gen_doc *doc)
{
	const char	*end;
	enum gen_role	 role;

	while (*s != '\0') {
		s += strspn(s, "\n");
		role = strncmp(s, DATA_BOT, strlen(DATA_BOT)) == 0 ?
		    GEN_REPLY : GEN_SAID;
		if (strncmp(s, DATA_HUMAN, strlen(DATA_HUMAN)) == 0 ||
		    role == GEN_REPLY)
			s = strchr(s, ':') + 1;
		for (end = s; *end != '\0'; end++)
			if (strncmp(end, "\n" DATA_HUMAN,
			    strlen("\n" DATA_HUMAN)) == 0 ||
			    strncmp(end, "\n" DATA_BOT,
			    strlen("\n" DATA_BOT)) == 0)
				break;
		if (end > s)
			gen_say(doc, role, xstrndup(s, (size_t)(end - s)));
		s = end;
	}
}

/* The string of a key, or NULL. */
static const char *
data_string(json_t *row, const char *key)
{
	return (json_string_value(json_object_get(row, key)));
}

/* Turns or messages. */
static int
data_turns(json_t *row, struct gen_doc *doc)
{
	json_t		*list = json_object_get(row, "turns"), *e;
	const char	*role, *s;
	size_t		 i;

	json_array_foreach(list, i, e) {
		if (!json_is_string(e))
			return (0);
		gen_say(doc, i % 2 == 0 ? GEN_SAID : GEN_REPLY,
		    xstrdup(json_string_value(e)));
	}
	list = json_object_get(row, "messages");
	json_array_foreach(list, i, e) {
		role = data_string(e, "role");
		s = data_string(e, "content");
		if (role == NULL || s == NULL)
			return (0);
		gen_say(doc, strcmp(role, "assistant") == 0 ? GEN_REPLY :
		    strcmp(role, "system") == 0 ? GEN_PLAIN : GEN_SAID,
		    xstrdup(s));
	}
	return (doc->n > 0);
}

/* One row of a file. 0: it is not of this kind. */
static int
data_row(enum recipe_kind kind, json_t *row, struct data_row *out)
{
	const char	*prompt = data_string(row, "prompt");
	const char	*s = data_string(row, kind == DATA_PREFERENCE ?
			    "chosen" : "completion");
	const char	*text = data_string(row, "text");
	json_t		*label = json_object_get(row, "label");

	if (kind == DATA_TEXT && text != NULL) {
		gen_say(&out->doc, GEN_PLAIN, xasprintf("%s\n", text));
		return (1);
	}
	if (kind == DATA_DIALOGUES && text != NULL) {
		data_split(text, &out->doc);
		return (out->doc.n > 0);
	}
	if (kind == DATA_DIALOGUES)
		return (data_turns(row, &out->doc));
	if (prompt == NULL || s == NULL)
		return (0);
	data_split(prompt, &out->doc);
	/* The prompt may end with an open tag. */
	while (out->doc.n > 0 &&
	    out->doc.turn[out->doc.n - 1].role != GEN_SAID)
		free(out->doc.turn[--out->doc.n].text);
	out->prompt = out->doc.n;
	gen_say(&out->doc, GEN_REPLY, xstrdup(s));
	out->label = json_is_true(label);
	if (kind == DATA_LABELS)
		return (out->prompt > 0 && json_is_boolean(label));
	if ((s = data_string(row, "rejected")) == NULL)
		return (0);
	out->other = xstrdup(s);
	return (out->prompt > 0);
}

/* Read a file. */
static int
data_file(const struct recipe_source *from, struct data_source *to,
    struct fault *f)
{
	FILE	*in = fopen(from->path, "re");
	char	*line = NULL;
	size_t	 size = 0, lines = 0;
	ssize_t	 len;
	json_t	*row;
	int	 r = 0;

	if (in == NULL) {
		fault_set(f, "bad_config", NULL, "%s: %s", from->path,
		    strerror(errno));
		return (CHAT_ESYSTEM);
	}
	while (r == 0 && (len = getline(&line, &size, in)) != -1) {
		lines++;
		if (line[strspn(line, " \t\r\n")] == '\0')
			continue;
		to->row = xreallocarray(to->row, to->n + 1, sizeof *to->row);
		memset(&to->row[to->n], 0, sizeof *to->row);
		row = json_loadb(line, (size_t)len, 0, NULL);
		if (!json_is_object(row))
			r = fault_set(f, "bad_config", NULL,
			    "%s:%zu: not a JSON object", from->path, lines);
		else if (!data_row(from->kind, row, &to->row[to->n]))
			r = fault_set(f, "bad_config", NULL, "%s:%zu: the row "
			    "has not the keys of its kind (chatd-tune(1))",
			    from->path, lines);
		to->n++;
		json_decref(row);
	}
	free(line);
	fclose(in);
	if (r == 0 && to->n == 0)
		r = fault_set(f, "bad_config", NULL, "%s: no rows",
		    from->path);
	return (r);
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
		    data_file(&r->source[i], &d->source[i], f);
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
		for (k = 0; k < d->source[i].n; k++) {
			gen_doc_clear(&d->source[i].row[k].doc);
			free(d->source[i].row[k].other);
		}
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

/* The source of document i, by the shares. */
static size_t
data_choose(const struct data *d, uint64_t *rng)
{
	double	 sum = 0, at;
	size_t	 i;

	for (i = 0; i < d->r->sources; i++)
		sum += d->r->source[i].share;
	at = rng_real(rng) * sum;
	for (i = 0; i + 1 < d->r->sources; i++)
		if ((at -= d->r->source[i].share) < 0)
			break;
	return (i);
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
data_turns_of(struct data *d, int64_t i, struct gen_doc *made,
    const struct data_row **row)
{
	uint64_t		 rng = rng_seed((uint64_t)d->r->seed,
				    (uint64_t)i);
	size_t			 s = data_choose(d, &rng), bytes;
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

/* The rejected reply after the same prompt. */
static void
data_other(struct data *d, const struct data_row *row, struct data_doc *out)
{
	struct gen_doc	 other = row->doc;
	struct gen_turn	 turn[64];

	if (row->doc.n > nitems(turn))
		return;
	memcpy(turn, row->doc.turn, row->doc.n * sizeof *turn);
	turn[row->prompt].text = row->other;
	other.turn = turn;
	data_add_turns(d->tok, d->r, &other, out);
}

/* Document i. */
void
data_document(struct data *d, int64_t i, struct data_doc *out)
{
	const struct gen_doc	*doc;
	const struct data_row	*row;
	struct gen_doc		 made = { 0 };

	out->id.n = 0;
	doc = data_turns_of(d, i, &made, &row);
	data_add_turns(d->tok, d->r, doc, out);
	if (d->r->length > 0 && out->id.n > (size_t)d->r->length)
		out->id.n = (size_t)d->r->length;
	out->split = out->id.n;
	out->label = row != NULL && row->label;
	if (row != NULL && row->other != NULL)
		data_other(d, row, out);
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

	doc = data_turns_of(d, i, &made, &row);
	for (k = 0; k < doc->n; k++) {
		if (doc->turn[k].role != GEN_PLAIN)
			textbuf_puts(out, doc->turn[k].role == GEN_SAID ?
			    DATA_HUMAN " " : DATA_BOT " ");
		textbuf_puts(out, doc->turn[k].text);
		textbuf_puts(out, "\n");
	}
	gen_doc_clear(&made);
}
