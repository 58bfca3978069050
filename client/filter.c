/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options that choose exchanges by time, rating, reason, category, model
 * and user, for list, show, search, stats and review.
 */
#include "chatctl.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "xmalloc.h"

/* Add the filter to a request. */
int
filter_add(const struct ctl *ctl, json_t *msg)
{
	const struct options	*o = &ctl->opt;
	const size_t		 n = json_array_size(o->reasons);

	if (n > 1) {
		term_error("--reason: expected one word to look for, found "
		    "%zu", n);
		return (CTL_USAGE);
	}
	if (o->since > 0)
		msg_set_int(msg, "since", o->since);
	if (o->until > 0)
		msg_set_int(msg, "until", o->until);
	msg_set_string(msg, "rating", o->rating);
	if (n == 1)
		msg_set_string(msg, "reason",
		    json_string_value(json_array_get(o->reasons, 0)));
	msg_set_string(msg, "category", o->category);
	msg_set_string(msg, "model", o->model);
	msg_set_string(msg, "user", o->user);
	return (CTL_OK);
}

/* Note the number of an exchange. */
static void
filter_item(void *arg, const json_t *event)
{
	*(int64_t *)arg = msg_int(json_object_get(event, "exchange"),
	    "exchange", 0);
}

/* Read a number or "last". */
int
filter_exchange(struct ctl *ctl, const char *word, int64_t *exchange)
{
	json_t	*m, *end;
	int	 status;

	if (strcmp(word, "last") != 0)
		return (opts_number(word, 1, INT64_MAX, exchange) == 0 ?
		    CTL_OK : CTL_USAGE);
	*exchange = 0;
	m = msg_op("search", -1);
	msg_set_int(m, "limit", 1);
	status = link_call(ctl, m, filter_item, exchange, &end);
	json_decref(end);
	if (status == CTL_OK && *exchange == 0) {
		term_error("last: you have not asked anything yet");
		status = CTL_REFUSED;
	}
	return (status);
}

/* Name an account. */
char *
filter_user(int64_t uid)
{
	/* What is held for an account has a larger number than any account. */
	struct passwd	*pw = uid < 0 || uid >= (uid_t)-1 ? NULL :
			    getpwuid((uid_t)uid);

	return (pw != NULL ? xstrdup(pw->pw_name) :
	    xasprintf("%lld", (long long)uid));
}
