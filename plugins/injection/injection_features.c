/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the features of texts, for tools/injection/fit.py. Each line of the
 * input is an object with a text; each line of the output has the features of a
 * half stretch, with tabs between them: "number-of-the-line half tokens
 * feature...". A sign begins with "*".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "injection.h"
#include "xmalloc.h"

struct out {
	unsigned long	 line;
	uint64_t	 half;
	int		 begun;
};

/* Print a feature. */
static void
features_print(void *arg, const struct injection_feature *f)
{
	struct out	*o = arg;
	uint64_t	 half = f->token->from / INJECTION_HALF;

	if (!o->begun || half != o->half)
		printf("%s%lu\t%llu", o->line + (unsigned)o->begun > 1 ?
		    "\n" : "", o->line, (unsigned long long)half);
	o->begun = 1;
	o->half = half;
	if (f->sign != NULL)
		printf("\t*%s", f->sign);
	else if (f->before != NULL)
		printf("\t%.*s %.*s", f->before->len, f->before->text,
		    f->token->len, f->token->text);
	else
		printf("\t%.*s", f->token->len, f->token->text);
}

/* Read the texts. */
int
main(void)
{
	struct injection	*in = injection_new();
	struct injection_text	*t = xcalloc(1, sizeof *t);
	struct out		 o = { .line = 0 };
	json_t			*j;
	const char		*text;
	char			*line = NULL;
	size_t			 room = 0;

	while (getline(&line, &room, stdin) > 0) {
		o.line++;
		o.begun = 0;
		j = json_loads(line, 0, NULL);
		text = json_string_value(json_object_get(j, "text"));
		if (text == NULL) {
			fprintf(stderr, "features: line %lu: expected an "
			    "object with a text\n", o.line);
			return (1);
		}
		memset(t, 0, sizeof *t);
		injection_read(in, t, text, strlen(text), 0, 1,
		    features_print, &o);
		json_decref(j);
	}
	printf("\n");
	free(line);
	free(t);
	injection_free(in);
	return (0);
}
