/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that rate a reply, for chatctl rate and the commands of the chat.
 */
#include "chatctl.h"

#include <stdlib.h>

#include "json.h"
#include "xmalloc.h"

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

/* Report what was recorded. */
void
rate_report(const json_t *end)
{
	int64_t		 thumb = msg_int(end, "thumb", 0);
	const int	 ideal = json_is_true(json_object_get(end, "ideal"));
	const int	 comment = json_is_true(json_object_get(end,
			    "comment"));
	char		*text, *more;
	json_t		*reason;
	size_t		 i;

	text = xasprintf("[exchange %lld rated %s",
	    (long long)msg_int(end, "exchange", 0), thumb > 0 ? "good" :
	    thumb < 0 ? "bad" : "neutral");
	json_array_foreach(json_object_get(end, "reasons"), i, reason) {
		more = xasprintf("%s%s %s", text, i == 0 ? ":" : ",",
		    json_is_string(reason) ? json_string_value(reason) : "?");
		free(text);
		text = more;
	}
	term_note("%s%s]", text, ideal && comment ?
	    "; with the reply you wanted and a comment" : ideal ?
	    "; with the reply you wanted" : comment ? "; with a comment" :
	    "");
	free(text);
}
