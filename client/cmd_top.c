/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl top: the replies that run or wait, drawn again each second.
 */
#include "chatctl.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "json.h"
#include "xmalloc.h"

#define TOP_MS		1000	/* between two screens */
#define TOP_HOME	"\033[H"	/* ECMA-48: CUP, EL, ED */
#define TOP_EOL		"\033[K"
#define TOP_REST	"\033[J"

/* What was counted at the last screen. */
struct top {
	int64_t	 at;		/* monotonic ms; 0: no screen yet */
	int64_t	 read, reused, written;	/* tokens */
};

/* Print the end of a line of the screen. */
static void
top_eol(void)
{
	puts(term_is(1) ? TOP_EOL : "");
}

/* Print the counters of the engine since the last screen. */
static void
top_engine(struct top *t, const json_t *e)
{
	int64_t	 now = clock_monotonic(), blocks, used;
	int64_t	 read = msg_int(e, "tokens_prompt", 0);
	int64_t	 reused = msg_int(e, "tokens_reused", 0);
	int64_t	 written = msg_int(e, "tokens_output", 0);
	double	 s = (double)(now - t->at) / 1000;

	if (e == NULL)
		return;
	blocks = msg_int(e, "kv_blocks", 0);
	used = blocks - msg_int(e, "kv_blocks_free", 0);
	printf("engine: %lld running, %lld waiting; cache %lld of %lld blocks",
	    (long long)msg_int(e, "running", 0),
	    (long long)msg_int(e, "waiting", 0), (long long)used,
	    (long long)blocks);
	top_eol();
	if (t->at != 0 && read >= t->read && written >= t->written) {
		printf("tokens/s: %.0f read, %.0f from the cache, %.1f "
		    "written", (double)(read - t->read) / s,
		    (double)(reused - t->reused) / s,
		    (double)(written - t->written) / s);
		top_eol();
	}
	*t = (struct top){ now, read, reused, written };
}

/* Print one exchange. */
static void
top_exchange(const json_t *x)
{
	int64_t	 ms = msg_int(x, "ms", 0), first = msg_int(x, "first_ms", 0);
	int64_t	 n = msg_int(x, "output_tokens", 0);
	char	*user, *state;

	user = msg_string(x, "user") != NULL ?
	    render_line(msg_string(x, "user")) :
	    xasprintf("%lld", (long long)msg_int(x, "uid", -1));
	state = render_line(msg_string(x, "state"));
	printf("%8lld  %-12.12s  %-10.10s  %6.1f s  %7lld  %7lld",
	    (long long)msg_int(x, "exchange", 0), user, state,
	    (double)ms / 1000, (long long)msg_int(x, "prompt_tokens", 0),
	    (long long)n);
	if (n > 1 && ms > first && first > 0)
		printf("  %8.1f", (double)(n - 1) * 1000 /
		    (double)(ms - first));
	top_eol();
	free(user);
	free(state);
}

/* Print a screen. */
static void
top_print(struct top *t, const json_t *end)
{
	const json_t	*list = json_object_get(end, "exchanges"), *x;
	int		 rows = 24, columns;
	size_t		 i, n = json_array_size(list);

	if (term_is(1)) {
		term_size(&rows, &columns);
		fputs(TOP_HOME, stdout);
	}
	top_engine(t, json_object_get(end, "engine"));
	printf("%s%8s  %-12s  %-10s  %8s  %7s  %7s  %8s%s",
	    term_on(1, ROLE_DIM), "exchange", "user", "state", "time", "read",
	    "written", "tokens/s", term_off(1));
	top_eol();
	json_array_foreach(list, i, x) {
		if (term_is(1) && i + 5 > (size_t)rows && i + 1 < n) {
			printf("%8zu more", n - i);
			top_eol();
			break;
		}
		top_exchange(x);
	}
	if (term_is(1))
		fputs(TOP_REST, stdout);
	term_flush();
}

/* Wait until the next screen. Returns 0 if the user wants to leave. */
static int
top_pause(void)
{
	struct pollfd	 p[2] = { { .fd = intr_fd(), .events = POLLIN },
			    { .fd = STDIN_FILENO, .events = POLLIN } };
	char		 key;

	if (poll(p, isatty(STDIN_FILENO) ? 2 : 1, TOP_MS) > 0 &&
	    (p[1].revents & POLLIN) != 0 &&
	    (read(STDIN_FILENO, &key, 1) != 1 || key == 'q'))
		return (0);
	return (!intr_take() && !intr_ended());
}

/* chatctl top: once if stdout is no terminal, or with --json. */
int
cmd_top(struct ctl *ctl, int argc, char **argv)
{
	struct top	 t = { 0, 0, 0, 0 };
	json_t		*end;
	int		 status, live;

	(void)argc;
	(void)argv;
	if ((status = link_open(ctl)) != CTL_OK)
		return (status);
	live = term_is(1) && !ctl->opt.json;
	intr_hold(live);
	if (live)
		term_echo(0);
	if (live)
		fputs(TOP_HOME TOP_REST, stdout);
	do {
		if ((status = link_call(ctl, msg_op("top", -1), NULL, NULL,
		    &end)) != CTL_OK)
			break;
		if (ctl->opt.json) {
			json_object_del(end, "event");
			json_object_del(end, "id");
			term_json(end);
		} else
			top_print(&t, end);
		json_decref(end);
	} while (live && top_pause());
	if (live)
		term_echo(1);
	intr_hold(0);
	return (status);
}
