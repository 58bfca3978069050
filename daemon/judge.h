/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts on texts.  A text, whole or growing, is handed to the filter
 * processes in pieces: what is new, with as much before it as their plugins
 * need.  Each process has few pieces at a time, taken by turns of accounts,
 * so that nobody waits for the length of another's text.
 */
#ifndef DAEMON_JUDGE_H
#define DAEMON_JUDGE_H

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

#include "chatd.h"

struct filters;
struct judge;

/* How far a text has been judged. */
struct verdict {
	const char	*error;		/* NULL; or why there is no verdict,
					 * and never will be */
	const json_t	*findings;	/* borrowed: array of all so far, sound,
					 * start and end in bytes of the text */
	size_t		 settled;	/* bytes that no more text can bring
					 * a finding about */
	int		 final;		/* the whole text, and it is complete */
};

/* Something new is known. The judge may be freed in it. */
typedef void	judge_cb(void *arg, const struct verdict *v);

/*
 * Judge a text of account uid. If a reload replaces the filters, the others
 * judge it from its start; what was settled stays so. context is the prompt that a reply answers, or
 * NULL; borrowed as long as the judge lives.
 */
struct judge	*judge_new(struct filters *fs, uid_t uid, enum direction d,
		    const char *context, judge_cb *cb, void *arg);

/* The text so far, all of its len bytes (borrowed until the next call, or the
 * end of the judge); it begins as the last one did. final: it is complete. */
void		 judge_text(struct judge *j, const char *text, size_t len,
		    int final);

/* Drop it: no call comes any more. NULL does nothing. */
void		 judge_free(struct judge *j);

#endif
