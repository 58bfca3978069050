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
	size_t	 number;	/* of the finding, from 1 */
	int	 acts;		/* the finding has an action */
};

/* Order two places: the earlier start first, then the longer one. */
static int
explain_order(const void *a, const void *b)
{
	const struct explain_span	*x = a, *y = b;

	if (x->start != y->start)
		return (x->start < y->start ? -1 : 1);
	if (x->end != y->end)
		return (x->end > y->end ? -1 : 1);
	return ((x->number > y->number) - (x->number < y->number));
}

/* The action of a finding; "allow" if it has none. */
static const char *
explain_action(const json_t *finding)
{
	const char	*action = msg_string(finding, "action");

	return (action != NULL ? action : "allow");
}

/* Collect the places that lie in a text of len bytes, in order. Returns their
 * number, and *out (owned). */
static size_t
explain_spans(const json_t *findings, size_t len, struct explain_span **out)
{
	struct explain_span	*sp;
	const json_t		*o;
	int64_t			 start, end;
	size_t			 i, n = 0;

	sp = xcalloc(json_array_size(findings) + 1, sizeof *sp);
	json_array_foreach(findings, i, o) {
		start = msg_int(o, "start", -1);
		end = msg_int(o, "end", -1);
		if (start < 0 || end <= start || (uint64_t)end > len)
			continue;
		sp[n++] = (struct explain_span){ (size_t)start, (size_t)end,
		    i + 1, strcmp(explain_action(o), "allow") != 0 };
	}
	qsort(sp, n, sizeof *sp, explain_order);
	*out = sp;
	return (n);
}

/* Do two of n places, in order, overlap, and are they not the same place? */
static int
explain_overlap(const struct explain_span *sp, size_t n)
{
	size_t	 i;

	for (i = 1; i < n; i++) {
		if (sp[i].start < sp[i - 1].end &&
		    (sp[i].start != sp[i - 1].start ||
		    sp[i].end != sp[i - 1].end))
			return (1);
	}
	return (0);
}

/* Make those of n places that overlap one. Returns their number. */
static size_t
explain_merge(struct explain_span *sp, size_t n)
{
	size_t	 i, k = 0;

	for (i = 0; i < n; i++) {
		if (k == 0 || sp[i].start >= sp[k - 1].end) {
			sp[k++] = sp[i];
			continue;
		}
		if (sp[i].end > sp[k - 1].end)
			sp[k - 1].end = sp[i].end;
		sp[k - 1].acts |= sp[i].acts;
	}
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

/* Print the text with places that overlap: the brackets of each place have the
 * number of its finding. */
static void
explain_numbered(const char *text, const struct explain_span *sp, size_t n)
{
	size_t	 len = strlen(text), at = 0, next, i;

	for (;;) {
		for (i = n; i-- > 0;) {
			if (sp[i].end == at)
				printf(":%zu]", sp[i].number);
		}
		for (i = 0; i < n; i++) {
			if (sp[i].start == at)
				printf("[%zu:", sp[i].number);
		}
		if (at == len)
			return;
		next = len;
		for (i = 0; i < n; i++) {
			if (sp[i].start > at && sp[i].start < next)
				next = sp[i].start;
			if (sp[i].end > at && sp[i].end < next)
				next = sp[i].end;
		}
		explain_piece(text + at, next - at);
		at = next;
	}
}

/* Print the text with n places that do not overlap, in colour or in
 * brackets. */
static void
explain_marked(const char *text, const struct explain_span *sp, size_t n)
{
	const char	*on;
	size_t		 at = 0, i;

	for (i = 0; i < n; i++) {
		on = term_on(1, sp[i].acts ? ROLE_BAD : ROLE_BOLD);
		explain_piece(text + at, sp[i].start - at);
		fputs(on[0] != '\0' ? on : "[", stdout);
		explain_piece(text + sp[i].start, sp[i].end - sp[i].start);
		fputs(on[0] != '\0' ? term_off(1) : "]", stdout);
		at = sp[i].end;
	}
	explain_piece(text + at, strlen(text) - at);
}

/* Print the text with the places. Without colours, places that overlap are
 * numbered. Returns whether they are. */
static int
explain_text(const char *text, const json_t *findings)
{
	struct explain_span	*sp;
	size_t			 n;
	int			 numbered;

	n = explain_spans(findings, strlen(text), &sp);
	numbered = term_on(1, ROLE_BAD)[0] == '\0' && explain_overlap(sp, n);
	if (numbered)
		explain_numbered(text, sp, n);
	else
		explain_marked(text, sp, explain_merge(sp, n));
	putchar('\n');
	free(sp);
	return (numbered);
}

/* The plugin and the rule of a finding. */
char *
explain_name(const json_t *finding)
{
	const char	*plugin = msg_string(finding, "plugin");
	const char	*rule = msg_string(finding, "rule");
	size_t		 n;

	if (plugin == NULL || rule == NULL)
		return (xstrdup(plugin != NULL ? plugin : rule != NULL ? rule :
		    "?"));
	n = strlen(plugin);
	if (strncmp(rule, plugin, n) == 0 &&
	    (rule[n] == '\0' || rule[n] == ':' || rule[n] == '/'))
		return (xstrdup(rule));
	return (xasprintf("%s %s", plugin, rule));
}

/* Order two findings: the higher score first, then the earlier place. */
int
explain_strongest(const void *a, const void *b)
{
	const json_t	*x = *(json_t *const *)a, *y = *(json_t *const *)b;
	double		 sx = msg_real(x, "score", 0);
	double		 sy = msg_real(y, "score", 0);
	int64_t		 ix = msg_int(x, "start", 0);
	int64_t		 iy = msg_int(y, "start", 0);

	if (sx != sy)
		return (sx < sy ? 1 : -1);
	return ((ix > iy) - (ix < iy));
}

/* Print one finding on a line, after its number (0: none), and what it weighed
 * on the next. */
static void
explain_finding(const json_t *o, size_t number)
{
	const json_t	*list = json_object_get(o, "detail"), *ft;
	char		*line, *safe, *name = explain_name(o);
	size_t		 i;

	if (number > 0)
		printf("%3zu", number);
	line = xasprintf("%-15s %.2f  %-6s  %s, bytes %lld to %lld%s",
	    msg_string(o, "category"), msg_real(o, "score", 0),
	    explain_action(o), name,
	    (long long)msg_int(o, "start", 0), (long long)msg_int(o, "end", 0),
	    json_is_true(json_object_get(o, "proven")) ? " (proven)" :
	    json_object_get(o, "lowered") != NULL ? " (lowered)" : "");
	safe = render_line(line);
	printf("  %s\n", safe);
	free(safe);
	free(line);
	free(name);
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
	int		 numbered;

	safe = render_line(msg_string(end, "action"));
	printf("%s (%.0f us)\n", safe, msg_real(end, "us", 0));
	free(safe);
	numbered = explain_text(text, findings);
	json_array_foreach(findings, i, o) {
		if (msg_string(o, "category") != NULL &&
		    msg_string(o, "plugin") != NULL &&
		    msg_string(o, "rule") != NULL)
			explain_finding(o, numbered ? i + 1 : 0);
	}
	term_flush();
}
