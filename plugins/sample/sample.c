/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin to learn from: it finds a word, and is surer with each one. */
#include <chatd-filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sample {
	const struct chat_filter_host *host;
	char		 word[33];
	uint64_t	 len;		/* of the word */
};

static int32_t
sample_open(const struct chat_filter_host *host,
    const struct chat_filter_option *o, uint64_t n, void **state)
{
	struct sample	*s;
	char		 why[80];

	for (uint64_t i = 0; i < n; i++) {
		if (strcmp(o[i].key, "word") == 0)
			continue;
		snprintf(why, sizeof why, "expected word, found %.40s",
		    o[i].key);
		host->fail(host->cookie, why);
		return (CHAT_FILTER_ERROR);
	}
	if (n != 1 || *o->value == 0 || strlen(o->value) >= sizeof s->word ||
	    (s = calloc(1, sizeof *s)) == NULL) {
		host->fail(host->cookie, "expected word, of 1 to 32 bytes");
		return (CHAT_FILTER_ERROR);
	}
	s->host = host;
	s->len = strlen(strcpy(s->word, o->value));
	*state = s;
	return (CHAT_FILTER_OK);
}

static uint64_t
sample_window(void *state)		/* old text that part needs */
{
	return (((struct sample *)state)->len - 1);
}

static int32_t
sample_begin(void *state, const struct chat_filter_text *text, void **sum)
{
	(void)state;
	(void)text;
	return ((*sum = calloc(1, sizeof(int))) == NULL);
}

static uint64_t				/* bytes that begin the word */
sample_tail(const struct sample *s, const char *text, uint64_t len)
{
	uint64_t	 n = len < s->len - 1 ? len : s->len - 1;

	while (n > 0 && memcmp(text + len - n, s->word, n) != 0)
		n--;
	return (n);
}

static int32_t
sample_part(void *state, const struct chat_filter_part *p)
{
	struct sample	*s = state;
	int		*sum = p->text_state;
	const char	*at = p->text;

	for (; (at = strstr(at, s->word)) != NULL; at++) {
		uint64_t start = at - p->text, end = start + s->len;

		if (end <= p->fresh)	/* an earlier call has found it */
			continue;
		++*sum;
		s->host->report(s->host->cookie, &(struct chat_finding){
		    .size = sizeof(struct chat_finding), .rule = "word",
		    .category = "illegal", .score = 1 - 1.0 / (*sum + 1),
		    .start = start, .end = end, .features = 1,
		    .detail = &(struct chat_feature){
			.name = s->word, .weight = *sum,
			.start = start, .end = end } });
	}
	s->host->unsettled(s->host->cookie,
	    p->len - sample_tail(s, p->text, p->len));
	return (CHAT_FILTER_OK);
}

static void
sample_end(void *state, void *sum)
{
	(void)state;
	free(sum);
}

static int32_t
sample_selftest(void *state)
{
	struct sample	*s = state;

	return (sample_tail(s, s->word, s->len - 1) != s->len - 1);
}

struct chat_filter chat_filter = {
	.abi = CHAT_FILTER_ABI, .size = sizeof(struct chat_filter),
	.name = "sample", .version = "1", .open = sample_open, .close = free,
	.window = sample_window, .part = sample_part,
	.text_begin = sample_begin, .text_end = sample_end,
	.selftest = sample_selftest,
};
