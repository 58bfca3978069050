/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl review without --refusals: an operator rates replies one after the
 * other, each with one key, and may take ratings back.
 *
 * The list is requested first, so that the progress can be shown.  Each rating
 * is stored at once, so nothing is lost if the walk ends early.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "vocabulary.h"
#include "xmalloc.h"

#define WALK_MAX	1000	/* replies without --limit */
#define WALK_PAGE	200	/* replies per request */
#define WALK_CLEAR	"\033[H\033[2J"

/* What a key does. */
enum walk_end {
	WALK_STAY,		/* ask again */
	WALK_AGAIN,		/* show the reply again */
	WALK_NEXT,
	WALK_BACK,
	WALK_QUIT
};

/* The walk. */
struct walk {
	struct ctl	*ctl;		/* borrowed */
	const char	*kind;		/* borrowed */
	json_t		*items;		/* owned: all replies; with "rated" and
					 * "thumb" if the rating is stored, with
					 * "gone" if the reply was deleted */
	size_t		 at;		/* the one that is shown */
	int		 more;		/* there are more than those */
	unsigned	 reasons;	/* chosen for this one, as bits */
	char		*ideal;		/* owned, or NULL */
	char		*comment;	/* owned, or NULL */
	int		 status;
};

static int	walk_load(struct walk *);
static void	walk_show(struct walk *);
static enum walk_end walk_ask(struct walk *);
static enum walk_end walk_rate(struct walk *, int);
static enum walk_end walk_undo(struct walk *);
static void	walk_edit(struct walk *);
static void	walk_comment(struct walk *);
static void	walk_view(struct walk *);
static enum walk_end walk_last(struct walk *);
static void	walk_help(void);
static void	walk_forget(struct walk *);
static void	walk_sum(const struct walk *);

/* The keys that choose a reason, in the order of vocabulary_reasons. */
static const char walk_reason_keys[] = "iuhw";

/* Rate the replies. */
int
review_walk(struct ctl *ctl, const char *kind)
{
	struct walk	 v = { .ctl = ctl, .kind = kind,
			    .items = json_array() };
	enum walk_end	 end = WALK_NEXT;
	size_t		 i, n;

	v.status = walk_load(&v);
	n = json_array_size(v.items);
	ctl->opt.exchange = 1;
	ctl->whole = 1;
	for (i = 0; ctl->opt.json && i < n; i++)
		term_json(json_array_get(v.items, i));
	while (!ctl->opt.json && v.status == CTL_OK && n > 0 &&
	    end != WALK_QUIT) {
		if (end != WALK_STAY && v.at < n)
			walk_show(&v);
		end = v.status != CTL_OK ? WALK_QUIT : v.at < n ?
		    walk_ask(&v) : walk_last(&v);
		if (end == WALK_NEXT || end == WALK_BACK)
			walk_forget(&v);
		if (end == WALK_NEXT)
			v.at++;
		else if (end == WALK_BACK)
			v.at--;
	}
	if (v.status == CTL_OK && !ctl->opt.json) {
		if (n == 0)
			term_note("no reply is waiting: %s", kind);
		else
			walk_sum(&v);
	}
	walk_forget(&v);
	json_decref(v.items);
	term_flush();
	return (v.status);
}

/* Note one reply. */
static void
walk_item(void *arg, const json_t *event)
{
	struct walk	*v = arg;

	json_array_append_new(v->items,
	    json_deep_copy(json_object_get(event, "exchange")));
}

/* Request the list. Returns a status. */
static int
walk_load(struct walk *v)
{
	const int64_t	 max = v->ctl->opt.limit > 0 ? v->ctl->opt.limit :
			    WALK_MAX;
	json_t		*m, *end;
	int64_t		 left, before = 0;
	size_t		 n = 0;
	int		 status;

	do {
		left = max - (int64_t)n;
		m = msg_op("search", -1);
		msg_set_string(m, "review", v->kind);
		if ((status = filter_add(v->ctl, m)) != CTL_OK) {
			json_decref(m);
			return (status);
		}
		msg_set_int(m, "limit", left < WALK_PAGE ? left : WALK_PAGE);
		if (before != 0)
			msg_set_int(m, "before", before);
		status = link_call(v->ctl, m, walk_item, v, &end);
		v->more = json_is_true(json_object_get(end, "more"));
		json_decref(end);
		if (json_array_size(v->items) == n)
			break;
		n = json_array_size(v->items);
		before = msg_int(json_array_get(v->items, n - 1), "reply", 0);
	} while (status == CTL_OK && v->more && (int64_t)n < max);
	return (status);
}

