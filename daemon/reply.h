/*
 * The text of a reply between engine and client: what has been produced, how
 * far a verdict covers it, how much the client has.
 *
 *   text   |<--- released --->|<--- held --->|<--- not judged yet --->|
 *          0                  released       judged                 len
 *
 * The last hold bytes that are judged stay back as well, until more text or
 * the end of the reply is judged: a pattern that is only half written is not
 * shown before its other half has been seen.
 */
#ifndef DAEMON_REPLY_H
#define DAEMON_REPLY_H

#include <jansson.h>
#include <stddef.h>

#include "chatd.h"

struct reply {
	char			*text;		/* owned: NUL-ended */
	size_t			 len, size;
	size_t			 judged;	/* bytes a verdict covers */
	size_t			 released;	/* bytes the client has */
	int			 final;		/* nothing will be added */
	int			 judged_final;	/* a verdict knows that */
	struct judgement	 judgement;	/* the last one */
	char			*shown;		/* owned: what was released, as
						 * the client has it */
	size_t			 shown_len, shown_size;
	json_t			*ids;		/* owned: all tokens */
};

void	 reply_init(struct reply *p);
void	 reply_clear(struct reply *p);

/* Add text and the tokens (array of integers, borrowed) behind it. Returns
 * CHAT_EPROTOCOL where ids is no such array. */
int	 reply_append(struct reply *p, const char *text, size_t n,
	    const json_t *ids);

/* Take over the verdict (j is taken) about the first len bytes. */
void	 reply_judge(struct reply *p, struct judgement *j, size_t len,
	    int final);

/*
 * What may be sent now, keeping hold bytes back: a piece of text of *n bytes
 * (borrowed until the next call), or NULL. Redacted spans are replaced.
 */
const char *reply_release(struct reply *p, size_t hold, size_t *n);

#endif
