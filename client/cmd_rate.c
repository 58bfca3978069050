/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl rate: a user's opinion of a reply.
 */
#include "chatctl.h"

#include <stdlib.h>

#include "suggest.h"
#include "vocabulary.h"

static int	cmd_rate_thumb(const char *, int *);

/* chatctl rate */
int
cmd_rate(struct ctl *ctl, int argc, char **argv)
{
	json_t	*end;
	char	*ideal = NULL;
	int64_t	 exchange;
	int	 thumb = RATE_NONE, status;

	if (opts_number(argv[0], 1, INT64_MAX, &exchange) == -1) {
		term_error("rate: expected an exchange's number, found \"%s\"",
		    argv[0]);
		return (CTL_USAGE);
	}
	if (argc > 1 && cmd_rate_thumb(argv[1], &thumb) == -1)
		return (CTL_USAGE);
	if (thumb == RATE_NONE && ctl->opt.ideal == NULL &&
	    ctl->opt.comment == NULL &&
	    json_array_size(ctl->opt.reasons) == 0) {
		term_error("rate: expected good, bad or neutral, or one of "
		    "--reason, --ideal and --comment");
		return (CTL_USAGE);
	}
	if (ctl->opt.comment != NULL &&
	    input_check(ctl->opt.comment, "--comment") != 0)
		return (CTL_USAGE);
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	if (ctl->opt.ideal != NULL) {
		status = input_value(ctl->opt.ideal, "--ideal",
		    (size_t)wire_limit(ctl->chat, "prompt", CTL_PROMPT_MAX),
		    &ideal);
		if (status != CTL_OK)
			return (status);
		input_chomp(ideal);
	}
	status = link_call(ctl, rate_message(exchange, ctl->opt.reply, thumb,
	    ctl->opt.reasons, ideal, ctl->opt.comment), NULL, NULL, &end);
	if (status == CTL_OK && ctl->opt.json)
		term_json(end);
	json_decref(end);
	free(ideal);
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
