/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter plugin that misbehaves on demand, for tests: the option "act" (or,
 * for the constructor, the environment variable CHATD_TEST_CONSTRUCTOR) names
 * what it does when a text holds the word XYZZY.  Texts without it are judged
 * as harmless.  With ZOO_PARTS it judges pieces, else whole texts.  The options
 * "open", "begin", "end", "selftest", "save" and "restore" name acts for these
 * functions; "band" is "LOW HIGH".
 */
#include <sys/mman.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acts.h"
#include "chatd-filter.h"

#ifndef ZOO_NAME
#define ZOO_NAME "zoo"
#endif

/* A verdict on somebody else's text. */
#define ZOO_FORGED "{\"event\":\"done\",\"id\":1,\"findings\":[]}\n"

static const struct chat_filter_host	*zoo_host;
static char				 zoo_act[32];
static char				 zoo_acts[5][32];
static const char *const		 zoo_calls[] = { "begin", "end",
					    "selftest", "save", "restore" };
static uint64_t				 zoo_saved;	/* texts begun */
static volatile int			 zoo_sink;
static int				*volatile zoo_nowhere;

/* Use up the stack. The result is used, or it would become a loop. */
static int
zoo_recurse(volatile char *above)
{
	volatile char	 here[4096];

	here[0] = *above;
	return (zoo_sink == 99 ? 0 : zoo_recurse(here) + here[0]);
}

/* The main function of a thread. */
static void *
zoo_thread(void *arg)
{
	return (arg);
}

/* Report a finding of "abc"-like text with one thing wrong. */
static void
zoo_report(const char *act, uint64_t len)
{
	static struct chat_feature ft = { .name = "XYZZY", .weight = 1.5 };
	struct chat_finding	 f = { .size = sizeof f, .score = 0.5,
				    .category = "hate", .end = len,
				    .rule = "zoo" };
	int			 i, n = 1;

	if (strcmp(act, "bad-category") == 0)
		f.category = "weather";
	else if (strcmp(act, "null-category") == 0)
		f.category = NULL;
	else if (strcmp(act, "bad-span") == 0)
		f.end = len + 1;
	else if (strcmp(act, "backward-span") == 0)
		f.start = len + 1;
	else if (strcmp(act, "split-span") == 0)
		f.start = 1;		/* tests begin the text with U+00E9 */
	else if (strcmp(act, "bad-score") == 0)
		f.score = 1.5;
	else if (strcmp(act, "nan-score") == 0)
		f.score = 0.0 / (double)zoo_sink;
	else if (strcmp(act, "short-finding") == 0)
		f.size = 8;
	else if (strcmp(act, "no-rule") == 0)
		f.rule = "";
	else if (strcmp(act, "bad-rule") == 0)
		f.rule = "\xff";
	else if (strcmp(act, "proven-good") == 0)
		f.flags = CHAT_FILTER_PROVEN;
	else if (strstr(act, "detail") != NULL) {
		f.detail = &ft;
		f.features = 1;
		ft.end = len;
	}
	if (strcmp(act, "bad-detail") == 0)
		ft.name = "\xff";
	else if (strcmp(act, "empty-detail") == 0)
		ft.name = "";
	else if (strcmp(act, "nan-detail") == 0)
		ft.weight = 0.0 / (double)zoo_sink;
	else if (strcmp(act, "span-detail") == 0)
		ft.end = len + 1;
	else if (strcmp(act, "null-detail") == 0)
		f.detail = NULL;
	else if (strcmp(act, "many-detail") == 0)
		f.features = 17;
	else if (strcmp(act, "flood") == 0)
		n = 5000;
	else if (strcmp(act, "half-flood") == 0)
		n = 2048;		/* of the 4096 that a check may have */
	else if (strcmp(act, "above-half") == 0)
		n = 2049;
	for (i = 0; i < n; i++)
		zoo_host->report(zoo_host->cookie, &f);
}

