/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Printing lists of conversations, raw prompts and found exchanges, for chatctl
 * list, chatctl search and /list.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "json.h"
#include "utf8.h"
#include "xmalloc.h"

#define LIST_PAGE	200	/* conversations per request */

/* The state of a list while its items are printed. */
struct list {
	struct ctl	*ctl;		/* borrowed */
	FILE		*out;		/* borrowed */
	int64_t		 last;		/* number of the last one printed */
	const char	*key;		/* the object in an item */
	int64_t		 shown;		/* items of this page */
	int		 found;		/* the items are found exchanges */
};

static void	list_item(void *, const json_t *);
static void	list_rating(struct list *, const json_t *);
static void	list_excerpt(struct list *, const json_t *);
static char	*list_title(const char *, int);

/* Print a list, requested in pages. */
int
list_print(struct ctl *ctl, json_t *m, FILE *out)
{
	const int	 found = strcmp(msg_string(m, "op"), "search") == 0;
	const int	 raw = msg_string(m, "kind") != NULL;
	struct list	 l = { .ctl = ctl, .out = out, .found = found,
			    .key = raw || found ? "exchange" :
			    "conversation" };
	int64_t		 left = msg_int(m, "limit", LIST_DEFAULT);
	json_t		*end, *page;
	int		 status, more;

	do {
		page = json_deep_copy(m);
		msg_set_int(page, "limit", left < LIST_PAGE ? left :
		    LIST_PAGE);
		if (l.last != 0)
			msg_set_int(page, "before", l.last);
		l.shown = 0;
		status = link_call(ctl, page, list_item, &l, &end);
		more = json_is_true(json_object_get(end, "more"));
		json_decref(end);
		left -= l.shown;
	} while (status == CTL_OK && more && left > 0 && l.shown > 0);
	if (status == CTL_OK && l.last == 0 && !ctl->opt.json)
		term_note(found ? "nothing found" : raw ? "no raw prompts" :
		    "no conversations");
	else if (status == CTL_OK && more && !ctl->opt.json)
		term_note("older ones: chatctl %s %s--before %lld",
		    found ? "search" : "list", raw ? "--raw " : "",
		    (long long)l.last);
	json_decref(m);
	return (status);
}

/* Print one conversation, raw prompt or found exchange. */
static void
list_item(void *arg, const json_t *event)
{
	struct list	*l = arg;
	const json_t	*c = json_object_get(event, l->key);
	char		*title, when[STAMP_TEXT];
	int		 rows, columns;

	l->last = msg_int(c, l->key, 0);
	l->shown++;
	if (l->ctl->opt.json) {
		term_json(c);
		return;
	}
	term_size(&rows, &columns);
	stamp_text(msg_int(c, "updated", msg_int(c, "created", 0)),
	    STAMP_MINUTES, when);
	fprintf(l->out, "%s%6lld%s  %s  ", term_on(1, ROLE_BOLD),
	    (long long)l->last, term_off(1), when);
	if (l->found)
		list_rating(l, c);
	else
		fprintf(l->out, "%4lld  ", (long long)msg_int(c, "exchanges",
		    1));
	columns -= 32;
	if (l->ctl->opt.all) {
		title = msg_string(c, "user") != NULL ?
		    render_line(msg_string(c, "user")) :
		    filter_user(msg_int(c, "uid", -1));
		fprintf(l->out, "%-12s  ", title);
		columns -= 14;
		free(title);
	}
	title = list_title(msg_string(c, "title"), term_is(1) ? columns : 0);
	fprintf(l->out, "%s\n", title);
	free(title);
	if (msg_string(c, "excerpt") != NULL)
		list_excerpt(l, c);
}

/* Print how the newest reply of a found exchange was rated. */
static void
list_rating(struct list *l, const json_t *c)
{
	const json_t	*thumb = json_object_get(c, "thumb");
	int64_t		 n = json_integer_value(thumb);

	fprintf(l->out, "%s%4s%s  ", term_on(1, n > 0 ? ROLE_GOOD : n < 0 ?
	    ROLE_BAD : ROLE_DIM), !json_is_integer(thumb) ? "-" : n > 0 ?
	    "good" : n < 0 ? "bad" : "neut", term_off(1));
}

/* Print the part of a text that has the words, which are in bold. */
static void
list_excerpt(struct list *l, const json_t *c)
{
	const char	*text = msg_string(c, "excerpt");
	json_t		*mark;
	size_t		 i, at = 0, n = strlen(text), begin, end;
	char		*piece, *safe;

	fprintf(l->out, "        ");
	for (i = 0; at < n; i++) {
		mark = json_array_get(json_object_get(c, "marks"), i);
		begin = end = n;
		if (mark != NULL) {
			begin = (size_t)json_integer_value(
			    json_array_get(mark, 0));
			end = (size_t)json_integer_value(
			    json_array_get(mark, 1));
		}
		if (begin < at || end < begin || end > n)
			begin = end = n;
		piece = xstrndup(text + at, begin - at);
		safe = render_line(piece);
		fprintf(l->out, "%s", safe);
		free(safe);
		free(piece);
		piece = xstrndup(text + begin, end - begin);
		safe = render_line(piece);
		fprintf(l->out, "%s%s%s", term_on(1, ROLE_BOLD), safe,
		    term_off(1));
		free(safe);
		free(piece);
		at = end;
	}
	fputc('\n', l->out);
}

/* A title with escapes, cut to that many columns (0: not cut). */
static char *
list_title(const char *title, int columns)
{
	char		*safe = render_line(title);
	uint32_t	 cp;
	size_t		 i, n = strlen(safe), cut = 0;
	int		 len, width, used = 0;

	for (i = 0; columns > 3 && i < n; i += (size_t)len) {
		if ((len = utf8_decode(safe + i, n - i, &cp)) <= 0)
			break;
		if ((width = wcwidth((wchar_t)cp)) < 0)
			width = 1;
		used += width;
		if (used <= columns - 3)
			cut = i + (size_t)len;
	}
	if (columns > 3 && used > columns)
		strcpy(safe + cut, cut + 3 <= n ? "..." : "");
	return (safe);
}
