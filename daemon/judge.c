/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far each text is judged. judge_findings.c has its findings.
 */
#include "judge_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "speaker.h"
#include "xmalloc.h"

/* Is no part of the text waiting or being judged? */
static int
judge_is_idle(const struct judge *j)
{
	size_t	 i;

	for (i = 0; i < j->nparts; i++) {
		if (j->part[i].lane != NULL || j->part[i].flight != NULL)
			return (0);
	}
	return (1);
}

/* ---- the life of a judge */

/* Join a set. */
static void
judge_enter(struct judge *j, struct filters *fs)
{
	size_t	 i;

	j->set = fs;
	j->nparts = fs->n;
	j->part = xcalloc(fs->n, sizeof *j->part);
	for (i = 0; i < fs->n; i++) {
		j->part[i].judge = j;
		j->part[i].process = &fs->process[i];
		j->part[i].findings = json_array();
		j->part[i].ns = xcalloc(fs->process[i].nplugins + 1,
		    sizeof *j->part[i].ns);
	}
	TAILQ_INSERT_TAIL(&fs->judges, j, entry);
}

/* Make a judge for a text. */
struct judge *
judge_new(struct filters *fs, uid_t uid, enum direction d,
    const char *context, judge_cb *cb, void *arg)
{
	struct judge	*j;

	j = xcalloc(1, sizeof *j);
	j->uid = uid;
	j->account = speaker_number(uid);
	j->direction = d;
	j->context = context;
	j->cb = cb;
	j->arg = arg;
	judge_enter(j, fs);
	return (j);
}

/* Leave the set: no further piece of the text is judged. */
static void
judge_leave(struct judge *j)
{
	struct filters	*fs = j->set;
	size_t		 i;

	for (i = 0; i < j->nparts; i++) {
		judge_unqueue(&j->part[i]);
		if (j->part[i].flight != NULL)
			j->part[i].flight->part = NULL;
		j->part[i].flight = NULL;
		judge_end_text(&j->part[i]);
	}
	if (fs == NULL)
		return;
	j->set = NULL;
	TAILQ_REMOVE(&fs->judges, j, entry);
	if (TAILQ_EMPTY(&fs->judges))
		fs->idle(fs);
}

/* Release the parts. */
static void
judge_free_parts(struct judge *j)
{
	size_t	 i;

	for (i = 0; i < j->nparts; i++) {
		json_decref(j->part[i].findings);
		free(j->part[i].ns);
	}
	free(j->part);
	j->part = NULL;
	j->nparts = 0;
}

/* Release it. */
void
judge_free(struct judge *j)
{
	if (j == NULL)
		return;
	judge_leave(j);
	judge_free_parts(j);
	free(j);
}

/* Report once that there is no verdict. */
void
judge_fail(struct judge *j, const char *why)
{
	struct verdict	 v = { .error = why };

	if (j->failed)
		return;
	j->failed = 1;
	judge_leave(j);
	j->cb(j->arg, &v);
}

/* ---- verdicts */

/* Return the findings of a text that count, a new reference: those that begin
 * in its first bytes, which are settled. A later plugin may still lower the
 * others. */
static json_t *
judge_findings(const struct judge *j, size_t settled, int final)
{
	json_t	*all, *o;
	size_t	 i, k;

	if (j->nparts == 1 && final)
		return (json_incref(j->part[0].findings));
	all = json_array();
	for (i = 0; i < j->nparts; i++) {
		json_array_foreach(j->part[i].findings, k, o) {
			if (final || msg_int(o, "start", 0) <
			    (int64_t)settled)
				json_array_append(all, o);
		}
	}
	return (all);
}

/* Fail a text because a process is switched off and its texts may not pass. */
static void
judge_refuse(struct judge *j, const struct filters_process *p)
{
	char	 why[256];

	snprintf(why, sizeof why, "%s has failed too often and is switched "
	    "off: no text passes without it", p->name);
	judge_fail(j, why);
}

/* Report a verdict to the owner, if more is known than before. */
void
judge_report(struct judge *j)
{
	struct verdict	 v = { .settled = j->len, .final = j->final };
	json_t		*findings;
	size_t		 i, k;

	for (i = 0; i < j->nparts; i++) {
		if (j->part[i].process->off) {
			if (j->part[i].process->pass)
				continue;
			judge_refuse(j, j->part[i].process);
			return;
		}
		v.final &= j->part[i].final;
		for (k = 0; k < j->part[i].process->nplugins; k++)
			v.ns += j->part[i].ns[k];
		if (j->part[i].settled < v.settled)
			v.settled = j->part[i].settled;
	}
	/* The verdict on a prompt is reported only for the whole prompt. */
	if (!v.final && (j->direction == DIRECTION_PROMPT ||
	    (j->reported && v.settled <= j->reported_settled)))
		return;
	j->reported = 1;
	j->reported_settled = v.settled;
	findings = judge_findings(j, v.settled, v.final);
	v.findings = findings;
	j->cb(j->arg, &v);
	json_decref(findings);
}

/* Have the new text judged. */
static void
judge_go(struct judge *j)
{
	size_t	 i;

	for (i = 0; i < j->nparts; i++)
		judge_queue(&j->part[i], 0);
	for (i = 0; i < j->nparts; i++)
		judge_pump(j->part[i].process);
	if (judge_is_idle(j))	/* every plugin is off */
		judge_report(j);
}

/* Set the text, which may have grown. */
void
judge_text(struct judge *j, const char *text, size_t len, int final)
{
	j->text = text;
	j->len = len;
	j->final = final;
	if (!j->failed)
		judge_go(j);
}

/* Move to the successor of a retiring set, and start again. */
static void
judge_move(struct judge *j)
{
	struct filters	*to = j->set->successor;
	size_t		 i;

	for (i = 0; i < j->nparts; i++)
		j->again |= j->part[i].judged > 0;
	judge_leave(j);
	judge_free_parts(j);
	judge_enter(j, to);
	judge_go(j);
}

/* A piece is back from a process: report a verdict, or move the text. */
void
judge_back(struct judge *j)
{
	size_t	 i;

	for (i = 0; i < j->nparts && j->part[i].final; i++)
		;
	if (i == j->nparts || j->set->successor == NULL)
		judge_report(j);
	else if (judge_is_idle(j))
		judge_move(j);
}

/* Pass on the texts that no process is judging. */
void
judge_hand_over(struct filters *fs)
{
	struct judge	*j, *next;
	size_t		 i;

	for (j = TAILQ_FIRST(&fs->judges); j != NULL; j = next) {
		next = TAILQ_NEXT(j, entry);
		for (i = 0; i < j->nparts; i++)
			judge_unqueue(&j->part[i]);
		if (judge_is_idle(j))
			judge_move(j);
	}
}

/* Fail every text. */
void
judge_fail_all(struct filters *fs, const char *why)
{
	struct judge		*j;
	struct judge_account	*a;

	while ((j = TAILQ_FIRST(&fs->judges)) != NULL)
		judge_fail(j, why);
	while ((a = TAILQ_FIRST(&fs->accounts)) != NULL) {
		TAILQ_REMOVE(&fs->accounts, a, entry);
		free(a);
	}
}
