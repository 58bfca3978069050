/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads contrast files: blocks, their headers, the names between them.
 * contrast_parse.c parses the lines, contrast_draw.c draws rows.
 */
#include "contrast.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contrast_impl.h"
#include "vocabulary.h"
#include "xmalloc.h"

#define CONTRAST_ROWS_EACH	8	/* rows of a template by default */
#define CONTRAST_FAULT(c, file, line, f, ...) \
	contrast_fault((c)->files[file].path, line, f, __VA_ARGS__)

/* What a file's reader knows between lines. */
struct reader {
	struct contrast	*c;
	size_t		 file;
	int		 line;
	struct clist	*list;		/* the open block, or NULL */
	struct cframes	*frames;
	struct fault	*fault;
};

/* Report what is wrong in a line. Returns CHAT_EFORMAT. */
static int __attribute__((format(printf, 4, 5)))
contrast_fault(const char *path, int line, struct fault *f, const char *fmt,
    ...)
{
	char	 text[300];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return (fault_set(f, "bad_file", NULL, "%s(%d): %s", path, line, text));
}

/* Begin with no files. */
struct contrast *
contrast_new(void)
{
	return (xcalloc(1, sizeof(struct contrast)));
}

/* Free patterns. */
static void
contrast_free_patterns(struct pattern *p, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		pattern_clear(&p[i]);
	free(p);
}

/* Free everything. */
void
contrast_free(struct contrast *c)
{
	size_t	 i;

	if (c == NULL)
		return;
	for (i = 0; i < c->nfiles; i++) {
		free(c->files[i].path);
		free(c->files[i].base);
	}
	for (i = 0; i < c->nlists; i++) {
		contrast_free_patterns(c->lists[i]->members, c->lists[i]->n);
		free(c->lists[i]->name);
		free(c->lists[i]);
	}
	for (i = 0; i < c->nframes; i++) {
		contrast_free_patterns(c->frames[i]->templates,
		    c->frames[i]->n);
		free(c->frames[i]->name);
		free(c->frames[i]->twin);
		free(c->frames[i]);
	}
	free(c->files);
	free(c->lists);
	free(c->frames);
	free(c);
}

/* The list of this name in a file; file SIZE_MAX means in any, and *more is
 * the number of lists found. */
static struct clist *
contrast_find(const struct contrast *c, const char *name, size_t file,
    size_t *more)
{
	struct clist	*found = NULL;
	size_t		 i;

	*more = 0;
	for (i = 0; i < c->nlists; i++) {
		if ((file == SIZE_MAX || c->lists[i]->file == file) &&
		    strcmp(c->lists[i]->name, name) == 0) {
			found = c->lists[i];
			(*more)++;
		}
	}
	return (found);
}

/* Is this block name taken in the file? */
static struct cframes *
contrast_find_frames(const struct contrast *c, const char *name, size_t file)
{
	size_t	 i;

	for (i = 0; i < c->nframes; i++) {
		if (c->frames[i]->file == file &&
		    strcmp(c->frames[i]->name, name) == 0)
			return (c->frames[i]);
	}
	return (NULL);
}

/* Begin "list NAME". */
static int
reader_list(struct reader *r, char *words)
{
	struct contrast	*c = r->c;
	char		*name = strtok_r(NULL, " \t", &words);
	struct clist	*l;
	size_t		 more;

	if (name == NULL || strtok_r(NULL, " \t", &words) != NULL)
		return (CONTRAST_FAULT(c, r->file, r->line, r->fault,
		    "expected \"list NAME\""));
	if ((l = contrast_find(c, name, r->file, &more)) != NULL)
		return (CONTRAST_FAULT(c, r->file, r->line, r->fault,
		    "list \"%s\" is already in line %d", name, l->line));
	l = xcalloc(1, sizeof *l);
	l->name = xstrdup(name);
	l->number = c->nlists;
	l->file = r->file;
	l->line = r->line;
	c->lists = xreallocarray(c->lists, c->nlists + 1, sizeof *c->lists);
	c->lists[c->nlists++] = l;
	r->list = l;
	return (0);
}

