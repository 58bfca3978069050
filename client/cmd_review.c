/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl review: with --refusals, an operator walks over the blocked exchanges
 * whose users say that the refusal was wrong, and keeps or overturns each
 * block.  review_walk.c has the other reviews.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

#define REVIEW_PAGE	50	/* refusals per request */

/* The walk. */
struct review {
	struct ctl	*ctl;		/* borrowed */
	json_t		*items;		/* owned: those of one page */
	int64_t		 before;	/* the last exchange seen; 0: none */
	unsigned	 seen, kept, overturned, gone;
	int		 quit;
};

/* Note one refusal. */
static void
review_item(void *arg, const json_t *event)
{
	struct review	*v = arg;

	json_array_append(v->items, json_object_get(event, "exchange"));
}

/* Request the next page. Returns a status. */
static int
review_page(struct review *v)
{
	json_t	*m = msg_op("list", -1), *end;
	int	 status;

	msg_set_string(m, "kind", "refusal");
	if ((status = filter_add(v->ctl, m)) != CTL_OK) {
		json_decref(m);
		return (status);
	}
	msg_set_int(m, "limit", REVIEW_PAGE);
	if (v->before != 0)
		msg_set_int(m, "before", v->before);
	status = link_call(v->ctl, m, review_item, v, &end);
	json_decref(end);
	return (status);
}

/* Ask until a key is one of those that are offered. */
static int
review_ask(void)
{
	int	 key;

	for (;;) {
		printf("%skeep the block, overturn it, skip, quit? "
		    "[k/o/s/q]%s ", term_on(1, ROLE_BOLD), term_off(1));
		term_flush();
		key = key_read();
		if (key < 0)
			putchar('\n');
		if (key < 0 || (key != '\0' && strchr("kosq", key) != NULL))
			return (key);
		putchar('\n');
	}
}

/* Store the decision. A block that was deleted or decided in the meantime is
 * not an error. Returns a status. */
static int
review_decide(struct review *v, const json_t *item, int overturn)
{
	json_t		*m, *end, *reasons = json_array();
	const char	*code;
	int		 status;

	if (overturn)
		json_array_append_new(reasons, json_string("wrong_refusal"));
	m = rate_message(msg_int(item, "exchange", 0), msg_int(item, "reply",
	    0), overturn ? -1 : 1, reasons, NULL, NULL);
	json_decref(reasons);
	msg_set_bool(m, "review", 1);
	status = link_run(v->ctl, m, 0, NULL, NULL, &end);
	code = msg_string(end, "code");
	if (status == CTL_OK) {
		v->overturned += overturn != 0;
		v->kept += !overturn;
		printf("%s\n", overturn ? "overturned" : "kept");
	} else if (code != NULL && strcmp(code, "not_found") == 0) {
		v->gone++;
		printf("gone: it was deleted in the meantime\n");
		status = CTL_OK;
	} else
		link_report(v->ctl, end);
	json_decref(end);
	return (status);
}

/* Show one refusal, and do what the operator says. Returns a status. */
static int
review_one(struct review *v, const json_t *item)
{
	int	 status, key;

	v->before = msg_int(item, "exchange", 0);
	if (v->ctl->opt.json) {
		v->seen++;
		term_json(item);
		return (CTL_OK);
	}
	status = show_conversation(v->ctl, v->before, stdout, NULL);
	if (link_gone(v->ctl, status))
		return (CTL_OK);	/* it was deleted, and that was said */
	if (status != CTL_OK)
		return (status);
	v->seen++;
	key = review_ask();
	if (key == KEY_STOP)
		return (CTL_INTERRUPTED);
	if (key == KEY_END || key == 'q') {
		v->quit = 1;
		if (key == 'q')
			printf("quit\n");
		return (CTL_OK);
	}
	if (key == 's') {
		printf("skipped\n\n");
		return (CTL_OK);
	}
	status = review_decide(v, item, key == 'o');
	putchar('\n');
	return (status);
}

/* Walk over the refusals. Returns a status. */
static int
review_refusals(struct ctl *ctl)
{
	struct review	 v = { .ctl = ctl };
	json_t		*item;
	size_t		 i;
	int		 status = CTL_OK, more = 1;

	ctl->opt.exchange = 1;
	ctl->whole = 1;
	while (status == CTL_OK && more && !v.quit) {
		v.items = json_array();
		status = review_page(&v);
		more = json_array_size(v.items) > 0;
		for (i = 0; status == CTL_OK && !v.quit &&
		    i < json_array_size(v.items); i++) {
			item = json_array_get(v.items, i);
			status = review_one(&v, item);
		}
		json_decref(v.items);
	}
	if (status == CTL_OK && !ctl->opt.json) {
		if (v.seen == 0)
			term_note("no refusal waits for a decision");
		else
			term_note("%u kept, %u overturned, %u left", v.kept,
			    v.overturned, v.seen - v.kept - v.overturned -
			    v.gone);
	}
	term_flush();
	return (status);
}

/* chatctl review */
int
cmd_review(struct ctl *ctl, int argc, char **argv)
{
	const struct options	*o = &ctl->opt;
	int			 status;

	(void)argc;
	(void)argv;
	if (o->refusals + o->unrated + o->second + o->disputed + o->flagged >
	    1) {
		term_error("review: expected one of --unrated, --second, "
		    "--disputed, --flagged and --refusals, found several");
		return (CTL_USAGE);
	}
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	if (o->refusals)
		return (review_refusals(ctl));
	return (review_walk(ctl, o->second ? "second" : o->disputed ?
	    "disputed" : o->flagged ? "flagged" : "unrated"));
}
