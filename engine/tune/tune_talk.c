/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd-tune talk: says what a file has to a model, and prints the dialogues
 * with its greedy replies.
 */
#include "tune.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "greedy.h"
#include "growbuf.h"
#include "xmalloc.h"

#define USAGE		"talk MODEL FILE [--precision NAME] [--threads N]"
#define TALK_FILE_MAX	((size_t)16 << 20)
#define TALK_REPLY	220	/* tokens of a reply, at most */

enum { OPT_PRECISION = 256, OPT_THREADS };

static const struct option options[] = {
	{ "precision", required_argument, NULL, OPT_PRECISION },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ NULL, 0, NULL, 0 }
};

/* One dialogue. */
struct talk {
	char		**say;		/* owned: what the user says */
	size_t		 n;
	struct textbuf	 text;		/* what was said so far */
};

/* All dialogues of a file. */
struct talks {
	struct talk	*talk;		/* owned */
	size_t		 n, most;	/* most: turns of the longest */
};

/* Release them. */
static void
talks_free(struct talks *t)
{
	size_t	 i, k;

	for (i = 0; i < t->n; i++) {
		for (k = 0; k < t->talk[i].n; k++)
			free(t->talk[i].say[k]);
		free(t->talk[i].say);
		textbuf_clear(&t->talk[i].text);
	}
	free(t->talk);
}

/* Make each "\n" of a line the end of a line. */
static void
talks_unescape(char *s)
{
	char	*to = s;

	for (; *s != '\0'; s++)
		if (s[0] == '\\' && s[1] == 'n') {
			*to++ = '\n';
			s++;
		} else
			*to++ = *s;
	*to = '\0';
}

/* Add what the user says to the last dialogue, or to a new one. */
static void
talks_add(struct talks *t, char *say, int begin)
{
	struct talk	*k;

	if (begin) {
		t->talk = xreallocarray(t->talk, t->n + 1, sizeof *t->talk);
		memset(&t->talk[t->n++], 0, sizeof *t->talk);
	}
	k = &t->talk[t->n - 1];
	k->say = xreallocarray(k->say, k->n + 1, sizeof *k->say);
	talks_unescape(say);
	k->say[k->n++] = say;
	if (k->n > t->most)
		t->most = k->n;
}

/* Read a file: a line for each message, an empty line between dialogues, "#"
 * begins a comment. */
static int
talks_read(struct talks *t, const char *path, struct fault *f)
{
	char	*text, *line, *save;
	size_t	 n;
	int	 begin = 1;

	if (tune_read_text(path, TALK_FILE_MAX, &text, &n, f) != 0)
		return (-1);
	save = text;
	while ((line = strsep(&save, "\n")) != NULL) {
		if (line[0] == '#')
			continue;
		if (line[0] == '\0') {
			begin = 1;
			continue;
		}
		talks_add(t, xstrdup(line), begin);
		begin = 0;
	}
	free(text);
	if (t->n == 0)
		return (fault_set(f, "bad_config", NULL,
		    "%s: no dialogue in it", path));
	return (0);
}

/* Have the model reply to the turn k of each dialogue that has one. */
static void
talks_turn(struct talks *t, struct greedy_model *m, size_t k)
{
	struct greedy_item	*item = xcalloc(t->n, sizeof *item);
	struct talk		**who = xcalloc(t->n, sizeof *who);
	struct talk		*d;
	size_t			 i, n = 0;

	for (i = 0; i < t->n; i++) {
		d = &t->talk[i];
		if (d->n <= k)
			continue;
		textbuf_puts(&d->text, "<human>: ");
		textbuf_puts(&d->text, d->say[k]);
		textbuf_puts(&d->text, "\n<bot>:");
		textbuf_add(&d->text, "", 1);
		item[n].prompt = d->text.s;
		who[n++] = d;
	}
	greedy_run(m, item, n, TALK_REPLY);
	for (i = 0; i < n; i++) {
		who[i]->text.n--;
		textbuf_puts(&who[i]->text, " ");
		textbuf_puts(&who[i]->text, item[i].reply);
		textbuf_puts(&who[i]->text, "\n");
		free(item[i].reply);
	}
	free(item);
	free(who);
}

/* Talk. */
int
tune_talk(int argc, char **argv)
{
	struct greedy_model	*m = NULL;
	struct talks		 t = { 0 };
	struct fault		 f;
	const char		*precision = "fp32";
	long long		 threads = 0;
	size_t			 i;
	int			 c, r;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (c == OPT_PRECISION)
			precision = optarg;
		else if (c != OPT_THREADS || tune_number("--threads", optarg,
		    0, 256, &threads) != 0)
			return (tune_usage(USAGE));
	if (optind != argc - 2)
		return (tune_usage(USAGE));
	if ((r = talks_read(&t, argv[optind + 1], &f)) == 0)
		r = greedy_open(argv[optind], precision, (int)threads, &m,
		    &f);
	for (i = 0; r == 0 && i < t.most; i++)
		talks_turn(&t, m, i);
	for (i = 0; r == 0 && i < t.n; i++)
		printf("%s%.*s", i > 0 ? "\n" : "", (int)t.talk[i].text.n,
		    t.talk[i].text.s);
	greedy_free(m);
	talks_free(&t);
	return (r == 0 ? TUNE_OK : tune_failed(&f));
}
