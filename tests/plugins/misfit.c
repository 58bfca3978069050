/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter plugin that must be refused before it is opened: which of the
 * promises of its struct is broken is chosen when it is compiled.
 */
#include <stdlib.h>

#include "chatd-filter.h"

#ifndef MISFIT_ABI
#define MISFIT_ABI CHAT_FILTER_ABI
#endif
#ifndef MISFIT_SIZE
#define MISFIT_SIZE sizeof(struct chat_filter)
#endif
#ifndef MISFIT_NAME
#define MISFIT_NAME "misfit"
#endif
#ifndef MISFIT_TEXT
#define MISFIT_TEXT misfit_text
#endif
#ifndef MISFIT_SYMBOL
#define MISFIT_SYMBOL chat_filter
#endif

extern struct chat_filter MISFIT_SYMBOL;

static int32_t	misfit_text(void *, const char *, uint64_t, const char *,
		    uint64_t, int32_t) __attribute__((unused));

/* Must not be called. */
static int32_t
misfit_open(const struct chat_filter_host *host,
    const struct chat_filter_option *options, uint64_t n, void **state)
{
	(void)host;
	(void)options;
	(void)n;
	(void)state;
	abort();
}

/* Must not be called. */
static int32_t
misfit_prompt(void *state, const char *text, uint64_t len)
{
	(void)state;
	(void)text;
	(void)len;
	abort();
}

/* Must not be called. */
static int32_t
misfit_text(void *state, const char *prompt, uint64_t prompt_len,
    const char *text, uint64_t len, int32_t final)
{
	(void)prompt;
	(void)prompt_len;
	(void)final;
	return (misfit_prompt(state, text, len));
}

/* Must not be called. */
static void
misfit_close(void *state)
{
	(void)state;
	abort();
}

struct chat_filter MISFIT_SYMBOL = {
	.abi = MISFIT_ABI, .size = MISFIT_SIZE, .name = MISFIT_NAME,
	.version = "1", .open = misfit_open, .prompt = misfit_prompt,
	.text = MISFIT_TEXT, .close = misfit_close,
};
