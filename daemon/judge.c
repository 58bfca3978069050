/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far each text is judged, and its findings.
 */
#include "judge_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define JUDGE_FINDINGS	4096		/* most findings per text and process */
#define JUDGE_SAME	1024		/* last findings to compare a new one
					 * with */

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

	for (i = 0; i < j->nparts; i++)
		json_decref(j->part[i].findings);
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

/* Return all findings of a text, a new reference. */
static json_t *
judge_findings(const struct judge *j)
{
	json_t	*all;
	size_t	 i;

	if (j->nparts == 1)
		return (json_incref(j->part[0].findings));
	all = json_array();
	for (i = 0; i < j->nparts; i++)
		json_array_extend(all, j->part[i].findings);
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
	size_t		 i;

	for (i = 0; i < j->nparts; i++) {
		if (j->part[i].process->off) {
			if (j->part[i].process->pass)
				continue;
			judge_refuse(j, j->part[i].process);
			return;
		}
		v.final &= j->part[i].final;
		if (j->part[i].settled < v.settled)
			v.settled = j->part[i].settled;
	}
	/* The verdict on a prompt is reported only for the whole prompt. */
	if (!v.final && (j->direction == DIRECTION_PROMPT ||
	    (j->reported && v.settled <= j->reported_settled)))
		return;
	j->reported = 1;
	j->reported_settled = v.settled;
	findings = judge_findings(j);
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

/* ---- findings */

/* Keep a finding. If a finding is repeated, perhaps longer or with a higher
 * score, it is merged with the earlier one. Returns -1 if there are too
 * many. */
static int
judge_keep(json_t *list, json_t *o)
{
	static const char *const	 keys[] = { "plugin", "rule",
					    "category" };
	json_t				*old;
	size_t				 n = json_array_size(list), i, k;

	for (i = n; i > 0 && n - i < JUDGE_SAME; i--) {
		old = json_array_get(list, i - 1);
		if (msg_int(old, "start", -1) != msg_int(o, "start", -1))
			continue;
		for (k = 0; k < nitems(keys) && strcmp(msg_string(old,
		    keys[k]), msg_string(o, keys[k])) == 0; k++)
			;
		if (k < nitems(keys))
			continue;
		if (msg_int(o, "end", 0) > msg_int(old, "end", 0))
			msg_set_int(old, "end", msg_int(o, "end", 0));
		if (msg_real(o, "score", 0) > msg_real(old, "score", 0))
			msg_set_real(old, "score", msg_real(o, "score", 0));
		json_decref(o);
		return (0);
	}
	json_array_append_new(list, o);
	return (n < JUDGE_FINDINGS ? 0 : -1);
}

/* Is this plugin one of the process's? */
static int
judge_has_plugin(const struct filters_process *p, const char *name)
{
	const json_t	*o;
	size_t		 i;

	json_array_foreach(json_object_get(p->init, "plugins"), i, o) {
		if (strcmp(msg_string(o, "name"), name) == 0)
			return (1);
	}
	return (0);
}

/* Add the findings about a piece. */
int
judge_take(struct judge_part *t, const struct judge_flight *fl,
    const json_t *findings)
{
	json_t	*o;
	int64_t	 start, end;
	size_t	 i;

	if (!policy_sound(findings, fl->len))
		return (JUDGE_UNSOUND);
	json_array_foreach(findings, i, o) {
		if (!judge_has_plugin(t->process, msg_string(o, "plugin")))
			return (JUDGE_UNSOUND);
	}
	if (t->process->window < 0)
		json_array_clear(t->findings);
	json_array_foreach(findings, i, o) {
		start = msg_int(o, "start", 0) + (int64_t)fl->offset;
		end = msg_int(o, "end", 0) + (int64_t)fl->offset;
		o = json_copy(o);
		msg_set_int(o, "start", start);
		msg_set_int(o, "end", end);
		if (judge_keep(t->findings, o) != 0)
			return (JUDGE_TOO_MANY);
	}
	return (0);
}

/* Note from the answer to a piece how far the part is judged. Text that could
 * still become a finding is held back, but at most fs->hold bytes. */
void
judge_advance(struct judge_part *t, const struct judge_flight *fl,
    const json_t *msg)
{
	size_t	 hold = t->process->set->hold, end = fl->offset + fl->len;
	size_t	 settled = end > hold ? end - hold : 0;
	int64_t	 said = msg_int(msg, "settled", -1);

	if (fl->final)
		settled = end;
	else if (said >= 0 && (uint64_t)said <= fl->len &&
	    fl->offset + (size_t)said > settled)
		settled = fl->offset + (size_t)said;
	t->judged = end;
	t->said = said >= 0 && (uint64_t)said <= fl->len ?
	    fl->offset + (size_t)said : 0;
	t->final = fl->final;
	if (settled > t->settled)
		t->settled = settled;
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
