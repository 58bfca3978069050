/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl rate: a user's opinion of a reply.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "suggest.h"
#include "vocabulary.h"
#include "xmalloc.h"

static int	cmd_rate_thumb(const char *, int *);
static void	cmd_rate_appeal(struct ctl *, const json_t *);
static int	cmd_rate_ideal(struct ctl *, int64_t, char **);

/* chatctl rate */
int
cmd_rate(struct ctl *ctl, int argc, char **argv)
{
	const struct options	*o = &ctl->opt;
	json_t			*end = NULL;
	char			*ideal = NULL;
	int64_t			 exchange;
	int			 thumb = RATE_NONE, status;

	if (strcmp(argv[0], "last") != 0 &&
	    opts_number(argv[0], 1, INT64_MAX, &exchange) == -1) {
		term_error("rate: expected an exchange's number or last, "
		    "found \"%s\"", argv[0]);
		return (CTL_USAGE);
	}
	if (argc > 1 && cmd_rate_thumb(argv[1], &thumb) == -1)
		return (CTL_USAGE);
	if (o->edit && o->ideal != NULL) {
		term_error("rate: expected --edit or --ideal, found both");
		return (CTL_USAGE);
	}
	if (thumb == RATE_NONE && o->ideal == NULL && !o->edit &&
	    o->comment == NULL && json_array_size(o->reasons) == 0) {
		term_error("rate: expected good, bad or neutral, or one of "
		    "--reason, --ideal, --edit and --comment");
		return (CTL_USAGE);
	}
	if (o->comment != NULL && input_check(o->comment, "--comment") != 0)
		return (CTL_USAGE);
	if ((status = link_open(ctl)) != CTL_OK ||
	    (status = filter_exchange(ctl, argv[0], &exchange)) != CTL_OK ||
	    (status = cmd_rate_ideal(ctl, exchange, &ideal)) != CTL_OK)
		return (status);
	status = link_call(ctl, rate_message(exchange, o->reply, thumb,
	    o->reasons, ideal, o->comment), NULL, NULL, &end);
	if (status == CTL_OK && o->json)
		term_json(end);
	else if (status == CTL_OK) {
		rate_report(end);
		cmd_rate_appeal(ctl, end);
	}
	json_decref(end);
	free(ideal);
	return (status);
}

/* A reply of an exchange. */
struct cmd_rate_state {
	int64_t	 reply;
	int	 blocked;	/* -1: not found */
};

/* Note whether the reply was blocked. */
static void
cmd_rate_blocked(void *arg, const json_t *event)
{
	struct cmd_rate_state	*s = arg;
	const char		*state;
	json_t			*reply;
	size_t			 i;

	json_array_foreach(json_object_get(json_object_get(event, "exchange"),
	    "replies"), i, reply) {
		state = msg_string(reply, "state");
		if (msg_int(reply, "reply", 0) == s->reply && state != NULL)
			s->blocked = strcmp(state, "blocked") == 0;
	}
}

/* Tell a user who has just objected to a block that there was none: operators
 * review blocked texts only. */
static void
cmd_rate_appeal(struct ctl *ctl, const json_t *end)
{
	struct cmd_rate_state	 s = { msg_int(end, "reply", 0), -1 };
	json_t			*m, *v, *done = NULL;
	size_t			 i;
	int			 appeal = 0;

	json_array_foreach(ctl->opt.reasons, i, v)
		appeal |= json_is_string(v) &&
		    strcmp(json_string_value(v), "wrong_refusal") == 0;
	if (!appeal)
		return;
	m = msg_op("show", -1);
	msg_set_int(m, "exchange", msg_int(end, "exchange", 0));
	if (link_call(ctl, m, cmd_rate_blocked, &s, &done) == CTL_OK &&
	    s.blocked == 0)
		term_note("[this reply was not blocked, so no operator will "
		    "review it]");
	json_decref(done);
}

/* Note the reply that --reply names, or the newest one. */
static void
cmd_rate_item(void *arg, const json_t *event)
{
	struct said	*said = arg;
	json_t		*reply;
	size_t		 i;

	json_array_foreach(json_object_get(json_object_get(event, "exchange"),
	    "replies"), i, reply) {
		if (said->reply != 0 &&
		    msg_int(reply, "reply", 0) != said->reply)
			continue;
		free(said->text);
		said->text = xstrdup(msg_string(reply, "text") == NULL ? "" :
		    msg_string(reply, "text"));
	}
}

/* Read the ideal reply from the option, or have the user edit the reply. */
static int
cmd_rate_ideal(struct ctl *ctl, int64_t exchange, char **ideal)
{
	struct said	 said = { .reply = ctl->opt.reply };
	json_t		*m, *end;
	int		 status = CTL_OK;

	if (ctl->opt.ideal != NULL)
		status = input_value(ctl->opt.ideal, "--ideal",
		    (size_t)wire_limit(ctl->chat, "prompt", CTL_PROMPT_MAX),
		    ideal);
	else if (ctl->opt.edit) {
		m = msg_op("show", -1);
		msg_set_int(m, "exchange", exchange);
		status = link_call(ctl, m, cmd_rate_item, &said, &end);
		json_decref(end);
		if (status == CTL_OK && said.text == NULL) {
			term_error("--reply: exchange %lld has no reply %lld",
			    (long long)exchange, (long long)ctl->opt.reply);
			status = CTL_USAGE;
		} else if (status == CTL_OK &&
		    (*ideal = input_edit(said.text)) == NULL)
			status = CTL_USAGE;
		say_clear(&said);
	}
	if (*ideal != NULL)
		input_chomp(*ideal);
	return (status);
}

/* Read good, bad or neutral. */
static int
cmd_rate_thumb(const char *word, int *thumb)
{
	int		 i = vocabulary_find(vocabulary_thumbs, word);
	const char	*near;
	char		*list;

	if (i != -1) {
		*thumb = vocabulary_thumb_values[i];
		return (0);
	}
	near = suggest_word(word, vocabulary_thumbs);
	list = vocabulary_list(vocabulary_thumbs, "or");
	term_error("rate: expected %s, found \"%s\"%s%s%s",
	    list, word, near == NULL ? "" : "; did you mean ",
	    near == NULL ? "" : near, near == NULL ? "" : "?");
	free(list);
	return (-1);
}
