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
	int		 bot;	/* the model's turn, else a person's */
	const char	*text;	/* borrowed: valid UTF-8 */
	size_t		 n;	/* bytes */
};

struct dialogue {
	const char			*preprompt;	/* borrowed, or NULL */
	const struct dialogue_turn	*turn;		/* borrowed */
	size_t				 n;
};

/*
 * A prompt in the making. dialogue_begin, then dialogue_some until it returns
 * 1, each call encoding about limit bytes; then dialogue_end, once.
 *
 * The last turn is a person's (the model then answers), or the model's (it
 * then goes on with that text). White space at both ends of a turn is left
 * out, but for the end of a text that the model goes on with.
 */
struct dialogue_run;

/* d is copied, what it points to is borrowed until dialogue_free. 0 and *out
 * (owned), or CHAT_EFORMAT with *f filled: no turn is a person's. */
int	dialogue_begin(const struct tokenizer *t, const struct dialogue *d,
	    struct dialogue_run **out, struct fault *f);
int	dialogue_some(struct dialogue_run *r, size_t limit);

/*
 * Append the prompt to out. If the prompt and reserve tokens of reply are more
 * than context, the oldest turns are left out, so that the first one left is a
 * person's; pre-prompt, the newest person's turn and what follows it always
 * stay. *dropped is the number of turns left out, *pre that of the tokens of
 * the pre-prompt, which are the same whatever follows it.
 *
 * 0, or CHAT_EFORMAT with *f filled ("context_full"): what must stay leaves no
 * room for one token.
 */
int	dialogue_end(struct dialogue_run *r, size_t context, size_t reserve,
	    struct idbuf *out, size_t *dropped, size_t *pre, struct fault *f);
void	dialogue_free(struct dialogue_run *r);

#endif
