/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the turns of a conversation to the ids of a prompt:
 *   PRE-PROMPT\n<human>: TEXT\n<bot>: TEXT\n<human>: TEXT\n<bot>:
 * Only this file writes role tags; in pre-prompt and turns they are defused
 * (roletag.h), so the prompt holds one tag for each turn and no other.
 */
#ifndef ENGINE_DIALOGUE_H
#define ENGINE_DIALOGUE_H

#include <stddef.h>

#include "err.h"
#include "tokenizer.h"
#include "growbuf.h"

struct dialogue_turn {
	int		 bot;	/* a turn of the model, else of a person */
	const char	*text;	/* borrowed: valid UTF-8 */
	size_t		 n;	/* bytes */
};

struct dialogue {
	const char			*preprompt;	/* borrowed, or NULL */
	const struct dialogue_turn	*turn;		/* borrowed */
	size_t				 n;
};

/*
 * A prompt that is being built. Call dialogue_begin, then dialogue_some until
 * it returns 1 (each call encodes about limit bytes), then dialogue_end once.
 *
 * The last turn is a person's turn, which the model answers, or a turn of the
 * model, which it continues. White space at both ends of a turn is removed,
 * except at the end of a turn that the model continues.
 */
struct dialogue_run;

/* d is copied; its pointers are borrowed until dialogue_free. Returns 0 and
 * *out (owned), or CHAT_EFORMAT with *f filled: no turn is a person's. */
int	dialogue_begin(const struct tokenizer *t, const struct dialogue *d,
	    struct dialogue_run **out, struct fault *f);
int	dialogue_some(struct dialogue_run *r, size_t limit);

/*
 * Append the prompt to out. If the prompt and `reserve` tokens for the reply do
 * not fit into the context, the oldest messages are dropped, so that the first
 * remaining one is a person's. The pre-prompt, the newest message of a person
 * and the messages after it always stay. *dropped is the number of dropped
 * messages. *pre is the number of tokens of the pre-prompt; they do not depend
 * on the text that follows.
 *
 * Returns 0, or CHAT_EFORMAT with *f filled ("context_full"): the parts that
 * must stay leave no room for one token.
 */
int	dialogue_end(struct dialogue_run *r, size_t context, size_t reserve,
	    struct idbuf *out, size_t *dropped, size_t *pre, struct fault *f);
void	dialogue_free(struct dialogue_run *r);

#endif
