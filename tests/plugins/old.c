/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter plugin as it was built with version 1.0 of the interface, or with
 * OLD_PARTS as it was built with 1.1, whose structs are repeated here as they
 * were then: the word XYZZY, and each time the length of the prompt that a reply
 * answers, as a rule's name.
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
#ifdef OLD_PARTS
	void		(*unsettled)(void *, uint64_t);
#endif
};

#ifdef OLD_PARTS
struct old_part {
	uint32_t	 size;
	int32_t		 reply, final;
	uint32_t	 reserved;
	uint64_t	 offset;
	const char	*text;
	uint64_t	 len, fresh, settled;
	const char	*prompt;
	uint64_t	 prompt_len;
};
#endif

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
#ifdef OLD_PARTS
	uint32_t	 flags, reserved;
	uint64_t	(*window)(void *);
	int32_t		(*part)(void *, const struct old_part *);
#endif
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

#ifdef OLD_PARTS
/* The longest word and a byte. */
static uint64_t
old_window(void *state)
{
	(void)state;
	return (6);
}

/* Judge a piece. */
static int32_t
old_part(void *state, const struct old_part *p)
{
	char	 rule[64];

	(void)state;
	snprintf(rule, sizeof rule, "part-%d-%d-%d", (int)p->prompt_len,
	    (int)p->fresh, (int)p->final);
	if (p->len > 0 && p->text[p->len - 1] == 'X')
		old_host->unsettled(old_host->cookie, p->len - 1);
	return (old_judge(p->text, rule));
}
#else
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
#endif

/* Nothing to release. */
static void
old_close(void *state)
{
	(void)state;
}

__attribute__((visibility("default")))
struct old_filter	 chat_filter = {
	.size = sizeof(struct old_filter), .name = "old", .version = "1",
	.open = old_open, .close = old_close,
#ifdef OLD_PARTS
	.abi = 0x10001, .flags = 1, .window = old_window, .part = old_part,
#else
	.abi = 0x10000, .prompt = old_prompt, .text = old_text,
#endif
};
