/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter plugin as it was built with version 1.0 of the interface, whose
 * structs are repeated here as they were then: the word XYZZY, and each time
 * the length of the prompt that a reply answers, as a rule's name.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct old_finding {
	uint32_t	 size, flags;
	const char	*category;
	double		 score;
	uint64_t	 start, end;
	const char	*rule;
};

struct old_host {
	uint32_t	 abi, size;
	void		*cookie;
	const char	*const *categories;
	void		(*report)(void *, const struct old_finding *);
	void		(*log)(void *, int32_t, const char *);
	void		(*fail)(void *, const char *);
};

struct old_filter {
	uint32_t	 abi, size;
	const char	*name, *version;
	int32_t		(*open)(const struct old_host *, const void *,
			    uint64_t, void **);
	int32_t		(*prompt)(void *, const char *, uint64_t);
	int32_t		(*text)(void *, const char *, uint64_t, const char *,
			    uint64_t, int32_t);
	void		(*close)(void *);
	uint64_t	(*rules)(void *);
};

static const struct old_host	*old_host;

extern struct old_filter	 chat_filter;

/* Report the word, under a rule's name. */
static int32_t
old_judge(const char *text, const char *rule)
{
	const char	*at = strstr(text, "XYZZY");

	if (at != NULL)
		old_host->report(old_host->cookie, &(struct old_finding){
		    .size = sizeof(struct old_finding), .category = "hate",
		    .score = 1, .start = (uint64_t)(at - text),
		    .end = (uint64_t)(at - text) + 5, .rule = rule });
	return (0);
}

/* Get ready. */
static int32_t
old_open(const struct old_host *host, const void *options, uint64_t n,
    void **state)
{
	(void)options;
	(void)n;
	(void)state;
	old_host = host;
	return (0);
}

/* Judge a prompt. */
static int32_t
old_prompt(void *state, const char *text, uint64_t len)
{
	(void)state;
	(void)len;
	return (old_judge(text, "prompt"));
}

/* Judge a reply. */
static int32_t
old_text(void *state, const char *prompt, uint64_t prompt_len,
    const char *text, uint64_t len, int32_t final)
{
	char	 rule[64];

	(void)state;
	(void)prompt;
	(void)len;
	snprintf(rule, sizeof rule, "text-%d-%d", (int)prompt_len,
	    (int)final);
	return (old_judge(text, rule));
}

/* Nothing to release. */
static void
old_close(void *state)
{
	(void)state;
}

__attribute__((visibility("default")))
struct old_filter	 chat_filter = {
	.abi = 0x10000, .size = sizeof(struct old_filter), .name = "old",
	.version = "1", .open = old_open, .prompt = old_prompt,
	.text = old_text, .close = old_close,
};
