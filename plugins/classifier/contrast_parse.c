/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One member or template of a contrast file: text, {list}, {a:list#1},
 * [this|that|].  contrast.c calls it for each line.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "contrast_impl.h"
#include "utf8.h"
#include "xmalloc.h"

#define PARSE_DEPTH_MAX	16	/* nested choices */

/* Where the parser is. */
struct parse {
	const char	*at;
	const char	*begin;
	int		 depth;
	struct fault	*fault;
};

static int	parse_pattern(struct parse *, struct pattern *);

/* Add a node, all zero. */
static struct node *
pattern_add(struct pattern *p, enum node_kind kind)
{
	struct node	*n;

	p->nodes = xreallocarray(p->nodes, p->n + 1, sizeof *p->nodes);
	n = &p->nodes[p->n++];
	memset(n, 0, sizeof *n);
	n->kind = kind;
	return (n);
}

/* Free what a pattern has. */
void
pattern_clear(struct pattern *p)
{
	size_t	 i, k;

	for (i = 0; i < p->n; i++) {
		for (k = 0; k < p->nodes[i].nchoices; k++)
			pattern_clear(&p->nodes[i].choices[k]);
		free(p->nodes[i].choices);
		free(p->nodes[i].text);
	}
	free(p->nodes);
	p->nodes = NULL;
	p->n = 0;
}

/* Does a text node end here? */
static int
parse_is_special(const struct parse *x)
{
	return (*x->at == '\0' || strchr("{}[]", *x->at) != NULL ||
	    (x->depth > 0 && *x->at == '|'));
}

/* Read text up to the next sign that has a meaning. */
static void
parse_text(struct parse *x, struct pattern *p)
{
	struct node	*n = pattern_add(p, NODE_TEXT);
	size_t		 len = 0;

	n->text = xmalloc(strlen(x->at) + 1);
	while (!parse_is_special(x)) {
		if (*x->at == '\\' && x->at[1] != '\0' &&
		    strchr("{}[]|#~\\", x->at[1]) != NULL)
			x->at++;
		n->text[len++] = *x->at++;
	}
	n->text[len] = '\0';
}

/* Read "{a:name#1}"; x->at is at the brace. */
static int
parse_list(struct parse *x, struct pattern *p)
{
	static const char *const forms[] = {
		[FORM_ARTICLE] = "a:",
		[FORM_CAPITAL] = "C:",
		[FORM_GERUND] = "ing:",
	};
	struct node	*n = pattern_add(p, NODE_LIST);
	const char	*brace = x->at, *from = ++x->at;
	unsigned	 i;

	for (i = FORM_ARTICLE; i <= FORM_GERUND; i++) {
		if (strncmp(from, forms[i], strlen(forms[i])) == 0) {
			n->form = i;
			from = x->at += strlen(forms[i]);
			break;
		}
	}
	while (isalnum((unsigned char)*x->at) || *x->at == '_' ||
	    *x->at == '-')
		x->at++;
	n->text = xstrndup(from, (size_t)(x->at - from));
	if (*x->at == '#' && x->at[1] >= '1' && x->at[1] <= '9') {
		n->slot = x->at[1] - '0';
		x->at += 2;
	}
	if (*x->at != '}' || n->text[0] == '\0')
		return (fault_set(x->fault, "bad_file", NULL,
		    "column %td: expected {list}, {list#1}, {a:list}, "
		    "{C:list} or {ing:list}, found \"{%.30s\"",
		    brace - x->begin + 1, from));
	x->at++;
	return (0);
}

/* Read "[this|that]"; x->at is at the bracket. */
static int
parse_choice(struct parse *x, struct pattern *p)
{
	struct node	*n = pattern_add(p, NODE_CHOICE);
	const char	*from = x->at;
	size_t		 k = p->n - 1;

	if (++x->depth > PARSE_DEPTH_MAX)
		return (fault_set(x->fault, "bad_file", NULL, "column %td: "
		    "expected at most %d nested brackets",
		    from - x->begin + 1, PARSE_DEPTH_MAX));
	do {
		x->at++;
		n = &p->nodes[k];
		n->choices = xreallocarray(n->choices, n->nchoices + 1,
		    sizeof *n->choices);
		memset(&n->choices[n->nchoices], 0, sizeof *n->choices);
		if (parse_pattern(x, &n->choices[n->nchoices++]) != 0)
			return (CHAT_EFORMAT);
	} while (*x->at == '|');
	if (*x->at != ']')
		return (fault_set(x->fault, "bad_file", NULL, "column %td: "
		    "expected \"]\" for the \"[\" here", from - x->begin + 1));
	x->at++;
	x->depth--;
	return (0);
}

/* Read nodes up to the end of the line or of the choice. */
static int
parse_pattern(struct parse *x, struct pattern *p)
{
	int	 r = 0;

	while (r == 0 && *x->at != '\0') {
		if (*x->at == '{')
			r = parse_list(x, p);
		else if (*x->at == '[')
			r = parse_choice(x, p);
		else if (*x->at == '}' || (*x->at == ']' && x->depth == 0))
			r = fault_set(x->fault, "bad_file", NULL, "column %td: "
			    "\"%c\" closes nothing; write \"\\%c\" for the "
			    "character", x->at - x->begin + 1, *x->at, *x->at);
		else if (parse_is_special(x))
			break;
		else
			parse_text(x, p);
	}
	return (r);
}

/* Parse one member or template. */
int
pattern_parse(struct pattern *p, const char *s, struct fault *f)
{
	struct parse	 x = { s, s, 0, f };
	int		 r;

	memset(p, 0, sizeof *p);
	if (!utf8_valid(s, strlen(s)))
		r = fault_set(f, "bad_file", NULL, "expected UTF-8");
	else
		r = parse_pattern(&x, p);
	if (r != 0)
		pattern_clear(p);
	return (r);
}