/* Show a reply, with the place in the walk. */
static void
walk_show(struct walk *v)
{
	json_t		*item = json_array_get(v->items, v->at);
	const char	*user = msg_string(item, "user");
	char		*name, *text, *safe;

	if (term_is(1))
		fputs(WALK_CLEAR, stdout);
	name = user != NULL ? xstrdup(user) :
	    filter_user(msg_int(item, "uid", -1));
	text = xasprintf("%s: %zu of %zu%s  reply %lld  user %s  model %s",
	    v->kind, v->at + 1, json_array_size(v->items), v->more ? "+" : "",
	    (long long)msg_int(item, "reply", 0), name,
	    msg_string(item, "model") == NULL ? "?" :
	    msg_string(item, "model"));
	safe = render_line(text);
	printf("%s%s%s\n", term_on(1, ROLE_BOLD), safe, term_off(1));
	free(safe);
	free(text);
	free(name);
	/* A second opinion is given without the first one in view. */
	v->ctl->blind = strcmp(v->kind, "second") == 0;
	v->ctl->only = msg_int(item, "reply", 0);
	v->status = show_conversation(v->ctl, msg_int(item, "exchange", 0),
	    stdout, NULL);
	v->ctl->only = 0;
	json_object_del(item, "gone");
	if (!link_gone(v->ctl, v->status))
		return;
	msg_set_bool(item, "gone", 1);	/* and that was said */
	v->status = CTL_OK;
}

/* Print the question, with what has been chosen so far. */
static void
walk_prompt(const struct walk *v)
{
	size_t	 i;

	printf("%sgood, bad, neutral? [g/b/n, ? for all keys]",
	    term_on(1, ROLE_BOLD));
	for (i = 0; vocabulary_reasons[i] != NULL; i++)
		if (v->reasons & 1u << i)
			printf(" %s", vocabulary_reasons[i]);
	printf("%s%s%s ", v->ideal != NULL ? " +ideal" : "",
	    v->comment != NULL ? " +comment" : "", term_off(1));
	term_flush();
}

/* Ask for a key, and do what it says. */
static enum walk_end
walk_ask(struct walk *v)
{
	const char	*reason;
	int		 key;

	walk_prompt(v);
	key = key_read();
	putchar('\n');
	if (key == KEY_STOP)
		v->status = CTL_INTERRUPTED;
	if (key < 0)
		return (WALK_QUIT);
	if (key != '\0' && (reason = strchr(walk_reason_keys, key)) != NULL) {
		v->reasons ^= 1u << (reason - walk_reason_keys);
		return (WALK_STAY);
	}
	switch (key) {
	case 'g':
		return (walk_rate(v, 1));
	case 'b':
		return (walk_rate(v, -1));
	case 'n':
		return (walk_rate(v, 0));
	case '\n':
	case '\r':
		/* Reasons are for bad replies. */
		return (v->reasons != 0 ? walk_rate(v, -1) : WALK_STAY);
	case 'e':
		walk_edit(v);
		return (WALK_AGAIN);
	case 'c':
		walk_comment(v);
		return (WALK_STAY);
	case 'v':
		walk_view(v);
		return (WALK_STAY);
	case 's':
	case ' ':
		return (WALK_NEXT);
	case 'z':
		return (walk_undo(v));
	case 'q':
		return (WALK_QUIT);
	default:
		walk_help();
		return (WALK_STAY);
	}
}

/* After the last reply: its rating may be taken back, too. */
static enum walk_end
walk_last(struct walk *v)
{
	int	 key;

	if (!isatty(STDIN_FILENO))
		return (WALK_QUIT);
	printf("%sthat was the last one: z goes back, any other key ends%s ",
	    term_on(1, ROLE_BOLD), term_off(1));
	term_flush();
	key = key_read();
	putchar('\n');
	if (key == KEY_STOP)
		v->status = CTL_INTERRUPTED;
	return (key == 'z' ? walk_undo(v) : WALK_QUIT);
}

/* List the keys. */
static void
walk_help(void)
{
	printf("  g  good     b  bad     n  neutral\n"
	    "  i  incorrect     u  unhelpful     h  harmful     "
	    "w  wrong_refusal\n"
	    "     (then b or Return; the same key takes the reason back)\n"
	    "  e  change the reply in your editor into the one it should be\n"
	    "  c  a comment     v  view the conversation\n"
	    "  s  skip     z  back, and take the rating back     q  quit\n");
}

/* Store a rating. A reply that was deleted in the meantime is not an error. */
static enum walk_end
walk_rate(struct walk *v, int thumb)
{
	json_t		*item = json_array_get(v->items, v->at), *m, *end;
	json_t		*reasons = json_array();
	const char	*code;
	size_t		 i;
	int		 status;

	for (i = 0; vocabulary_reasons[i] != NULL; i++)
		if (v->reasons & 1u << i)
			json_array_append_new(reasons,
			    json_string(vocabulary_reasons[i]));
	m = rate_message(msg_int(item, "exchange", 0), msg_int(item, "reply",
	    0), thumb, reasons, v->ideal, v->comment);
	json_decref(reasons);
	msg_set_bool(m, "review", 1);
	status = link_run(v->ctl, m, 0, NULL, NULL, &end);
	code = msg_string(end, "code");
	if (status == CTL_OK) {
		rate_report(end);
		msg_set_int(item, "rated", msg_int(end, "rating", 0));
		msg_set_int(item, "thumb", thumb);
	} else if (code != NULL && strcmp(code, "not_found") == 0) {
		msg_set_bool(item, "gone", 1);
		term_note("gone: it was deleted in the meantime");
	} else {
		link_report(v->ctl, end);
		if (code == NULL || strcmp(code, "bad_field") != 0)
			v->status = status;
		json_decref(end);
		return (WALK_STAY);
	}
	json_decref(end);
	return (WALK_NEXT);
}

