/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the seeds and the dictionary of a fuzz target.  A dictionary has the
 * form of libFuzzer: each line has a word in quotes, which may follow a name
 * and "=".  Inside the quotes, \\, \" and \xNN are escapes.  "#" starts a
 * comment.
 */
#include "driver.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"
#include "xmalloc.h"

/* Report what is wrong with a file, and end. */
static void __attribute__((noreturn))
corpus_die(const char *path, const char *why)
{
	fprintf(stderr, "%s: %s\n", path, why);
	exit(2);
}

/* Add bytes (taken). */
static void
corpus_add(struct blob **list, size_t *n, void *bytes, size_t size)
{
	*list = xreallocarray(*list, *n + 1, sizeof **list);
	(*list)[*n].b = bytes;
	(*list)[(*n)++].n = size;
}

/* Read all files of a folder except hidden ones. */
static void
corpus_seeds(struct corpus *c, const char *folder)
{
	struct dirent	**names = NULL;
	char		*path, *text;
	size_t		 size;
	int		 n = scandir(folder, &names, NULL, alphasort), i;

	for (i = 0; i < n; i++) {
		path = path_join(folder, names[i]->d_name);
		if (names[i]->d_name[0] != '.') {
			if (path_read(path, INPUT_MAX, &text, &size) != 0)
				corpus_die(path, "can't be read, or is long");
			corpus_add(&c->seeds, &c->nseeds, text, size);
		}
		free(path);
		free(names[i]);
	}
	free(names);
	if (c->nseeds == 0)
		corpus_add(&c->seeds, &c->nseeds, xcalloc(1, 1), 0);
}

/* Read the word after the first quote of a line. Returns its length, or -1. */
static int
corpus_word(const char *s, uint8_t *out)
{
	unsigned	 byte;
	int		 n = 0;

	for (s++; *s != '"'; s++) {
		if (*s == '\0')
			return (-1);
		byte = (unsigned char)*s;
		if (*s == '\\' && s[1] == 'x') {
			if (!isxdigit((unsigned char)s[2]) ||
			    sscanf(s + 2, "%2x", &byte) != 1)
				return (-1);
			s += 3;
		} else if (*s == '\\')
			byte = (unsigned char)*++s;
		out[n++] = (uint8_t)byte;
	}
	return (n > 0 ? n : -1);
}

/* Read the words of a dictionary. */
static void
corpus_words(struct corpus *c, const char *path)
{
	FILE	*fp = fopen(path, "r");
	char	 line[1024], *quote;
	uint8_t	 word[sizeof line];
	int	 n;

	while (fp != NULL && fgets(line, sizeof line, fp) != NULL) {
		if (line[0] == '#' || line[strspn(line, " \t\n")] == '\0')
			continue;
		if ((quote = strchr(line, '"')) == NULL ||
		    (n = corpus_word(quote, word)) == -1)
			corpus_die(path, line);
		corpus_add(&c->words, &c->nwords, xstrndup((char *)word,
		    (size_t)n), (size_t)n);
	}
	if (fp != NULL)
		fclose(fp);
}

/* Read seeds and dictionary. */
void
corpus_load(struct corpus *c, const char *program)
{
	const char	*src = getenv("CHATD_SRC"), *name;
	char		*path;

	memset(c, 0, sizeof *c);
	name = strrchr(program, '/');
	name = strstr(name != NULL ? name : program, "fuzz_");
	c->name = name != NULL ? name + 5 : "none";
	if (src == NULL)
		src = getenv("srcdir");
	if (src == NULL)
		src = ".";
	path = xasprintf("%s/tests/fuzz/seeds/%s", src, c->name);
	corpus_seeds(c, path);
	free(path);
	path = xasprintf("%s/tests/fuzz/%s.dict", src, c->name);
	corpus_words(c, path);
	free(path);
}

/* Release it. */
void
corpus_clear(struct corpus *c)
{
	size_t	 i;

	for (i = 0; i < c->nseeds; i++)
		free(c->seeds[i].b);
	for (i = 0; i < c->nwords; i++)
		free(c->words[i].b);
	free(c->seeds);
	free(c->words);
}
