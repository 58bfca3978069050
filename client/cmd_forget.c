/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl forget and adopt.
 */
#include "chatctl.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "json.h"

static int	forget_sure(const struct ctl *);

/* Ask a person at a terminal. Returns 1 for yes. */
static int
forget_sure(const struct ctl *ctl)
{
	char	line[16];

	if (ctl->opt.yes || !isatty(STDIN_FILENO))
		return (1);
	fprintf(stderr, "This deletes %s of %s%s for good. Go on? [y/N] ",
	    ctl->opt.all ? "everything" : "what was said in that time",
	    ctl->opt.user != NULL ? "account " : "yours",
	    ctl->opt.user != NULL ? ctl->opt.user : "");
	return (fgets(line, sizeof line, stdin) != NULL &&
	    (line[0] == 'y' || line[0] == 'Y'));
}

/* chatctl forget */
int
cmd_forget(struct ctl *ctl, int argc, char **argv)
{
	int64_t	 exchanges = 0, conversations = 0;
	json_t	*m, *end;
	int	 range = ctl->opt.since != 0 || ctl->opt.until != 0;
	int	 more = 1, status;

	if (argc > 0 && !range && !ctl->opt.all && ctl->opt.user == NULL)
		return (cmd_delete(ctl, argc, argv));
	if (argc > 0 || range == (ctl->opt.all != 0)) {
		term_error("forget: expected either numbers of conversations, "
		    "--since or --until, or --all; nothing was deleted");
		return (CTL_USAGE);
	}
	if (!forget_sure(ctl)) {
		term_error("nothing was deleted");
		return (CTL_REFUSED);
	}
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	while (status == CTL_OK && more) {
		m = msg_op("forget", -1);
		msg_set_string(m, "user", ctl->opt.user);
		if (ctl->opt.since > 0)
			msg_set_int(m, "since", ctl->opt.since);
		if (ctl->opt.until > 0)
			msg_set_int(m, "until", ctl->opt.until);
		if (ctl->opt.all)
			msg_set_bool(m, "all", 1);
		if ((status = link_call(ctl, m, NULL, NULL, &end)) == CTL_OK) {
			exchanges += msg_int(end, "exchanges", 0);
			conversations += msg_int(end, "conversations", 0);
			more = json_is_true(json_object_get(end, "more"));
		}
		json_decref(end);
	}
	if (ctl->opt.json) {
		m = json_object();
		msg_set_int(m, "exchanges", exchanges);
		msg_set_int(m, "conversations", conversations);
		term_json(m);
		json_decref(m);
	} else if (status == CTL_OK || exchanges + conversations > 0)
		printf("%lld exchanges and %lld conversations are deleted\n",
		    (long long)exchanges, (long long)conversations);
	return (status);
}

/* chatctl adopt */
int
cmd_adopt(struct ctl *ctl, int argc, char **argv)
{
	json_t	*m, *end;
	int	 status;

	(void)argc;
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	m = msg_op("adopt", -1);
	msg_set_string(m, "from", argv[0]);
	msg_set_string(m, "to", argv[1]);
	status = link_call(ctl, m, NULL, NULL, &end);
	if (status == CTL_OK && ctl->opt.json)
		term_json(end);
	json_decref(end);
	return (status);
}
