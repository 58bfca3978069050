/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of identity groups: the members of the lists "group..." of the
 * contrast files, folded.  And the classes of words of like meaning: a file
 * a class on each line.
 */
#include "train.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fold.h"
#include "xmalloc.h"

/* Append a token to the name. */
static void
groups_token(void *arg, const struct features_out *o)
{
	char	*name = arg;
	size_t	 n = strlen(name);

	if (n + o->token->len + 2 > GROUPS_NAME)
		return;
	if (n > 0)
		name[n++] = ' ';
	memcpy(name + n, o->token->text, o->token->len);
	name[n + o->token->len] = '\0';
}

/* Add a name as the features will see it. */
static void
groups_add(struct groups *g, const char *line)
{
	const struct features_words	 none = { NULL, 0, NULL, 0 };
	struct features			 state;
	struct fold			 f;
	char				 name[GROUPS_NAME] = "";
	uint64_t			 h;

	memset(&state, 0, sizeof state);
	fold_init(&f, line, strlen(line));
	features_feed(&state, &none, f.text, 0, f.len, f.from, f.to, 0, 1,
	    groups_token, name);
	fold_clear(&f);
	if ((h = features_phrase(name)) == 0)
		return;
	g->hash = xreallocarray(g->hash, g->n + 1, sizeof *g->hash);
	g->hash[g->n++] = h;
}

/* Read a contrast file. */
int
groups_load(struct groups *g, const char *path, struct fault *f)
{
	FILE	*in;
	char	*line = NULL;
	size_t	 size = 0;
	ssize_t	 n;
	int	 inside = 0;

	if ((in = fopen(path, "re")) == NULL) {
		fault_set(f, "bad_file", NULL, "%s: %s", path,
		    strerror(errno));
		return (CHAT_ESYSTEM);
	}
	while ((n = getline(&line, &size, in)) > 0) {
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] == '\0')
			inside = 0;
		else if (strncmp(line, "list ", 5) == 0)
			inside = strncmp(line + 5, "group", 5) == 0;
		else if (inside && line[0] != '#' &&
		    strpbrk(line, "{[|") == NULL)
			groups_add(g, strncmp(line, "~ ", 2) == 0 ? line + 2 :
			    line);
	}
	free(line);
	fclose(in);
	return (0);
}

/* Order hashes. */
static int
groups_compare(const void *va, const void *vb)
{
	uint64_t	 a = *(const uint64_t *)va, b = *(const uint64_t *)vb;

	return (a < b ? -1 : a > b);
}

/* Order the names and drop repeated ones. */
void
groups_sort(struct groups *g)
{
	size_t	 i, n = 0;

	if (g->n > 0)
		qsort(g->hash, g->n, sizeof *g->hash, groups_compare);
	for (i = 0; i < g->n; i++)
		if (n == 0 || g->hash[i] != g->hash[n - 1])
			g->hash[n++] = g->hash[i];
	g->n = n;
}

/* Read a file of classes. */
int
classes_load(struct groups *g, const char *path, struct fault *f)
{
	FILE		*in;
	char		*line = NULL, *word, *save;
	size_t		 size = 0;
	uint64_t	 class = 0;

	if ((in = fopen(path, "re")) == NULL) {
		fault_set(f, "bad_file", NULL, "%s: %s", path,
		    strerror(errno));
		return (CHAT_ESYSTEM);
	}
	while (getline(&line, &size, in) > 0) {
		if (line[0] == '#' || (word = strtok_r(line, " \r\n",
		    &save)) == NULL)
			continue;
		if (++class >= UINT16_MAX) {
			fault_set(f, "bad_file", NULL,
			    "%s: more than %d classes", path, UINT16_MAX - 1);
			break;
		}
		for (; word != NULL; word = strtok_r(NULL, " \r\n", &save)) {
			g->hash = xreallocarray(g->hash, g->n + 1,
			    sizeof *g->hash);
			g->hash[g->n++] = (features_word(word, strlen(word)) &
			    ~(uint64_t)0xffff) | class;
		}
	}
	free(line);
	fclose(in);
	return (class >= UINT16_MAX ? CHAT_EFORMAT : 0);
}
