/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that rate a reply, for chatctl rate and the commands of the chat.
 */
#include "chatctl.h"

#include "json.h"

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
