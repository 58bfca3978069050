/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading exports: rows of messages, sft, oig, preference and kto.  What was
 * rated about the same turns becomes one row.
 */
#include "feedback.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "growbuf.h"
#include "path.h"
#include "xmalloc.h"

#define READ_FILE_MAX	((size_t)1 << 30)
#define READ_MANIFEST	((size_t)16 << 20)

/* The SHA-256 of bytes. */
static void
read_digest(const char *s, size_t n, char hex[SHA256_HEX])
{
	struct sha256	 d;

	sha256_init(&d);
	sha256_add(&d, s, n);
	sha256_end(&d, hex);
}

/* Compare a file with what its manifest says. */
static int
read_manifest(struct feedback_source *src, struct fault *f)
{
	char		*path = xasprintf("%s.manifest.json", src->path), *text;
	const char	*want;
	json_t		*m, *file;
	size_t		 n;
	int		 r;

	if ((r = path_read(path, READ_MANIFEST, &text, &n)) != 0) {
		if (r == CHAT_ESYSTEM && errno == ENOENT)
			r = 0;		/* an export through a pipe has none */
		else
			fault_set(f, "bad_config", NULL, "%s: %s", path,
			    r == CHAT_ESYSTEM ? strerror(errno) :
			    chat_strerror(r));
		free(path);
		return (r);
	}
	read_digest(text, n, src->manifest);
	m = json_loadb(text, n, 0, NULL);
	file = json_array_get(json_object_get(m, "files"), 0);
	want = json_string_value(json_object_get(file, "sha256"));
	if (want == NULL)
		r = fault_set(f, "bad_config", NULL, "%s: not the manifest of "
		    "an export: expected files[0].sha256", path);
	else if (strcmp(want, src->digest) != 0)
		r = fault_set(f, "bad_config", NULL, "%s: has the SHA-256 "
		    "%.16s..., its manifest says %.16s...: it was changed "
		    "after the export", src->path, src->digest, want);
	json_decref(m);
	free(text);
	free(path);
	return (r);
}

/* A text without white space at both ends. Owned. */
static char *
read_trimmed(const char *s)
{
	size_t	 n;

	s += strspn(s, " \t\n");
	n = strlen(s);
	while (n > 0 && strchr(" \t\n", s[n - 1]) != NULL)
		n--;
	return (xstrndup(s, n));
}

/* The prompt of a row. */
char *
feedback_prompt(const struct feedback_row *row, const char *said)
{
	static const char *const tags[] = { "<human>: ", "<bot>: ",
		"<bot>: ", "" };
	struct textbuf	 b = { 0 };
	size_t		 i;

	for (i = 0; i < row->before.n; i++) {
		textbuf_puts(&b, tags[row->before.turn[i].role]);
		textbuf_puts(&b, row->before.turn[i].text);
		if (row->before.turn[i].role != GEN_PLAIN)
			textbuf_puts(&b, "\n");
	}
	textbuf_puts(&b, tags[GEN_SAID]);
	textbuf_puts(&b, said != NULL ? said : row->said);
	textbuf_puts(&b, "\n<bot>:");
	textbuf_add(&b, "", 1);
	return (b.s);
}

/* The row of the first n turns of doc, which end with something said. It is
 * made if it is new. */
static struct feedback_row *
read_row(struct feedback_data *d, const struct gen_doc *doc, size_t n)
{
	struct feedback_row	 row, *out;
	json_t			*known;
	char			*key;
	size_t			 i;

	memset(&row, 0, sizeof row);
	for (i = 0; i + 1 < n; i++)
		gen_say(&row.before, doc->turn[i].role == GEN_REPLY ?
		    GEN_CONTEXT : doc->turn[i].role,
		    doc->turn[i].role == GEN_PLAIN ?
		    xstrdup(doc->turn[i].text) :
		    read_trimmed(doc->turn[i].text));
	row.said = read_trimmed(doc->turn[n - 1].text);
	key = feedback_prompt(&row, NULL);
	if ((known = json_object_get(d->index, key)) != NULL) {
		gen_doc_clear(&row.before);
		free(row.said);
		out = &d->row[json_integer_value(known)];
	} else {
		json_object_set_new(d->index, key,
		    json_integer((json_int_t)d->n));
		if (d->n == d->size) {
			d->size = 2 * d->size + 64;
			d->row = xreallocarray(d->row, d->size,
			    sizeof *d->row);
		}
		d->row[d->n] = row;
		out = &d->row[d->n++];
	}
	free(key);
	return (out);
}

