/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources of documents: templates, and files of JSON lines.
 *
 *   dialogues    {"turns": [...]}, {"messages": [...]},
 *                {"text": "<human>: ..."} or {"prompt", "completion"}
 *   text         {"text": "..."}
 *   preference   {"prompt", "chosen", "rejected"}
 *   labels       {"prompt", "completion", "label"}
 *
 * A prompt is a text with tags or a list of messages, and a reply a text or a
 * list of one message.
 */
#include "data.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "growbuf.h"
#include "rng.h"
#include "xmalloc.h"

#define DATA_HUMAN	"<human>:"
#define DATA_BOT	"<bot>:"

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
	const char	*end = strstr(s, DATA_HUMAN);
	enum gen_role	 role;

	/* A pre-prompt stands before the first tag. */
	if (end != NULL && end > s && end[-1] == '\n' &&
	    strncmp(s, DATA_BOT, strlen(DATA_BOT)) != 0) {
		gen_say(doc, GEN_PLAIN, xstrndup(s, (size_t)(end - s)));
		s = end;
	}
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

/* A list of messages. */
static int
data_messages(json_t *list, struct gen_doc *doc)
{
	json_t		*e;
	const char	*role, *s;
	size_t		 i, n;

	json_array_foreach(list, i, e) {
		role = data_string(e, "role");
		s = data_string(e, "content");
		if (role == NULL || s == NULL)
			return (0);
		n = strlen(s);
		if (strcmp(role, "system") == 0)
			gen_say(doc, GEN_PLAIN, xasprintf("%s%s", s, n > 0 &&
			    s[n - 1] != '\n' ? "\n" : ""));
		else
			gen_say(doc, strcmp(role, "assistant") == 0 ?
			    GEN_REPLY : GEN_SAID, xstrdup(s));
	}
	return (1);
}

/* Turns or messages. */
static int
data_turns(json_t *row, struct gen_doc *doc)
{
	json_t	*list = json_object_get(row, "turns"), *e;
	size_t	 i;

	json_array_foreach(list, i, e) {
		if (!json_is_string(e))
			return (0);
		gen_say(doc, i % 2 == 0 ? GEN_SAID : GEN_REPLY,
		    xstrdup(json_string_value(e)));
	}
	return (data_messages(json_object_get(row, "messages"), doc) &&
	    doc->n > 0);
}

/* The reply of a key: a string, or a list of one message. */
static const char *
data_reply(json_t *row, const char *key)
{
	json_t	*v = json_object_get(row, key);

	if (json_array_size(v) == 1)
		return (data_string(json_array_get(v, 0), "content"));
	return (json_string_value(v));
}

/* Split a prompt, which may end with an open tag; its replies are not
 * learnt. */
static int
data_prompt(json_t *prompt, struct gen_doc *doc)
{
	size_t	 i;

	if (json_is_string(prompt))
		data_split(json_string_value(prompt), doc);
	else if (!data_messages(prompt, doc))
		return (0);
	while (doc->n > 0 && doc->turn[doc->n - 1].role != GEN_SAID)
		free(doc->turn[--doc->n].text);
	for (i = 0; i < doc->n; i++)
		if (doc->turn[i].role == GEN_REPLY)
			doc->turn[i].role = GEN_CONTEXT;
	return (doc->n > 0);
}

/* One row of a file. */
int
data_row(enum recipe_kind kind, json_t *row, struct data_row *out)
{
	json_t		*prompt = json_object_get(row, "prompt");
	const char	*s = data_reply(row, kind == DATA_PREFERENCE ?
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
	if (kind == DATA_DIALOGUES && prompt == NULL)
		return (data_turns(row, &out->doc));
	if (s == NULL || !data_prompt(prompt, &out->doc))
		return (0);
	out->prompt = out->doc.n;
	gen_say(&out->doc, GEN_REPLY, xstrdup(s));
	if (kind == DATA_DIALOGUES)
		return (1);
	out->label = json_is_true(label);
	if (kind == DATA_LABELS)
		return (json_is_boolean(label));
	if ((s = data_reply(row, "rejected")) == NULL)
		return (0);
	out->other = xstrdup(s);
	return (1);
}

/* Release a row. */
void
data_row_clear(struct data_row *row)
{
	gen_doc_clear(&row->doc);
	free(row->other);
	memset(row, 0, sizeof *row);
}

/* Say what a row should have had, and what it has. */
static int
data_row_fault(const struct recipe_source *from, size_t line, json_t *row,
    struct fault *f)
{
	static const char *const expected[] = {
		[DATA_DIALOGUES] = "\"turns\", \"messages\", \"text\" with "
		    "tags, or \"prompt\" and \"completion\"",
		[DATA_TEXT] = "\"text\"",
		[DATA_PREFERENCE] = "\"prompt\", \"chosen\" and "
		    "\"rejected\"",
		[DATA_LABELS] = "\"prompt\", \"completion\" and \"label\"",
	};
	struct textbuf	 keys = { 0 };
	const char	*key;
	json_t		*v;
	int		 r;

	json_object_foreach(row, key, v) {
		textbuf_puts(&keys, keys.n > 0 ? ", \"" : "\"");
		textbuf_puts(&keys, key);
		textbuf_puts(&keys, "\"");
	}
	textbuf_add(&keys, "", 1);
	r = fault_set(f, "bad_config", NULL, "%s:%zu: expected %s with texts "
	    "(chatd-tune(1)), found %s", from->path, line,
	    expected[from->kind], keys.n > 1 ? keys.s : "no keys");
	free(keys.s);
	return (r);
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
			r = data_row_fault(from, lines, row, f);
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

/* The rejected reply after the same prompt. */
static void
data_other(struct data *d, const struct recipe *r,
    const struct data_row *row, struct data_doc *out)
{
	struct gen_doc	 other = row->doc;
	struct gen_turn	 turn[64];

	if (row->doc.n > nitems(turn))
		return;
	memcpy(turn, row->doc.turn, row->doc.n * sizeof *turn);
	turn[row->prompt].text = row->other;
	other.turn = turn;
	data_add_turns(d->tok, r, &other, out);
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
	out->id.n = 0;
	doc = data_turns_of(d, i, part, &made, &row);
	data_add_turns(d->tok, &r, doc, out);
	if (d->r->length > 0 && out->id.n > (size_t)d->r->length)
		out->id.n = (size_t)d->r->length;
	out->split = out->id.n;
	out->label = row != NULL && row->label;
	if (row != NULL && row->other != NULL)
		data_other(d, &r, row, out);
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