/* Acts that attack the system. */
static void
zoo_hostile(const char *act)
{
	static char	*const argv[] = { (char *)(uintptr_t)"true", NULL };
	pthread_t	 t;
	int		 r = 0;

	if (strcmp(act, "fork") == 0)
		r = fork();
	else if (strcmp(act, "exec") == 0)
		r = execv("/bin/true", argv);
	else if (strcmp(act, "system") == 0)
		r = system("true");
	else if (strcmp(act, "socket") == 0)
		r = socket(AF_INET, SOCK_STREAM, 0);
	else if (strcmp(act, "open") == 0)
		r = open("/etc/passwd", O_RDONLY);
	else if (strcmp(act, "create") == 0)
		r = open("/tmp/chatd-zoo", O_WRONLY|O_CREAT, 0600);
	else if (strcmp(act, "unlink") == 0)
		r = unlink("/tmp/chatd-zoo");
	else if (strcmp(act, "thread") == 0)
		r = pthread_create(&t, NULL, zoo_thread, NULL);
	else if (strcmp(act, "rwx") == 0)
		r = mmap(NULL, 4096, PROT_READ|PROT_WRITE|PROT_EXEC,
		    MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
	else if (strcmp(act, "signal") == 0)
		r = signal(SIGSYS, SIG_IGN) == SIG_ERR;
	else if (strcmp(act, "forge") == 0)
		r = (int)write(STDOUT_FILENO, ZOO_FORGED, strlen(ZOO_FORGED));
	else
		r = (int)acts_do(act);
	zoo_sink = r;
}

/* Lower what other plugins have found, perhaps with one thing wrong. */
static void
zoo_lower(const char *act, uint64_t len)
{
	struct chat_lower	 l = { .size = sizeof l, .score = 0.1,
				    .end = len };

	if (strcmp(act, "lower-category") == 0)
		l.category = "weather";
	else if (strcmp(act, "lower-score") == 0)
		l.score = -1;
	else if (strcmp(act, "lower-span") == 0)
		l.end = len + 1;
	else if (strcmp(act, "lower-short") == 0)
		l.size = 8;
	else if (strcmp(act, "lower-hate") == 0)
		l.category = "hate";
	zoo_host->lower(zoo_host->cookie, &l);
}

/* Do the act. Returns the result for prompt or text. */
static int32_t
zoo_do(const char *act, uint64_t len)
{
	volatile char	*p;	/* or clang removes the allocation */
	size_t		 i;

	if (strcmp(act, "crash") == 0)
		*zoo_nowhere = 1;
	else if (strcmp(act, "recurse") == 0)
		zoo_sink = zoo_recurse("x");
	else if (strcmp(act, "abort") == 0)
		abort();
	else if (strcmp(act, "exit") == 0)
		exit(0);
	else if (strcmp(act, "loop") == 0)
		while (zoo_sink == 0)
			;
	else if (strcmp(act, "leak") == 0)
		for (;;) {
			p = malloc(1024 * 1024);
			for (i = 0; i < 1024 * 1024; i += 1024)
				p[i] = 1;
		}
	else if (strcmp(act, "fail") == 0) {
		zoo_host->fail(zoo_host->cookie, "out of ideas");
		return (CHAT_FILTER_ERROR);
	} else if (strcmp(act, "silent-fail") == 0)
		return (CHAT_FILTER_ERROR);
	else if (strcmp(act, "bad-unsettled") == 0)
		zoo_host->unsettled(zoo_host->cookie, len + 1);
	else if (strcmp(act, "split-unsettled") == 0)
		zoo_host->unsettled(zoo_host->cookie, 1);
	else if (strncmp(act, "lower", 5) == 0)
		zoo_lower(act, len);
	else if (strcmp(act, "late-band") == 0)
		zoo_host->band(zoo_host->cookie, 0, 1);
	else if (strcmp(act, "bad-band") == 0)
		zoo_host->band(zoo_host->cookie, 1, 0);
	else if (strcmp(act, "good") == 0 || strchr(act, '-') != NULL ||
	    strcmp(act, "flood") == 0)
		zoo_report(act, len);
	else
		zoo_hostile(act);
	return (CHAT_FILTER_OK);
}

/* Runs inside dlopen. */
static void __attribute__((constructor))
zoo_constructor(void)
{
	const char	*act = getenv("CHATD_TEST_CONSTRUCTOR");

	if (act != NULL)
		zoo_do(act, 0);
}

/* Read the option. */
static int32_t
zoo_open(const struct chat_filter_host *host,
    const struct chat_filter_option *options, uint64_t n, void **state)
{
	uint64_t	 i;
	size_t		 k;
	double		 low, high;

	(void)state;
	zoo_host = host;
	for (i = 0; i < n; i++) {
		for (k = 0; k < sizeof zoo_calls / sizeof *zoo_calls; k++) {
			if (strcmp(options[i].key, zoo_calls[k]) == 0)
				snprintf(zoo_acts[k], sizeof zoo_acts[k],
				    "%s", options[i].value);
		}
		if (strcmp(options[i].key, "band") == 0 &&
		    sscanf(options[i].value, "%lf %lf", &low, &high) == 2)
			host->band(host->cookie, low, high);
		if (strcmp(options[i].key, "act") == 0)
			snprintf(zoo_act, sizeof zoo_act, "%s",
			    options[i].value);
		else if (strcmp(options[i].key, "open") == 0)
			return (zoo_do(options[i].value, 0));
	}
	return (CHAT_FILTER_OK);
}

/* Judge a prompt. */
static int32_t
zoo_prompt(void *state, const char *text, uint64_t len)
{
	(void)state;
	if (strstr(text, "XYZZY") == NULL)
		return (CHAT_FILTER_OK);
	return (zoo_do(zoo_act, len));
}

/* Do the act of a call, if it has one. */
static int32_t
zoo_call(const char *call)
{
	size_t	 k;

	for (k = 0; strcmp(zoo_calls[k], call) != 0; k++)
		;
	return (zoo_acts[k][0] == '\0' ? CHAT_FILTER_OK :
	    zoo_do(zoo_acts[k], 0));
}

#ifdef ZOO_PARTS
/* Begin a text: its state counts its bytes. */
static int32_t
zoo_text_begin(void *state, const struct chat_filter_text *text,
    void **text_state)
{
	uint64_t	*sum;
	int32_t		 r;

	(void)state;
	if ((r = zoo_call("begin")) != CHAT_FILTER_OK)
		return (r);
	*text_state = sum = calloc(1, sizeof *sum);
	zoo_saved += !text->again;
	return (CHAT_FILTER_OK);
}

/* The text is over. */
static void
zoo_text_end(void *state, void *text_state)
{
	(void)state;
	zoo_call("end");
	free(text_state);
}

/* Report what the plugin was told about a piece, as a rule's name. */
static void
zoo_tell(const struct chat_filter_part *p)
{
	const uint64_t	*sum = p->text_state;
	char		 rule[128];

	snprintf(rule, sizeof rule, "sum=%d fresh=%d missed=%d score=%.2f "
	    "hate=%.2f account=%d now=%d begun=%d", (int)*sum, (int)p->fresh,
	    (int)p->missed, p->score, p->scores[1], (int)p->account,
	    (int)p->now, (int)zoo_saved);
	zoo_host->report(zoo_host->cookie, &(struct chat_finding){
	    .size = sizeof(struct chat_finding), .category = "illegal",
	    .score = 0.3, .end = p->len, .rule = rule });
}

/* Judge a piece. */
static int32_t
zoo_part(void *state, const struct chat_filter_part *p)
{
	*(uint64_t *)p->text_state += p->len - p->fresh;
	if (strcmp(zoo_act, "tell") == 0) {
		zoo_tell(p);
		return (CHAT_FILTER_OK);
	}
	return (zoo_prompt(state, p->text, p->len));
}

/* The window, which can't be had with one act. */
static uint64_t
zoo_window(void *state)
{
	(void)state;
	if (strcmp(zoo_act, "early-report") == 0)
		zoo_report("good", 0);
	return (strcmp(zoo_act, "large-window") == 0 ?
	    CHAT_FILTER_WINDOW_MAX + 1 : 10);
}
#else
/* Judge a reply. */
static int32_t
zoo_text(void *state, const char *prompt, uint64_t prompt_len,
    const char *text, uint64_t len, int32_t final)
{
	(void)prompt;
	(void)prompt_len;
	(void)final;
	return (zoo_prompt(state, text, len));
}
#endif

/* Test itself. */
static int32_t
zoo_selftest(void *state)
{
	(void)state;
	return (zoo_call("selftest"));
}

/* Save the number of texts. */
static uint64_t
zoo_save(void *state, void *blob, uint64_t room)
{
	(void)state;
	if (strcmp(zoo_acts[3], "too-large") == 0)
		return (room + 1);
	if (strcmp(zoo_acts[3], "full-size") == 0) {
		memset(blob, 0xa5, room);
		return (room);
	}
	zoo_call("save");
	memcpy(blob, &zoo_saved, sizeof zoo_saved);
	return (zoo_saved == 0 ? 0 : sizeof zoo_saved);
}

/* Take it over. */
static int32_t
zoo_restore(void *state, const void *blob, uint64_t len)
{
	int32_t	 r;

	(void)state;
	if ((r = zoo_call("restore")) != CHAT_FILTER_OK)
		return (r);
	if (len != sizeof zoo_saved) {
		zoo_host->fail(zoo_host->cookie, "not of this plugin");
		return (CHAT_FILTER_ERROR);
	}
	memcpy(&zoo_saved, blob, sizeof zoo_saved);
	return (CHAT_FILTER_OK);
}

/* Nothing to release. */
static void
zoo_close(void *state)
{
	(void)state;
}

struct chat_filter chat_filter = {
	.abi = CHAT_FILTER_ABI, .size = sizeof(struct chat_filter),
	.name = ZOO_NAME, .version = "1", .open = zoo_open,
	.close = zoo_close,
#ifdef ZOO_PARTS
	.window = zoo_window, .part = zoo_part,
	.text_begin = zoo_text_begin, .text_end = zoo_text_end,
#else
	.prompt = zoo_prompt, .text = zoo_text,
#endif
	.selftest = zoo_selftest, .save = zoo_save, .restore = zoo_restore,
};
