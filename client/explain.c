/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explaining a verdict: the text with the places that were found, and for each
 * finding what it weighed.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

/* A place that was found, bytes of the text. */
struct explain_span {
	size_t	 start, end;
	int	 acts;		/* the finding has an action */
};

/* Order two places by their start. */
static int
explain_order(const void *a, const void *b)
{
	const struct explain_span	*x = a, *y = b;

	return ((x->start > y->start) - (x->start < y->start));
}

/* The action of a finding; "allow" if it has none. */
static const char *
explain_action(const json_t *finding)
{
	const char	*action = msg_string(finding, "action");

	return (action != NULL ? action : "allow");
}

/* Collect the places that lie in a text of len bytes, in order; those that
 * overlap become one. Returns their number, and *out (owned). */
static size_t
explain_spans(const json_t *findings, size_t len, struct explain_span **out)
{
	struct explain_span	*sp;
	const json_t		*o;
	int64_t			 start, end;
	size_t			 i, n = 0, k = 0;

	sp = xcalloc(json_array_size(findings) + 1, sizeof *sp);
	json_array_foreach(findings, i, o) {
		start = msg_int(o, "start", -1);
		end = msg_int(o, "end", -1);
		if (start < 0 || end <= start || (uint64_t)end > len)
			continue;
		sp[n++] = (struct explain_span){ (size_t)start, (size_t)end,
		    strcmp(explain_action(o), "allow") != 0 };
	}
	qsort(sp, n, sizeof *sp, explain_order);
	for (i = 0; i < n; i++) {
		if (k == 0 || sp[i].start >= sp[k - 1].end) {
			sp[k++] = sp[i];
			continue;
		}
		if (sp[i].end > sp[k - 1].end)
			sp[k - 1].end = sp[i].end;
		sp[k - 1].acts |= sp[i].acts;
	}
	*out = sp;
	return (k);
}

/* Print a piece of the text. */
static void
explain_piece(const char *s, size_t n)
{
	struct render	 r;

	render_init(&r, stdout, term_mark(1));
	render_text(&r, s, n);
	render_end(&r);
}

/* Print the text. The places stand in colour, or in brackets if there are no
 * colours. */
static void
explain_text(const char *text, const json_t *findings)
{
	struct explain_span	*sp;
	const char		*on;
	size_t			 len = strlen(text), at = 0, i, n;

	n = explain_spans(findings, len, &sp);
	for (i = 0; i < n; i++) {
		on = term_on(1, sp[i].acts ? ROLE_BAD : ROLE_BOLD);
		explain_piece(text + at, sp[i].start - at);
		fputs(on[0] != '\0' ? on : "[", stdout);
		explain_piece(text + sp[i].start, sp[i].end - sp[i].start);
		fputs(on[0] != '\0' ? term_off(1) : "]", stdout);
		at = sp[i].end;
	}
	explain_piece(text + at, len - at);
	putchar('\n');
	free(sp);
}

/* Print one finding on a line, and what it weighed on the next. */
static void
explain_finding(const json_t *o)
{
	const json_t	*list = json_object_get(o, "detail"), *ft;
	char		*line, *safe;
	size_t		 i;

	line = xasprintf("%-15s %.2f  %-6s  %s %s%s", msg_string(o,
	    "category"), msg_real(o, "score", 0), explain_action(o),
	    msg_string(o, "plugin"), msg_string(o, "rule"),
	    json_is_true(json_object_get(o, "proven")) ? " (proven)" :
	    json_object_get(o, "lowered") != NULL ? " (lowered)" : "");
	safe = render_line(line);
	printf("  %s\n", safe);
	free(safe);
	free(line);
	json_array_foreach(list, i, ft) {
		safe = render_line(msg_string(ft, "name"));
		printf("%s%s %+.2f", i == 0 ? "      " : ", ", safe,
		    msg_real(ft, "weight", 0));
		free(safe);
	}
	if (i > 0)
		putchar('\n');
}

/* Print the explanation of an answer about a text. */
void
explain_print(const char *text, const json_t *end)
{
	const json_t	*findings = json_object_get(end, "findings"), *o;
	size_t		 i;
	char		*safe;

	safe = render_line(msg_string(end, "action"));
	printf("%s (%.0f us)\n", safe, msg_real(end, "us", 0));
	free(safe);
	explain_text(text, findings);
	json_array_foreach(findings, i, o) {
		if (msg_string(o, "category") != NULL &&
		    msg_string(o, "plugin") != NULL &&
		    msg_string(o, "rule") != NULL)
			explain_finding(o);
	}
	term_flush();
}
