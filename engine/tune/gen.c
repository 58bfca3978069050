/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Template files.  A line "@KIND NAME [WEIGHT]" begins a section; the lines
 * after it are its entries, "KEY TEXT", or just "TEXT" in a list.  An empty
 * line begins another group.  "#" begins a comment, "~ " an entry that is held
 * out; "\n" in a text is the end of a line.
 */
#include "gen.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"
#include "xmalloc.h"

#define GEN_FILE_MAX	(4 * 1024 * 1024)

/* Where the reader is. */
struct gen_reader {
	struct gen		*g;
	const char		*path;
	int			 line;
	struct gen_section	*s;	/* NULL: in a list, or before any */
	struct gen_list		*l;
	int			 group;
	int			 empty;	/* the last line was */
};

static const char *const gen_kinds[] = {
	"list", "talk", "task", "fact", "table", "story", "article", "feeling",
	"vary"
};

/* FNV-1a, whose upper bits decide. */
int
gen_held(const char *s)
{
	uint64_t	 h = 0xcbf29ce484222325u;

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 0x100000001b3u;
	return ((h >> 40) % 8 == 0);
}

/* A list, made if it is new. */
struct gen_list *
gen_list_make(struct gen *g, const char *name)
{
	json_t		*i = json_object_get(g->by_name, name);
	struct gen_list	*l;

	if (i != NULL)
		return (&g->list[json_integer_value(i)]);
	g->list = xreallocarray(g->list, g->lists + 1, sizeof *g->list);
	l = &g->list[g->lists];
	memset(l, 0, sizeof *l);
	l->name = xstrdup(name);
	json_object_set_new(g->by_name, name,
	    json_integer((json_int_t)g->lists++));
	return (l);
}

/* Add an item. */
void
gen_list_add(struct gen_list *l, const char *s, int held)
{
	if (l->n == l->size) {
		l->size = 2 * l->size + 16;
		l->item = xreallocarray(l->item, l->size, sizeof *l->item);
		l->held = xreallocarray(l->held, l->size, sizeof *l->held);
	}
	l->item[l->n] = xstrdup(s);
	l->held[l->n++] = (uint8_t)held;
}

/* Find a list, or NULL. */
const struct gen_list *
gen_list_find(const struct gen *g, const char *name)
{
	json_t	*i = json_object_get(g->by_name, name);

	return (i == NULL ? NULL : &g->list[json_integer_value(i)]);
}

/* Replace "\n". */
static void
gen_unescape(char *s)
{
	char	*to = s;

	for (; *s != '\0'; s++)
		if (s[0] == '\\' && s[1] == 'n') {
			*to++ = '\n';
			s++;
		} else
			*to++ = *s;
	*to = '\0';
}

/* A fault at the reader's line. */
static int
gen_bad(const struct gen_reader *r, struct fault *f, const char *why,
    const char *what)
{
	return (fault_set(f, "bad_config", NULL, "%s:%d: %s \"%s\"",
	    r->path, r->line, why, what));
}

/* The reader's line, as it stands before a fault. Owned. */
static char *
gen_where(const struct gen_reader *r, const char *kind, const char *name)
{
	return (xasprintf("%s:%d: @%s %s", r->path, r->line, kind, name));
}

/* "@kind name weight". */
static int
gen_header(struct gen_reader *r, char *s, struct fault *f)
{
	struct gen	*g = r->g;
	char		*kind = strtok(s + 1, " "), *name = strtok(NULL, " ");
	char		*weight = strtok(NULL, " "), *end;
	size_t		 i;

	for (i = 0; i < nitems(gen_kinds); i++)
		if (kind != NULL && strcmp(kind, gen_kinds[i]) == 0)
			break;
	if (i == nitems(gen_kinds) || name == NULL)
		return (gen_bad(r, f, "not @KIND NAME [WEIGHT]:",
		    kind == NULL ? "" : kind));
	r->s = NULL;
	r->l = NULL;
	r->group = 0;
	r->empty = 1;
	if (i == 0) {
		r->l = gen_list_make(g, name);
		if (r->l->where == NULL)
			r->l->where = gen_where(r, "list", name);
		return (0);
	}
	g->section = xreallocarray(g->section, g->sections + 1,
	    sizeof *g->section);
	r->s = &g->section[g->sections++];
	memset(r->s, 0, sizeof *r->s);
	r->s->kind = xstrdup(kind);
	r->s->name = xstrdup(name);
	r->s->where = gen_where(r, kind, name);
	r->s->weight = weight == NULL ? 1 : strtod(weight, &end);
	if (weight != NULL && (*end != '\0' || !(r->s->weight >= 0)))
		return (gen_bad(r, f, "not a weight:", weight));
	return (0);
}

