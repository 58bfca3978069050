/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl replay: have logged replies written again, and compare.
 */
#include "chatctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

#define REPLAY_PART	100	/* replies drawn at a time */

static void	replay_print(const struct ctl *, const json_t *);
static int	replay_one(struct ctl *, int64_t, int64_t, int *);
static int	replay_sample(struct ctl *);

/* Print how one reply compares. */
static void
replay_print(const struct ctl *ctl, const json_t *end)
{
	const json_t	*o, *differs = json_object_get(end, "differs");
	const char	*what;
	char		*was, *is;
	size_t		 i;
	int		 same = json_is_true(json_object_get(end,
			    "identical"));

	if (ctl->opt.json) {
		term_json(end);
		return;
	}
	if (ctl->opt.all || ctl->opt.sample > 0)
		printf("exchange %lld, reply %lld: ",
		    (long long)msg_int(end, "exchange", 0),
		    (long long)msg_int(end, "reply", 0));
	if (same)
		printf("identical, %lld tokens\n",
		    (long long)msg_int(end, "tokens", 0));
	else
		printf("differs after %lld of %lld tokens\n",
		    (long long)msg_int(end, "at", 0),
		    (long long)msg_int(end, "tokens", 0));
	json_array_foreach(differs, i, o) {
		was = render_line(msg_string(o, "was") != NULL ?
		    msg_string(o, "was") : "");
		is = render_line(msg_string(o, "is") != NULL ?
		    msg_string(o, "is") : "");
		what = msg_string(o, "what");
		printf("  %s was %s and is %s%s\n", what != NULL ? what : "?",
		    was, is, what != NULL && strcmp(what, "model") == 0 ?
		    ": another model made the reply" : "");
		free(was);
		free(is);
	}
	if (!same && json_array_size(differs) == 0)
		printf("  no change that explains it is known\n");
}

/* Compare one reply. reply 0: the newest. */
static int
replay_one(struct ctl *ctl, int64_t exchange, int64_t reply, int *same)
{
	json_t	*m = msg_op("replay", -1), *end;
	int	 status;

	msg_set_int(m, "exchange", exchange);
	if (reply > 0)
		msg_set_int(m, "reply", reply);
	status = link_call(ctl, m, NULL, NULL, &end);
	if (status == CTL_OK) {
		*same = json_is_true(json_object_get(end, "identical"));
		/* Of a sample, print what has a difference. */
		if (ctl->opt.sample == 0 || !*same || ctl->opt.json)
			replay_print(ctl, end);
	}
	json_decref(end);
	return (status);
}

/* Compare a sample. */
static int
replay_sample(struct ctl *ctl)
{
	json_t	*m, *end, *o;
	int64_t	 left = ctl->opt.sample, all = 0, identical = 0;
	size_t	 i;
	int	 status = CTL_OK, same, n;

	while (status == CTL_OK && left > 0) {
		m = msg_op("replay", -1);
		msg_set_int(m, "sample", left < REPLAY_PART ? left :
		    REPLAY_PART);
		if (ctl->opt.all)
			msg_set_bool(m, "all", 1);
		status = link_call(ctl, m, NULL, NULL, &end);
		n = 0;
		json_array_foreach(json_object_get(end, "replies"), i, o) {
			if (status != CTL_OK)
				break;
			status = replay_one(ctl, msg_int(o, "exchange", 0),
			    msg_int(o, "reply", 0), &same);
			if (status == CTL_OK) {
				all++;
				identical += same;
			}
			n++;
		}
		json_decref(end);
		left -= n < REPLAY_PART ? left : n;
	}
	if (status == CTL_OK && !ctl->opt.json)
		printf("%lld of %lld replies are identical\n",
		    (long long)identical, (long long)all);
	return (status != CTL_OK ? status : identical == all ? CTL_OK :
	    CTL_REFUSED);
}

/* chatctl replay */
int
cmd_replay(struct ctl *ctl, int argc, char **argv)
{
	int64_t	 exchange;
	int	 status, same = 0;

	if ((argc == 1) == (ctl->opt.sample > 0)) {
		term_error("replay: expected either an exchange's "
		    "number, last, or --sample N");
		return (CTL_USAGE);
	}
	if (argc == 1 && strcmp(argv[0], "last") != 0 &&
	    opts_number(argv[0], 1, INT64_MAX, &exchange) != 0) {
		term_error("replay: expected an exchange's number or last, "
		    "found \"%s\"", argv[0]);
		return (CTL_USAGE);
	}
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	if (argc == 0)
		return (replay_sample(ctl));
	if ((status = filter_exchange(ctl, argv[0], &exchange)) != CTL_OK)
		return (status);
	status = replay_one(ctl, exchange, ctl->opt.reply, &same);
	return (status != CTL_OK ? status : same ? CTL_OK : CTL_REFUSED);
}
