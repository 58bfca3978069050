/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl review: an operator walks over the blocked exchanges whose users say
 * that the refusal was wrong, and keeps or overturns each block.
 */
#include "chatctl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "json.h"
#include "xmalloc.h"

#define REVIEW_PAGE	50	/* refusals per request */

/* A key that ends the walk, beside the letters. */
enum {
	REVIEW_END = -1,	/* the end of the input */
	REVIEW_STOP = -2	/* Ctrl-C or another signal */
};

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
	msg_set_int(m, "limit", REVIEW_PAGE);
	if (v->before != 0)
		msg_set_int(m, "before", v->before);
	status = link_call(v->ctl, m, review_item, v, &end);
	json_decref(end);
	return (status);
}

/* Read one character of the input. Returns it, REVIEW_END or REVIEW_STOP. */
static int
review_byte(void)
{
	struct pollfd	 p[2] = { { .fd = STDIN_FILENO, .events = POLLIN },
			    { .fd = intr_fd(), .events = POLLIN } };
	unsigned char	 c;
	ssize_t		 n;

	for (;;) {
		if (intr_take() || intr_ended())
			return (REVIEW_STOP);
		if (poll(p, nitems(p), -1) == -1 && errno != EINTR)
			return (REVIEW_END);
		if ((p[0].revents & (POLLIN|POLLHUP|POLLERR)) == 0)
			continue;
		n = read(STDIN_FILENO, &c, 1);
		if (n == 1)
			return (c);
		if (n == 0 || errno != EINTR)
			return (REVIEW_END);
	}
}

/* Read a key: on a terminal without the return key, else the first letter of a
 * line. */
static int
review_key(void)
{
	struct termios	 was, t;
	int		 key, c, raw;

	raw = tcgetattr(STDIN_FILENO, &was) == 0;
	if (raw) {
		t = was;
		t.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
		t.c_cc[VMIN] = 1;
		t.c_cc[VTIME] = 0;
		t.c_cc[VSUSP] = _POSIX_VDISABLE;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
	}
	intr_hold(1);
	key = c = review_byte();
	while (!raw && c >= 0 && c != '\n')
		c = review_byte();
	if (c == REVIEW_STOP)
		key = c;
	else if (raw && key == 4)	/* Ctrl-D */
		key = REVIEW_END;
	intr_hold(0);
	if (raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &was);
	return (key);
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
		key = review_key();
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
	if (status != CTL_OK)
		return (status);
	v->seen++;
	key = review_ask();
	if (key == REVIEW_STOP)
		return (CTL_INTERRUPTED);
	if (key == REVIEW_END || key == 'q') {
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

/* chatctl review */
int
cmd_review(struct ctl *ctl, int argc, char **argv)
{
	struct review	 v = { .ctl = ctl };
	json_t		*item;
	size_t		 i;
	int		 status, more = 1;

	(void)argc;
	(void)argv;
	if (!ctl->opt.refusals) {
		term_error("review: expected --refusals");
		return (CTL_USAGE);
	}
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	ctl->opt.exchange = 1;
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
