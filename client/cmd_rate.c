/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl rate: what a user thinks of a reply.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"

#define RATE_NONE	2	/* no thumb given */

static int	rate_thumb(const char *, int *);

/* A rate request. */
json_t *
rate_message(int64_t exchange, int64_t reply, int thumb,
    const json_t *reasons, const char *ideal, const char *comment)
{
	json_t	*m = msg_op("rate", -1);

	msg_set_int(m, "exchange", exchange);
	if (reply > 0)
		msg_set_int(m, "reply", reply);
	if (thumb != RATE_NONE)
		msg_set_int(m, "thumb", thumb);
	if (json_array_size(reasons) > 0)
		msg_set(m, "reasons", json_deep_copy(reasons));
	msg_set_string(m, "ideal", ideal);
	msg_set_string(m, "comment", comment);
	return (m);
}

/* Read good, bad or neutral. */
static int
rate_thumb(const char *word, int *thumb)
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
	ctl_error("rate: expected %s, found \"%s\"%s%s%s",
	    list, word, near == NULL ? "" : "; did you mean ",
	    near == NULL ? "" : near, near == NULL ? "" : "?");
	free(list);
	return (-1);
}

/* chatctl rate */
int
cmd_rate(struct ctl *ctl, int argc, char **argv)
{
	json_t	*end;
	char	*ideal = NULL;
	int64_t	 exchange;
	int	 thumb = RATE_NONE, status;

	if (opts_number(argv[0], 1, INT64_MAX, &exchange) == -1) {
		ctl_error("rate: expected an exchange's number, found \"%s\"",
		    argv[0]);
		return (CTL_USAGE);
	}
	if (argc > 1 && rate_thumb(argv[1], &thumb) == -1)
		return (CTL_USAGE);
	if (thumb == RATE_NONE && ctl->opt.ideal == NULL &&
	    ctl->opt.comment == NULL &&
	    json_array_size(ctl->opt.reasons) == 0) {
		ctl_error("rate: expected good, bad or neutral, or an "
		    "option that says more");
		return (CTL_USAGE);
	}
	if (ctl->opt.comment != NULL &&
	    input_check(ctl->opt.comment, "--comment") != 0)
		return (CTL_USAGE);
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	if (ctl->opt.ideal != NULL) {
		status = input_value(ctl->opt.ideal, "--ideal",
		    (size_t)chat_limit(ctl->chat, "prompt", CTL_PROMPT_MAX),
		    &ideal);
		if (status != CTL_OK)
			return (status);
		input_chomp(ideal);
	}
	status = link_call(ctl, rate_message(exchange, ctl->opt.reply, thumb,
	    ctl->opt.reasons, ideal, ctl->opt.comment), NULL, NULL, &end);
	if (status == CTL_OK && ctl->opt.json)
		out_json(end);
	json_decref(end);
	free(ideal);
	return (status);
}
