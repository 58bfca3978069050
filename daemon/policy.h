/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy: from the findings of filters to an action on a text.
 */
#ifndef DAEMON_POLICY_H
#define DAEMON_POLICY_H

#include <jansson.h>
#include <stddef.h>

#include "vocabulary.h"

struct config;

/* A piece of text, [start..end) in bytes. */
struct span {
	size_t	 start, end;
};

/* The action on a text, and the reasons for it. */
struct judgement {
	enum action	 action;	/* the strongest of all findings */
	int		 category;	/* of the strongest; -1 if none */
	double		 score;
	struct span	*spans;		/* owned: nspans spans to redact, in
					 * order, not overlapping */
	size_t		 nspans;
	json_t		*verdicts;	/* owned: array of findings that reach
					 * a threshold, each with "direction"
					 * and "action"; as they are stored */
};

/* Is findings an array of complete findings about a text of len bytes? */
int	 policy_sound(const json_t *findings, size_t len);

/*
 * Judge for a member of group (or NULL) the "findings" array of a filter's
 * answer (borrowed) about a text of len bytes. Returns 0 with *j filled (clear
 * it with judgement_clear), or CHAT_EPROTOCOL if the array is not sound.
 */
int	 policy_judge(const struct config *c, const char *group,
	    enum direction d, const json_t *findings, size_t len,
	    struct judgement *j);
void	 judgement_clear(struct judgement *j);

/* The action that follows from a finding, which is sound, for a member of
 * group. NULL, or a group without a policy: as for everybody. */
enum action policy_action(const struct config *c, const char *group,
	    enum direction d, const json_t *finding);

/* Verdicts as the user gets them: a new list without the version of the plugin,
 * the digest of its rules and what spoke for the finding. */
json_t	*policy_shown(const json_t *verdicts);

/* The message to a user whose text was blocked for that category. */
const char *policy_words(const struct config *c, int category);

/*
 * Copy text[from..to) and replace each redacted span. If a redacted span
 * begins before *to and ends after it, *to is lowered to the start of that
 * span, so that a later call replaces the whole span. Returns a new string of
 * *n bytes (owned by the caller).
 */
char	*policy_redact(const struct judgement *j, const char *text,
	    size_t from, size_t *to, size_t *n);

#endif