/* Go back to the reply before, and take its rating back. One that was deleted
 * with its reply in the meantime is not an error. */
static enum walk_end
walk_undo(struct walk *v)
{
	json_t	*item, *m, *end;

	if (v->at == 0) {
		term_note("this is the first one");
		return (WALK_STAY);
	}
	item = json_array_get(v->items, v->at - 1);
	if (msg_int(item, "rated", 0) == 0)
		return (WALK_BACK);
	m = msg_op("unrate", -1);
	msg_set_int(m, "rating", msg_int(item, "rated", 0));
	v->status = link_call(v->ctl, m, NULL, NULL, &end);
	json_decref(end);
	if (link_gone(v->ctl, v->status))
		v->status = CTL_OK;
	if (v->status != CTL_OK)
		return (WALK_STAY);
	json_object_del(item, "rated");
	return (WALK_BACK);
}

/* Keep the text of the reply that is shown. */
static void
walk_text(void *arg, const json_t *event)
{
	struct said	*said = arg;
	json_t		*reply;
	const char	*text;
	size_t		 i;

	json_array_foreach(json_object_get(json_object_get(event, "exchange"),
	    "replies"), i, reply) {
		if (msg_int(reply, "reply", 0) != said->reply)
			continue;
		text = msg_string(reply, "text");
		free(said->text);
		said->text = xstrdup(text == NULL ? "" : text);
	}
}

/* Have the reply changed in the editor. */
static void
walk_edit(struct walk *v)
{
	const json_t	*item = json_array_get(v->items, v->at);
	struct said	 said = { .reply = msg_int(item, "reply", 0) };
	json_t		*m = msg_op("show", -1), *end;
	char		*text = NULL;

	msg_set_int(m, "exchange", msg_int(item, "exchange", 0));
	if (link_call(v->ctl, m, walk_text, &said, &end) == CTL_OK &&
	    said.text != NULL && (text = input_edit(v->ideal != NULL ?
	    v->ideal : said.text)) != NULL) {
		input_chomp(text);
		free(v->ideal);
		v->ideal = NULL;
		if (*text != '\0' && strcmp(text, said.text) != 0)
			v->ideal = xstrdup(text);
	}
	free(text);
	json_decref(end);
	say_clear(&said);
}

/* Read a comment: a line. */
static void
walk_comment(struct walk *v)
{
	char	*line;

	printf("comment: ");
	term_flush();
	free(v->comment);
	v->comment = NULL;
	if ((line = key_line()) != NULL &&
	    line[strspn(line, " \t\r")] != '\0' &&
	    input_check(line, "the comment") == 0) {
		v->comment = line;
		return;
	}
	free(line);
}

/* Show the whole conversation, in a pager if it is long. */
static void
walk_view(struct walk *v)
{
	const json_t	*item = json_array_get(v->items, v->at);
	struct pager	 p;
	int64_t		 n = msg_int(item, "conversation", 0);

	if (n == 0) {
		term_note("a raw prompt belongs to no conversation");
		return;
	}
	v->ctl->opt.exchange = 0;
	show_conversation(v->ctl, n, pager_open(&p, 1), NULL);
	pager_close(&p);
	v->ctl->opt.exchange = 1;
}

/* Forget what was chosen for a reply. */
static void
walk_forget(struct walk *v)
{
	free(v->ideal);
	free(v->comment);
	v->ideal = v->comment = NULL;
	v->reasons = 0;
}

/* Say how many replies were rated, and how many are left. Each counts once: a
 * reply that is gone counts as neither. */
static void
walk_sum(const struct walk *v)
{
	const json_t	*item;
	unsigned	 good = 0, bad = 0, neutral = 0, left = 0;
	int64_t		 thumb;
	size_t		 i;

	json_array_foreach(v->items, i, item) {
		thumb = msg_int(item, "thumb", 0);
		if (json_is_true(json_object_get(item, "gone")))
			continue;
		if (msg_int(item, "rated", 0) == 0)
			left++;
		else
			*(thumb > 0 ? &good : thumb < 0 ? &bad : &neutral) += 1;
	}
	term_note("%u good, %u bad, %u neutral, %u left%s", good, bad, neutral,
	    left, v->more ? " of those listed; there are more" : "");
}
