/* SPDX-License-Identifier: Apache-2.0 */
/* Say one message to chatd, print the reply, and rate it as good. */
#include <stdio.h>

#include <chat.h>

/* Take an event of the message; arg: the number of its exchange. */
static void
say_event(struct chat *c, const struct chat_event *ev, void *arg)
{
	int64_t	*exchange = arg;

	(void)c;
	switch (chat_kind(ev)) {
	case CHAT_NOTICE:
		fprintf(stderr, "[%s]\n", chat_get_string(ev, "message"));
		break;
	case CHAT_TEXT:
		fputs(chat_text(ev, NULL), stdout);
		fflush(stdout);
		break;
	case CHAT_DONE:
		*exchange = chat_get_int(ev, "exchange", 0);
		putchar('\n');
		break;
	default:
		break;
	}
}

int
main(int argc, char **argv)
{
	struct chat	*c;
	int64_t		 exchange = 0;
	int		 r;

	if (argc != 3) {
		fprintf(stderr, "usage: chat-say SOCKET TEXT\n");
		return (2);
	}
	if ((c = chat_new("chat-say 1.0")) == NULL) {
		perror("chat-say");
		return (1);
	}
	r = chat_connect(c, argv[1], 10000);
	if (r == 0)
		r = chat_wait(c, chat_say(c, 0, argv[2], NULL, say_event,
		    &exchange), -1);
	if (r == 0)
		r = chat_wait(c, chat_rate(c, exchange, 0, CHAT_GOOD, NULL, 0,
		    NULL, NULL, NULL, NULL), -1);
	if (r != 0)
		fprintf(stderr, "chat-say: %s: %s: %s\n", argv[1],
		    chat_error_code(c), chat_error_message(c));
	chat_free(c);
	return (r != 0);
}
