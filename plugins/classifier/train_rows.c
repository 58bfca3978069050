/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labelled texts from JSON Lines.
 */
#include "train.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

/* The number of a source, new if needed. */
static uint32_t
textrows_source(struct rows *rs, const char *name)
{
	size_t	 i;

	for (i = 0; i < rs->sources_n; i++)
		if (strcmp(rs->source[i], name) == 0)
			return ((uint32_t)i);
	rs->source = xreallocarray(rs->source, rs->sources_n + 1,
	    sizeof *rs->source);
	rs->source[rs->sources_n] = xstrdup(name);
	return ((uint32_t)rs->sources_n++);
}

/* The bit of a category; 0 for benign. */
static int
textrows_label(const char *s, uint32_t *out)
{
	uint32_t	 i;

	if (strcmp(s, "benign") == 0)
		return (0);
	if (strcmp(s, "other_unsafe") == 0) {
		*out |= ROW_OTHER;
		return (0);
	}
	for (i = 0; i < LINEAR_CATEGORIES; i++) {
		if (strcmp(s, linear_categories[i]) == 0) {
			*out |= 1u << i;
			return (0);
		}
	}
	return (-1);
}

/* Take a parsed line. */
static int
textrows_add(struct rows *rs, const char *place, const json_t *o,
    struct fault *f)
{
	const char	*text = msg_string(o, "text"), *kind, *fold, *id;
	const char	*category = msg_string(o, "category"), *source;
	json_t		*also = json_object_get(o, "also"), *v;
	struct row	*r;
	size_t		 i;
	uint32_t	 labels = 0;

	if (text == NULL || category == NULL)
		return (fault_set(f, "bad_field", NULL,
		    "%s: no text or no category", place));
	if (textrows_label(category, &labels) != 0)
		return (fault_set(f, "bad_field", NULL,
		    "%s: unknown category \"%.40s\"", place, category));
	json_array_foreach(also, i, v)
		if (!json_is_string(v) || textrows_label(json_string_value(v),
		    &labels) != 0)
			return (fault_set(f, "bad_field", NULL,
			    "%s: also: unknown category", place));
	kind = msg_string(o, "kind");
	fold = msg_string(o, "fold");
	source = msg_string(o, "source");
	id = msg_string(o, "id");
	if (rs->n == rs->size) {
		rs->size = rs->size * 2 + 1024;
		rs->row = xreallocarray(rs->row, rs->size, sizeof *rs->row);
	}
	r = &rs->row[rs->n++];
	memset(r, 0, sizeof *r);
	r->text = xstrdup(text);
	r->len = (uint32_t)strlen(text);
	r->labels = labels;
	r->head = kind != NULL && strcmp(kind, "request") == 0 ?
	    HEAD_REQUEST : HEAD_CONTENT;
	rs->no_kind += r->head == HEAD_CONTENT &&
	    (kind == NULL || strcmp(kind, "content") != 0);
	r->source = textrows_source(rs, source != NULL ? source : "unknown");
	r->test = fold != NULL && strcmp(fold, "test") == 0;
	r->tune = fold != NULL && strcmp(fold, "tune") == 0;
	r->weight = 1;
	r->id = features_word(text, r->len) ^ (id != NULL ?
	    features_word(id, strlen(id)) : 0);
	return (0);
}

/* Read a file. */
int
textrows_load(struct rows *rs, const char *path, struct fault *f)
{
	char		*line = NULL, place[200];
	size_t		 size = 0, n = 0;
	ssize_t		 k;
	json_t		*o;
	FILE		*in;
	int		 r = 0;

	if ((in = fopen(path, "re")) == NULL) {
		fault_set(f, "bad_field", NULL, "%s: %s", path,
		    strerror(errno));
		return (CHAT_ESYSTEM);
	}
	while (r == 0 && (k = getline(&line, &size, in)) > 0) {
		n++;
		snprintf(place, sizeof place, "%s:%zu", path, n);
		while (k > 0 && (line[k - 1] == '\n' || line[k - 1] == '\r'))
			k--;
		if (k == 0)
			continue;
		if ((r = json_line_parse(line, (size_t)k, &o, f)) != 0) {
			char	 why[sizeof f->message];

			memcpy(why, f->message, sizeof why);
			fault_set(f, "bad_field", NULL, "%s: %.150s", place,
			    why);
			break;
		}
		r = textrows_add(rs, place, o, f);
		json_decref(o);
	}
	free(line);
	fclose(in);
	return (r);
}

/* Mark rows of sources with more than "most" rows as spare, by their hash. */
static void
textrows_spare(struct rows *rs, double most)
{
	double		*count = xcalloc(rs->sources_n + 1, sizeof *count);
	struct row	*r;

	for (r = rs->row; r < rs->row + rs->n; r++)
		count[r->source]++;
	for (r = rs->row; r < rs->row + rs->n; r++)
		r->spare = (double)(r->id >> 40) / (1 << 24) >=
		    most / count[r->source];
	free(count);
}

/* Give each row the weight of its source, mark what is measured only, and
 * report rows without a kind. */
void
textrows_mark(struct rows *rs, const struct recipe *rc)
{
	size_t	 i, k;

	if (rs->no_kind > 0)
		fprintf(stderr, "%zu rows without kind: taken as content\n",
		    rs->no_kind);
	textrows_spare(rs, rc->max_rows);
	for (i = 0; i < rs->n; i++) {
		struct row	*r = &rs->row[i];

		r->weight = (float)recipe_weight(rc, rs->source[r->source]);
		for (k = 0; k < rc->folds_n; k++)
			if (rc->fold[k].test && recipe_fold_has(&rc->fold[k],
			    rs->source[r->source]))
				r->test = 1;
	}
}

/* Free all rows. */
void
textrows_clear(struct rows *rs)
{
	size_t	 i;

	for (i = 0; i < rs->n; i++)
		free(rs->row[i].text);
	for (i = 0; i < rs->sources_n; i++)
		free(rs->source[i]);
	free(rs->row);
	free(rs->source);
	memset(rs, 0, sizeof *rs);
}