/* An entry of a section. */
static int
gen_entry(struct gen_reader *r, char *s, int held, struct fault *f)
{
	struct gen_section	*sec = r->s;
	struct gen_entry	*e;
	char			*text = strchr(s, ' ');

	if (text == NULL)
		return (gen_bad(r, f, "not KEY TEXT:", s));
	*text++ = '\0';
	if (strcmp(s, "after") == 0) {
		if (regcomp(&sec->after, text, REG_EXTENDED | REG_NOSUB) != 0)
			return (gen_bad(r, f, "not a regular expression:",
			    text));
		sec->has_after = 1;
		return (0);
	}
	if (strcmp(s, "if") == 0 || strcmp(s, "unless") == 0) {
		free(s[0] == 'i' ? sec->need : sec->unless);
		*(s[0] == 'i' ? &sec->need : &sec->unless) = xstrdup(text);
		return (0);
	}
	if (r->empty && sec->n > 0)
		sec->groups++;
	r->empty = 0;
	sec->e = xreallocarray(sec->e, sec->n + 1, sizeof *sec->e);
	e = &sec->e[sec->n++];
	e->key = xstrdup(s);
	e->text = xstrdup(text);
	e->held = held;
	e->group = sec->groups;
	return (0);
}

/* One line. */
static int
gen_line(struct gen_reader *r, char *s, struct fault *f)
{
	int	 held = strncmp(s, "~ ", 2) == 0;

	if (s[0] == '#')
		return (0);
	if (s[0] == '\0') {
		r->empty = 1;
		return (0);
	}
	if (s[0] == '@')
		return (gen_header(r, s, f));
	gen_unescape(s);
	s += held ? 2 : 0;
	if (r->l != NULL) {
		gen_list_add(r->l, s, held);
		return (0);
	}
	if (r->s == NULL)
		return (gen_bad(r, f, "before any section:", s));
	return (gen_entry(r, s, held, f));
}

/* One file. */
static int
gen_file(struct gen *g, const char *path, struct fault *f)
{
	struct gen_reader	 r = { .g = g, .path = path };
	char			*text, *s, *end;
	size_t			 n;
	int			 e;

	if ((e = path_read(path, GEN_FILE_MAX, &text, &n)) != 0) {
		fault_set(f, "bad_config", NULL, "%s: %s", path,
		    e == CHAT_ESYSTEM ? strerror(errno) : chat_strerror(e));
		return (e);
	}
	for (s = text; e == 0 && *s != '\0'; s = end) {
		end = s + strcspn(s, "\n");
		if (*end != '\0')
			*end++ = '\0';
		r.line++;
		e = gen_line(&r, s, f);
	}
	free(text);
	return (e);
}

/* Is it a template file? */
static int
gen_wanted(const struct dirent *d)
{
	size_t	 n = strlen(d->d_name);

	return (n > 4 && strcmp(d->d_name + n - 4, ".txt") == 0);
}

/* All files, in the order of their names. */
int
gen_read_folder(struct gen *g, const char *path, struct fault *f)
{
	struct dirent	**d;
	char		*file;
	int		 n = scandir(path, &d, gen_wanted, alphasort), i;
	int		 e = 0;

	if (n == -1) {
		fault_set(f, "bad_config", NULL, "%s: %s", path,
		    strerror(errno));
		return (CHAT_ESYSTEM);
	}
	for (i = 0; i < n; i++) {
		file = path_join(path, d[i]->d_name);
		if (e == 0)
			e = gen_file(g, file, f);
		free(file);
		free(d[i]);
	}
	free(d);
	if (e == 0 && n == 0)
		e = fault_set(f, "bad_config", NULL,
		    "%s: no template file (*.txt) there", path);
	return (e);
}