/* Read "category=SLUG,ALSO,...". */
static int
reader_category(struct reader *r, struct cframes *fr, char *value)
{
	char	*rest = value, *slug;
	int	 n = 0, k;

	while ((slug = strtok_r(NULL, ",", &rest)) != NULL) {
		if ((k = vocabulary_category(slug)) == -1 &&
		    (n > 0 || strcmp(slug, "benign") != 0))
			return (CONTRAST_FAULT(r->c, r->file, r->line,
			    r->fault, "category: expected benign or a category "
			    "of chatd-filters(7), found \"%s\"", slug));
		if (n > CONTRAST_ALSO_MAX || (n > 0 &&
		    strcmp(fr->head.category, "benign") == 0))
			return (CONTRAST_FAULT(r->c, r->file, r->line,
			    r->fault, "category: expected %s",
			    n > CONTRAST_ALSO_MAX ? "fewer categories" :
			    "benign alone"));
		if (n == 0)
			fr->head.category = k == -1 ? "benign" :
			    vocabulary_categories[k];
		else
			fr->head.also[n - 1] = vocabulary_categories[k];
		n++;
	}
	return (0);
}

/* Read a number from min to max. */
static int
reader_number(struct reader *r, const char *key, const char *value, double min,
    double max, double *out)
{
	char	*end;

	errno = 0;
	*out = strtod(value, &end);
	if (errno != 0 || end == value || *end != '\0' ||
	    !(*out >= min && *out <= max))
		return (CONTRAST_FAULT(r->c, r->file, r->line, r->fault,
		    "%s: expected a number from %g to %g, found \"%s\"", key,
		    min, max, value));
	return (0);
}

/* Read one "key=value" of a header. */
static int
reader_key(struct reader *r, struct cframes *fr, const char *key, char *value)
{
	double	 number;
	int	 e;

	if (strcmp(key, "category") == 0)
		return (reader_category(r, fr, value));
	if (strcmp(key, "kind") == 0) {
		if (strcmp(value, "request") != 0 &&
		    strcmp(value, "content") != 0)
			return (CONTRAST_FAULT(r->c, r->file, r->line,
			    r->fault, "kind: expected request or content, "
			    "found \"%s\"", value));
		fr->head.kind = *value == 'r' ? "request" : "content";
		return (0);
	}
	if (strcmp(key, "twin") == 0) {
		free(fr->twin);
		fr->head.twin = fr->twin = xstrdup(value);
		return (0);
	}
	if (strcmp(key, "severity") == 0) {
		if ((e = reader_number(r, key, value, 0, 3, &number)) == 0)
			fr->head.severity = (int)number;
		return (e);
	}
	if (strcmp(key, "rows") == 0) {
		if ((e = reader_number(r, key, value, 1, CONTRAST_ROWS_MAX,
		    &number)) == 0)
			fr->head.rows = (size_t)number;
		return (e);
	}
	if (strcmp(key, "weight") == 0)
		return (reader_number(r, key, value, 0, 100,
		    &fr->head.weight));
	return (CONTRAST_FAULT(r->c, r->file, r->line, r->fault, "expected "
	    "kind, category, severity, rows, weight or twin, found \"%s\"",
	    key));
}

/* Begin "frames NAME key=value ...". */
static int
reader_frames(struct reader *r, char *words)
{
	struct contrast	*c = r->c;
	char		*name = strtok_r(NULL, " \t", &words), *word, *value;
	struct cframes	*fr;

	if (name == NULL || strchr(name, '=') != NULL)
		return (CONTRAST_FAULT(c, r->file, r->line, r->fault,
		    "expected \"frames NAME kind=... category=...\""));
	if ((fr = contrast_find_frames(c, name, r->file)) != NULL)
		return (CONTRAST_FAULT(c, r->file, r->line, r->fault,
		    "frames \"%s\" are already in line %d", name, fr->line));
	fr = xcalloc(1, sizeof *fr);
	fr->head.name = fr->name = xstrdup(name);
	fr->head.file = c->files[r->file].base;
	fr->head.severity = -1;
	fr->head.weight = 1;
	fr->file = r->file;
	fr->line = r->line;
	c->frames = xreallocarray(c->frames, c->nframes + 1,
	    sizeof *c->frames);
	c->frames[c->nframes++] = fr;
	r->frames = fr;
	while ((word = strtok_r(NULL, " \t", &words)) != NULL) {
		if ((value = strchr(word, '=')) == NULL || value[1] == '\0')
			return (CONTRAST_FAULT(c, r->file, r->line, r->fault,
			    "expected key=value, found \"%s\"", word));
		*value++ = '\0';
		if (reader_key(r, fr, word, value) != 0)
			return (CHAT_EFORMAT);
	}
	if (fr->head.kind == NULL || fr->head.category == NULL)
		return (CONTRAST_FAULT(c, r->file, r->line, r->fault,
		    "frames \"%s\": %s= is missing", name,
		    fr->head.kind == NULL ? "kind" : "category"));
	if (fr->head.severity == -1)
		fr->head.severity =
		    strcmp(fr->head.category, "benign") == 0 ? 0 : 2;
	if ((strcmp(fr->head.category, "benign") == 0) !=
	    (fr->head.severity == 0))
		return (CONTRAST_FAULT(c, r->file, r->line, r->fault,
		    "severity: expected 0 for benign and only for benign"));
	return (0);
}

