/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conversation in a loop with poll(2): each line of the input is a message.
 * A line that comes while a reply runs cancels it.  If chatd is restarted, the
 * conversation goes on.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <chat.h>

struct talk {
	struct chat	*c;
	int64_t		 conversation;	/* 0: not begun */
	int64_t		 running;	/* the message's request, or 0 */
};

/* Take an event of a message. */
static void
talk_event(struct chat *c, const struct chat_event *ev, void *arg)
{
	struct talk	*t = arg;
	const char	*stop = chat_get_string(ev, "stop");

	(void)c;
	if (chat_kind(ev) == CHAT_ACCEPTED)
		t->conversation = chat_get_int(ev, "conversation", 0);
	else if (chat_kind(ev) == CHAT_TEXT)
		printf("%s", chat_text(ev, NULL));
	else if (chat_kind(ev) == CHAT_ERROR)
		printf("[%s]", chat_get_string(ev, "message"));
	if (chat_is_last(ev)) {
		if (stop != NULL && strcmp(stop, "cancelled") == 0)
			printf(" [cancelled]");
		putchar('\n');
		t->running = 0;
	}
	fflush(stdout);
}

/* Take a line of the input. Returns 0 or an error. */
static int
talk_line(struct talk *t, char *line)
{
	int64_t	 r;

	line[strcspn(line, "\n")] = '\0';
	if (t->running != 0)
		r = chat_cancel(t->c, t->running, NULL, NULL);
	else if ((r = chat_say(t->c, t->conversation, line, NULL, talk_event,
	    t)) > 0)
		t->running = r;
	return (r < 0 ? (int)r : 0);
}

/* Connect again; for 30 seconds, chatd may be starting. */
static int
talk_again(struct talk *t, const char *path)
{
	int	 r, i;

	printf("[%s; connecting again]\n", chat_error_message(t->c));
	fflush(stdout);
	for (i = 0; (r = chat_connect(t->c, path, 10000)) != 0 && i < 30; i++)
		sleep(1);
	return (r);
}

int
main(int argc, char **argv)
{
	struct talk	 t = { chat_new("chat-poll 1.0"), 0, 0 };
	const char	*path = argc > 1 ? argv[1] : NULL;
	char		 line[4096];
	struct pollfd	 p[2];
	int		 r, open = 1;

	if (t.c == NULL)
		return (1);
	setvbuf(stdin, NULL, _IONBF, 0);	/* poll must see all input */
	r = chat_connect(t.c, path, 10000);
	while (r == 0 && (open || t.running != 0)) {
		p[0].fd = open ? STDIN_FILENO : -1;
		p[0].events = POLLIN;
		p[1].fd = chat_fd(t.c);
		p[1].events = chat_events(t.c);
		if (poll(p, 2, -1) == -1)
			continue;
		if (p[1].revents != 0 && chat_dispatch(t.c) < 0)
			r = talk_again(&t, path);
		else if (p[0].fd != -1 && p[0].revents != 0) {
			if (fgets(line, sizeof line, stdin) == NULL)
				open = 0;
			else
				r = talk_line(&t, line);
		}
	}
	if (r != 0)
		fprintf(stderr, "chat-poll: %s\n", chat_error_message(t.c));
	chat_free(t.c);
	return (r != 0);
}