/* Set a reply of a row; the last one counts. Blank texts do not. */
static void
read_set(char **to, const char *s)
{
	char	*t = read_trimmed(s);

	if (*t == '\0') {
		free(t);
		return;
	}
	free(*to);
	*to = t;
}

/* Take one row of an export. 0: it is none. */
static int
read_take(struct feedback_data *d, json_t *o)
{
	enum recipe_kind	 kind = json_object_get(o, "chosen") != NULL ?
				    DATA_PREFERENCE :
				    json_object_get(o, "label") != NULL ?
				    DATA_LABELS : DATA_DIALOGUES;
	struct data_row		 r = { .prompt = 0 };
	struct feedback_row	*row;
	size_t			 i;
	int			 ok = data_row(kind, o, &r);

	for (i = r.prompt; ok && i < r.doc.n; i++) {
		if (r.doc.turn[i].role != GEN_REPLY || i == 0 ||
		    r.doc.turn[i - 1].role != GEN_SAID)
			continue;
		row = read_row(d, &r.doc, i);
		read_set(kind == DATA_LABELS && !r.label ? &row->bad :
		    &row->good, r.doc.turn[i].text);
		if (r.other != NULL)
			read_set(&row->bad, r.other);
	}
	data_row_clear(&r);
	return (ok);
}

/* Take all rows of a file's text. */
static int
read_rows(struct feedback_data *d, struct feedback_source *src, char *text,
    struct fault *f)
{
	char	*s, *end;
	json_t	*o;
	int64_t	 line = 0;
	int	 r = 0;

	for (s = text; r == 0 && *s != '\0'; s = end) {
		end = s + strcspn(s, "\n");
		if (*end != '\0')
			*end++ = '\0';
		line++;
		if (s[strspn(s, " \t\r")] == '\0')
			continue;
		o = json_loads(s, 0, NULL);
		if (!json_is_object(o) || !read_take(d, o))
			r = fault_set(f, "bad_config", NULL, "%s:%lld: not a "
			    "row of messages, sft, oig, preference or kto",
			    src->path, (long long)line);
		json_decref(o);
		src->rows++;
	}
	return (r);
}

/* Count what the rows have. */
static void
read_count(struct feedback_data *d)
{
	size_t	 i;

	d->good = d->pairs = d->bad = 0;
	for (i = 0; i < d->n; i++) {
		d->good += d->row[i].good != NULL;
		d->bad += d->row[i].bad != NULL;
		d->pairs += d->row[i].good != NULL && d->row[i].bad != NULL;
	}
}

/* Read an export. */
int
feedback_read(const char *path, struct feedback_data *d, struct fault *f)
{
	struct feedback_source	*src;
	char			*text;
	size_t			 n;
	int			 r;

	if (d->index == NULL)
		d->index = json_object();
	d->source = xreallocarray(d->source, d->sources + 1,
	    sizeof *d->source);
	src = &d->source[d->sources++];
	memset(src, 0, sizeof *src);
	src->path = xstrdup(path);
	if ((r = path_read(path, READ_FILE_MAX, &text, &n)) != 0) {
		fault_set(f, "bad_config", NULL, "%s: %s", path,
		    r == CHAT_ESYSTEM ? strerror(errno) : chat_strerror(r));
		return (r);
	}
	read_digest(text, n, src->digest);
	if ((r = read_manifest(src, f)) == 0)
		r = read_rows(d, src, text, f);
	read_count(d);
	free(text);
	return (r);
}

/* Release all. */
void
feedback_clear(struct feedback_data *d)
{
	size_t	 i;

	for (i = 0; i < d->sources; i++)
		free(d->source[i].path);
	for (i = 0; i < d->n; i++) {
		gen_doc_clear(&d->row[i].before);
		free(d->row[i].said);
		free(d->row[i].good);
		free(d->row[i].bad);
	}
	free(d->source);
	free(d->row);
	json_decref(d->index);
	memset(d, 0, sizeof *d);
}