/* Insert a pattern: those that are left out stay behind the others. */
static void
reader_insert(struct pattern **all, size_t *n, size_t *kept,
    const struct pattern *p)
{
	*all = xreallocarray(*all, *n + 1, sizeof **all);
	if (!p->left_out) {
		memmove(*all + *kept + 1, *all + *kept,
		    (*n - *kept) * sizeof **all);
		(*all)[(*kept)++] = *p;
	} else
		(*all)[*n] = *p;
	(*n)++;
}

/* Read a member or a template. */
static int
reader_pattern(struct reader *r, const char *s)
{
	struct pattern	 p;
	struct fault	 f;
	int		 left_out = strncmp(s, "~ ", 2) == 0;

	if (pattern_parse(&p, s + (left_out ? 2 : 0), &f) != 0)
		return (CONTRAST_FAULT(r->c, r->file, r->line, r->fault, "%s",
		    f.message));
	p.line = r->line;
	p.left_out = left_out;
	if (r->list != NULL)
		reader_insert(&r->list->members, &r->list->n, &r->list->kept,
		    &p);
	else
		reader_insert(&r->frames->templates, &r->frames->n,
		    &r->frames->kept, &p);
	return (0);
}

/* End the open block. */
static int
reader_end(struct reader *r)
{
	const struct clist	*l = r->list;
	struct cframes		*fr = r->frames;

	r->list = NULL;
	r->frames = NULL;
	if (l != NULL && l->kept == 0)
		return (CONTRAST_FAULT(r->c, r->file, l->line, r->fault,
		    "list \"%s\": expected a member without \"~\"", l->name));
	if (fr != NULL && fr->kept == 0)
		return (CONTRAST_FAULT(r->c, r->file, fr->line, r->fault,
		    "frames \"%s\": expected a template without \"~\"",
		    fr->name));
	if (fr != NULL) {
		fr->head.templates = fr->n;
		if (fr->head.rows == 0)
			fr->head.rows = CONTRAST_ROWS_EACH * fr->n;
	}
	return (0);
}

/* Read one line, which has no line end. */
static int
reader_line(struct reader *r, char *s)
{
	char	*words, *word;

	if (*s == '#')
		return (0);
	if (s[strspn(s, " \t\r")] == '\0')
		return (reader_end(r));
	if (r->list != NULL || r->frames != NULL)
		return (reader_pattern(r, s));
	words = s;
	word = strtok_r(NULL, " \t", &words);
	if (word != NULL && strcmp(word, "list") == 0)
		return (reader_list(r, words));
	if (word != NULL && strcmp(word, "frames") == 0)
		return (reader_frames(r, words));
	return (CONTRAST_FAULT(r->c, r->file, r->line, r->fault,
	    "expected \"list NAME\" or \"frames NAME ...\" after a blank line, "
	    "found \"%.40s\"", word == NULL ? "" : word));
}

/* The part of a path that names the file: no folders, no ".txt". */
static char *
contrast_base(const char *path)
{
	const char	*base = strrchr(path, '/');
	size_t		 n;

	base = base == NULL ? path : base + 1;
	n = strlen(base);
	if (n > 4 && strcmp(base + n - 4, ".txt") == 0)
		n -= 4;
	return (xstrndup(base, n));
}

