/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl tokenize.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <unistd.h>

#include "json.h"

/* chatctl tokenize */
int
cmd_tokenize(struct ctl *ctl, int argc, char **argv)
{
	json_t	*m, *end = NULL, *id;
	char	*text = NULL;
	size_t	 i, max;
	int	 status;

	if ((status = link_open(ctl)) != CTL_OK ||
	    (status = link_wait_model(ctl)) != CTL_OK)
		return (status);
	max = (size_t)wire_limit(ctl->chat, "prompt", CTL_PROMPT_MAX);
	if (argc == 0)
		status = input_read(STDIN_FILENO, "stdin", max, &text);
	else {
		text = input_join(argc, argv);
		status = input_check(text, "the text");
	}
	if (status != CTL_OK)
		goto out;
	m = msg_op("tokenize", -1);
	msg_set_string(m, "text", text);
	if ((status = link_call(ctl, m, NULL, NULL, &end)) != CTL_OK)
		goto out;
	json_object_del(end, "event");
	json_object_del(end, "id");
	if (ctl->opt.json)
		term_json(end);
	else {
		json_array_foreach(json_object_get(end, "ids"), i, id)
			printf("%s%lld", i > 0 ? " " : "",
			    (long long)json_integer_value(id));
		fputc('\n', stdout);
	}
out:
	json_decref(end);
	free(text);
	return (status);
}
