/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts on texts. A text, whole or growing, is sent to the filter processes
 * in pieces: the new text, with as much earlier text as their plugins need.
 * Each process has few pieces at a time, and accounts take turns, so that a
 * long text of one account does not delay the others.
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
	const char	*error;		/* NULL; or why there will be no
					 * verdict */
	const json_t	*findings;	/* borrowed: array of the findings that
					 * begin in settled text, checked;
					 * start and end in bytes of the
					 * text */
	size_t		 settled;	/* bytes in which further text can't
					 * cause a finding */
	int		 final;		/* the text is complete, and all of it
					 * is judged */
	int64_t		 ns;		/* nanoseconds that plugins took */
};

/* Called when more is known. May free the judge. */
typedef void	judge_cb(void *arg, const struct verdict *v);

/*
 * Judge a text of account uid. If a reload or a crash replaces a process, the
 * new one judges the text from its start; settled text stays settled. context
 * is the prompt that a reply answers, or NULL; it is borrowed as long as the
 * judge lives.
 */
struct judge	*judge_new(struct filters *fs, uid_t uid, enum direction d,
		    const char *context, judge_cb *cb, void *arg);

/* Set the text so far, len bytes from its start (borrowed until the next call,
 * or until judge_free). The text may only grow. final: it is complete. */
void		 judge_text(struct judge *j, const char *text, size_t len,
		    int final);

/* Release it: its callback is not called again. NULL does nothing. */
void		 judge_free(struct judge *j);

#endif
