/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the engine's test data.
 */
#include "engine_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "path.h"
#include "xmalloc.h"

struct tokenizer	*data_tok;

/* Find a file. */
char *
data_path(const char *name)
{
	const char	*src = getenv("srcdir");

	return (xasprintf("%s/tests/data/%s", src == NULL ? "." : src, name));
}

/* Read a tokenizer. */
struct tokenizer *
data_tokenizer(const char *folder)
{
	struct tokenizer	*t;
	struct fault		 f;
	char			*name, *path, *text;
	size_t			 n;

	name = xasprintf("%s/tokenizer.json", folder);
	path = data_path(name);
	if (path_read(path, TOKENIZER_FILE_MAX, &text, &n) != 0)
		fatalx("%s can't be read", path);
	if (tokenizer_parse(path, text, n, &t, &f) != 0)
		fatalx("%s", f.message);
	free(text);
	free(name);
	free(path);
	return (t);
}

/* Share the one of neox-tiny. */
int
data_setup_tiny(void **state)
{
	(void)state;
	data_tok = data_tokenizer("neox-tiny");
	return (0);
}

/* Share the one of GPT-NeoX-20B. */
int
data_setup_20b(void **state)
{
	(void)state;
	data_tok = data_tokenizer("gpt-neox-20b");
	return (0);
}

/* Release it. */
int
data_teardown(void **state)
{
	(void)state;
	tokenizer_free(data_tok);
	return (0);
}

/* Read a file. */
json_t *
data_json(const char *name)
{
	json_error_t	 err;
	json_t		*v;
	char		*path = data_path(name);

	if ((v = json_load_file(path, 0, &err)) == NULL)
		fatalx("%s: %s", path, err.text);
	free(path);
	return (v);
}

/* Read lines. */
json_t *
data_lines(const char *name)
{
	json_t	*list = json_array(), *v;
	char	*path = data_path(name), *line = NULL;
	size_t	 size = 0;
	FILE	*fp;

	if ((fp = fopen(path, "r")) == NULL)
		fatal("%s", path);
	while (getline(&line, &size, fp) > 0) {
		if ((v = json_loads(line, JSON_ALLOW_NUL, NULL)) == NULL)
			fatalx("%s: a line is not JSON", path);
		json_array_append_new(list, v);
	}
	fclose(fp);
	free(line);
	free(path);
	return (list);
}

/* Turn an array into ids. */
struct idbuf
data_ids(const json_t *array)
{
	struct idbuf	 ids = { NULL, 0, 0 };
	json_t		*v;
	size_t		 i;

	json_array_foreach(array, i, v)
		idbuf_add(&ids, (int32_t)json_integer_value(v));
	return (ids);
}

/* Encode a string. */
struct idbuf
data_encode(const struct tokenizer *t, const char *s, int special)
{
	struct idbuf	 ids = { NULL, 0, 0 };

	tokenizer_encode(t, s, strlen(s), special, &ids);
	return (ids);
}

/* Parse a tree. */
struct tokenizer *
data_parse(const json_t *root, struct fault *f)
{
	struct tokenizer	*t = NULL;
	char			*text = json_dumps(root, 0);

	if (tokenizer_parse("some/file", text, strlen(text), &t, f) != 0)
		t = NULL;
	free(text);
	return (t);
}

/* Encode and compare. */
int
data_vector_differs(const struct tokenizer *t, const json_t *v, int special,
    const char *key)
{
	const json_t	*text = json_object_get(v, "text");
	struct idbuf	 want = data_ids(json_object_get(v, key));
	struct idbuf	 got = { NULL, 0, 0 };
	int		 differ;

	tokenizer_encode(t, json_string_value(text), json_string_length(text),
	    special, &got);
	differ = data_ids_differ(json_string_value(text), &got, &want);
	idbuf_clear(&want);
	idbuf_clear(&got);
	return (differ);
}

/* Compare tokens, and the ids before the first and after the last. */
int
data_tokens_differ(const struct tokenizer *got, const struct tokenizer *want)
{
	const char	*a, *b;
	size_t		 n, m;
	int32_t		 i, size = tokenizer_size(want);

	for (i = -1; i <= size; i++) {
		a = tokenizer_bytes(got, i, &n);
		b = tokenizer_bytes(want, i, &m);
		if (n != m || memcmp(a, b, n) != 0 || tokenizer_size(got) !=
		    size || tokenizer_special(got, i) !=
		    tokenizer_special(want, i)) {
			fprintf(stderr, "token %d of %d: got %.*s, want "
			    "%.*s\n", i, tokenizer_size(got), (int)n, a,
			    (int)m, b);
			return (1);
		}
	}
	return (0);
}

/* Compare. */
int
data_ids_differ(const char *what, const struct idbuf *got,
    const struct idbuf *want)
{
	size_t	 i;

	if (got->n == want->n && (got->n == 0 || memcmp(got->id, want->id,
	    got->n * sizeof *got->id) == 0))
		return (0);
	fprintf(stderr, "%s:\n  got ", what);
	for (i = 0; i < got->n; i++)
		fprintf(stderr, " %d", got->id[i]);
	fprintf(stderr, "\n  want");
	for (i = 0; i < want->n; i++)
		fprintf(stderr, " %d", want->id[i]);
	fprintf(stderr, "\n");
	return (1);
}
