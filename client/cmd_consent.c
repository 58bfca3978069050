/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl consent: may conversations be used for training?
 */
#include "chatctl.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

/* No event comes before the last one. */
static void
consent_event(void *arg, const json_t *event)
{
	(void)arg;
	(void)event;
}

/* Ask or tell chatd about one conversation (0: all). Returns an exit status. */
static int
consent_one(struct ctl *ctl, const char *word, int64_t conversation)
{
	json_t	*m = msg_op("consent", -1), *end;
	int	 status;

	msg_set_string(m, "consent", word);
	if (conversation != 0)
		msg_set_int(m, "conversation", conversation);
	status = link_call(ctl, m, consent_event, NULL, &end);
	if (status == CTL_OK && ctl->opt.json)
		term_json(end);
	else if (status == CTL_OK && conversation != 0)
		printf("conversation %lld: %s\n", (long long)conversation,
		    msg_string(end, "consent"));
	else if (status == CTL_OK)
		printf("%s\n", msg_string(end, "consent"));
	json_decref(end);
	return (status);
}

/* chatctl consent [yes|no|unset] [CONVERSATION...] */
int
cmd_consent(struct ctl *ctl, int argc, char **argv)
{
	static const char *const words[] = { "yes", "no", "unset" };
	const char	*word = NULL;
	int64_t		 number;
	size_t		 k;
	int		 i = 0, n, status;

	for (k = 0; argc > 0 && k < nitems(words); k++) {
		if (strcmp(argv[0], words[k]) == 0) {
			word = words[k];
			i = 1;
		}
	}
	for (n = i; n < argc; n++) {
		if (opts_number(argv[n], 1, INT64_MAX, &number) == 0)
			continue;
		term_error("consent: expected yes, no, unset or a "
		    "conversation's number, found \"%s\"; nothing was "
		    "changed", argv[n]);
		return (CTL_USAGE);
	}
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	if (i == argc)
		return (consent_one(ctl, word, 0));
	for (; status == CTL_OK && i < argc; i++) {
		(void)opts_number(argv[i], 1, INT64_MAX, &number);
		status = consent_one(ctl, word, number);
	}
	return (status);
}
