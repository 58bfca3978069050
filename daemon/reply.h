/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a reply between engine and client: the text that the engine has
 * produced, the part that is judged, and the part that the client has.
 *
 *   text   |<--- released --->|<--- settled --->|<--- held --->|
 *          0                  released          settled        len
 *
 * Text that is not settled is held back. It has not been judged, or further
 * text could make it a finding: the first half of a pattern is not shown before
 * its second half has been judged.
 */
#ifndef DAEMON_REPLY_H
#define DAEMON_REPLY_H

#include <jansson.h>
#include <stddef.h>

#include "policy.h"

struct reply {
	char			*text;		/* owned: NUL-ended */
	size_t			 len, size;
	size_t			 settled;	/* bytes that may be shown */
	size_t			 released;	/* bytes the client has */
	int			 final;		/* nothing will be added */
	int			 settled_final;	/* a verdict covers all */
	struct judgement	 judgement;	/* the last one */
	char			*shown;		/* owned: what was released, as
						 * the client has it */
	size_t			 shown_len, shown_size;
	json_t			*ids;		/* owned: all tokens */
};

void	 reply_init(struct reply *p);
void	 reply_clear(struct reply *p);

/* Append text and its tokens (array of integers, borrowed). Returns
 * CHAT_EPROTOCOL if ids is no such array. */
int	 reply_append(struct reply *p, const char *text, size_t n,
	    const json_t *ids);

/* Is what was shown the text as the engine wrote it, all of it? */
int	 reply_is_shown(const struct reply *p);

/* Replace the judgement of the reply (j is taken). The first len bytes are
 * settled. */
void	 reply_judge(struct reply *p, struct judgement *j, size_t len,
	    int final);

/*
 * Returns the text that may be sent now: *n bytes (borrowed until the next
 * call), or NULL. Redacted spans are replaced.
 */
const char *reply_release(struct reply *p, size_t *n);

#endif
