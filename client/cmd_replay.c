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

/* What was compared. */
struct replay_sum {
	int64_t	 all, identical;
	int64_t	 unable;	/* that could not be compared */
};

static void	replay_print(const struct ctl *, const json_t *);
static int	replay_one(struct ctl *, int64_t, int64_t,
		    struct replay_sum *);
static int	replay_part(struct ctl *, int64_t, json_t **,
		    struct replay_sum *, int64_t *);
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

/* Is it a reply of a sample that can't be compared? Its adapter is not loaded,
 * it was deleted in the meantime, or its prompt does not fit the model. */
static int
replay_unable(const struct ctl *ctl, const json_t *end)
{
	const char	*code = msg_string(end, "code");

	return (ctl->opt.sample > 0 && code != NULL &&
	    (strcmp(code, "not_found") == 0 ||
	    strcmp(code, "context_full") == 0));
}

/* Compare one reply, and count it. reply 0: the newest. */
static int
replay_one(struct ctl *ctl, int64_t exchange, int64_t reply,
    struct replay_sum *sum)
{
	json_t	*m = msg_op("replay", -1), *end;
	int	 status, same;

	msg_set_int(m, "exchange", exchange);
	if (reply > 0)
		msg_set_int(m, "reply", reply);
	status = link_run(ctl, m, 0, NULL, NULL, &end);
	if (status == CTL_OK) {
		same = json_is_true(json_object_get(end, "identical"));
		sum->all++;
		sum->identical += same;
		/* Of a sample, print what has a difference. */
		if (ctl->opt.sample == 0 || !same || ctl->opt.json)
			replay_print(ctl, end);
	} else if (replay_unable(ctl, end)) {
		sum->unable++;
		msg_set_int(end, "exchange", exchange);
		msg_set_int(end, "reply", reply);
		if (ctl->opt.json)
			term_json(end);
		status = CTL_OK;
	} else
		link_report(ctl, end);
	json_decref(end);
	return (status);
}

/* Compare the next part of a sample: at most n replies. *order has the seed and
 * the place, so that no reply comes twice. *drawn is how many there were. */
static int
replay_part(struct ctl *ctl, int64_t n, json_t **order,
    struct replay_sum *sum, int64_t *drawn)
{
	json_t	*m = msg_op("replay", -1), *o, *replies;
	size_t	 i;
	int	 status;

	msg_set_int(m, "sample", n);
	if (ctl->opt.all)
		msg_set_bool(m, "all", 1);
	if (*order != NULL) {
		msg_set_int(m, "seed", msg_int(*order, "seed", 0));
		msg_set_int(m, "after", msg_int(*order, "after", 0));
		json_decref(*order);
	}
	status = link_call(ctl, m, NULL, NULL, order);
	replies = json_object_get(*order, "replies");
	*drawn = (int64_t)json_array_size(replies);
	json_array_foreach(replies, i, o) {
		if (status != CTL_OK)
			break;
		status = replay_one(ctl, msg_int(o, "exchange", 0),
		    msg_int(o, "reply", 0), sum);
	}
	return (status);
}

/* Compare a sample. */
static int
replay_sample(struct ctl *ctl)
{
	struct replay_sum	 sum = { 0 };
	json_t			*order = NULL;
	int64_t			 left = ctl->opt.sample, n, drawn;
	int			 status;

	do {
		n = left < REPLAY_PART ? left : REPLAY_PART;
		status = replay_part(ctl, n, &order, &sum, &drawn);
		left -= n;
	} while (status == CTL_OK && left > 0 && drawn == n);
	json_decref(order);
	if (status == CTL_OK && !ctl->opt.json)
		printf("%lld of %lld replies are identical\n",
		    (long long)sum.identical, (long long)sum.all);
	if (status == CTL_OK && !ctl->opt.json && sum.unable > 0)
		printf("%lld could not be compared\n",
		    (long long)sum.unable);
	return (status != CTL_OK ? status : sum.identical == sum.all ?
	    CTL_OK : CTL_REFUSED);
}

/* chatctl replay */
int
cmd_replay(struct ctl *ctl, int argc, char **argv)
{
	struct replay_sum	 sum = { 0 };
	int64_t			 exchange;
	int			 status;

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
	status = replay_one(ctl, exchange, ctl->opt.reply, &sum);
	return (status != CTL_OK ? status : sum.identical > 0 ? CTL_OK :
	    CTL_REFUSED);
}