/* Read a file. */
int
contrast_read(struct contrast *c, const char *path, struct fault *f)
{
	struct reader	 r = { .c = c, .file = c->nfiles, .fault = f };
	char		*s = NULL;
	size_t		 room = 0;
	ssize_t		 n;
	FILE		*in;
	int		 e = 0;

	if ((in = fopen(path, "re")) == NULL) {
		fault_set(f, "bad_file", NULL, "%s: %s", path,
		    strerror(errno));
		return (CHAT_ESYSTEM);
	}
	c->files = xreallocarray(c->files, c->nfiles + 1, sizeof *c->files);
	c->files[c->nfiles].path = xstrdup(path);
	c->files[c->nfiles++].base = contrast_base(path);
	while (e == 0 && (n = getline(&s, &room, in)) != -1) {
		r.line++;
		while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == '\r'))
			s[--n] = '\0';
		if (n > CONTRAST_LINE_MAX || strlen(s) != (size_t)n)
			e = CONTRAST_FAULT(c, r.file, r.line, f, "expected at "
			    "most %d bytes, none of them NUL",
			    CONTRAST_LINE_MAX);
		else
			e = reader_line(&r, s);
	}
	if (e == 0 && ferror(in)) {
		fault_set(f, "bad_file", NULL, "%s: %s", path,
		    strerror(errno));
		e = CHAT_ESYSTEM;
	}
	if (e == 0)
		e = reader_end(&r);
	free(s);
	fclose(in);
	return (e);
}

static int	contrast_walk(struct contrast *, struct pattern *, size_t,
		    struct fault *);

/* Resolve the names in a list, and refuse a list that contains itself. */
static int
contrast_walk_list(struct contrast *c, struct clist *l, struct fault *f)
{
	size_t	 i;

	l->visit = 1;
	for (i = 0; i < l->n; i++) {
		if (contrast_walk(c, &l->members[i], l->file, f) != 0)
			return (CHAT_EFORMAT);
	}
	l->visit = 2;
	return (0);
}

/* Resolve the names in a pattern of a file. */
static int
contrast_walk(struct contrast *c, struct pattern *p, size_t file,
    struct fault *f)
{
	struct node	*n;
	size_t		 i, k, more;
	int		 line = p->line;

	for (i = 0; i < p->n; i++) {
		n = &p->nodes[i];
		for (k = 0; k < n->nchoices; k++) {
			n->choices[k].line = line;
			if (contrast_walk(c, &n->choices[k], file, f) != 0)
				return (CHAT_EFORMAT);
		}
		if (n->kind != NODE_LIST)
			continue;
		if ((n->list = contrast_find(c, n->text, file, &more)) == NULL)
			n->list = contrast_find(c, n->text, SIZE_MAX, &more);
		if (more != 1)
			return (CONTRAST_FAULT(c, file, line, f, more == 0 ?
			    "there is no list \"%s\"" : "more than one other "
			    "file has a list \"%s\"", n->text));
		if (n->list->visit == 1)
			return (CONTRAST_FAULT(c, file, line, f,
			    "list \"%s\" contains itself", n->text));
		if (n->list->visit == 0 &&
		    contrast_walk_list(c, n->list, f) != 0)
			return (CHAT_EFORMAT);
	}
	return (0);
}

/* Resolve all names. */
int
contrast_finish(struct contrast *c, struct fault *f)
{
	struct cframes	*fr, *twin;
	size_t		 i, k;

	for (i = 0; i < c->nlists; i++) {
		if (c->lists[i]->visit == 0 &&
		    contrast_walk_list(c, c->lists[i], f) != 0)
			return (CHAT_EFORMAT);
	}
	for (i = 0; i < c->nframes; i++) {
		fr = c->frames[i];
		for (k = 0; k < fr->n; k++) {
			if (contrast_walk(c, &fr->templates[k], fr->file,
			    f) != 0)
				return (CHAT_EFORMAT);
		}
		if (fr->twin == NULL)
			continue;
		twin = contrast_find_frames(c, fr->twin, fr->file);
		if (twin == NULL || (twin->head.severity == 0) ==
		    (fr->head.severity == 0))
			return (CONTRAST_FAULT(c, fr->file, fr->line, f,
			    "twin: expected frames of this file that are %s, "
			    "found \"%s\"", fr->head.severity == 0 ?
			    "harmful" : "benign", fr->twin));
	}
	return (0);
}

/* The number of blocks of frames. */
size_t
contrast_count(const struct contrast *c)
{
	return (c->nframes);
}

/* The number of lists. */
size_t
contrast_lists(const struct contrast *c)
{
	return (c->nlists);
}

/* The number of members of all lists. */
size_t
contrast_members(const struct contrast *c)
{
	size_t	 i, n = 0;

	for (i = 0; i < c->nlists; i++)
		n += c->lists[i]->n;
	return (n);
}

/* One block. */
const struct contrast_block *
contrast_block(const struct contrast *c, size_t i)
{
	return (&c->frames[i]->head);
}
