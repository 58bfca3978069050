/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending texts to the filter processes. Each process has lanes, one for each
 * account with parts for it. In a turn, one piece of the first part of the
 * first lane is sent; the lane then goes to the end of the queue, and the part
 * to the end of its lane. A process has several pieces at a time, so that it
 * does not idle: at most JUDGE_FLIGHTS, with no more new text in total than one
 * piece may have.
 *
 * The deadline of a piece begins when it becomes the first flight. If a text is
 * late, only that text fails: the process is killed and started again at once,
 * the other flights return to their lanes, and the account of the late text
 * pauses. The same happens if a process crashes on a text.
 */
#include "judge_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "xmalloc.h"

#define JUDGE_FLIGHTS	4		/* pieces in one process at a time */
#define JUDGE_PIECE	512		/* new bytes in a piece */
#define JUDGE_WORD	64		/* it ends after a word, if a word ends
					 * within its last bytes */
#define JUDGE_LONG	16384		/* for each of these bytes in a piece
					 * its deadline is filter.timeout
					 * later */
#define JUDGE_TRIES	3		/* lost processes that a part survives,
					 * if it did not cause the loss */
#define JUDGE_WAIT_MS	5000		/* for a process that is down */
#define JUDGE_PAUSE_MS	1000		/* after a first late text; doubles */
#define JUDGE_PAUSE_MAX	60000
#define JUDGE_FORGET_MS	600000		/* an account is forgotten after this
					 * time without a late text */

static const struct helper_kind judge_kind_check = { "check", NULL, 0 };

static void	judge_answered(void *, json_t *);
static void	judge_late(evutil_socket_t, short, void *);
static void	judge_impatient(evutil_socket_t, short, void *);
static void	judge_woken(evutil_socket_t, short, void *);

/* Arm a timer that is not pending. */
static void
judge_arm(struct event *ev, int64_t ms)
{
	struct timeval	 tv = { ms / 1000, ms % 1000 * 1000 };

	if (!event_pending(ev, EV_TIMEOUT, NULL))
		event_add(ev, &tv);
}

/* ---- accounts that pause */

/* Find the account's entry, or NULL. */
static struct judge_account *
judge_account(const struct filters *fs, uid_t uid)
{
	struct judge_account	*a;

	TAILQ_FOREACH(a, &fs->accounts, entry) {
		if (a->uid == uid)
			break;
	}
	return (a);
}

/* Return the ms that the account must still wait. */
static int64_t
judge_pause(const struct filters *fs, uid_t uid)
{
	const struct judge_account	*a = judge_account(fs, uid);
	int64_t				 now = clock_monotonic();

	return (a != NULL && a->until > now ? a->until - now : 0);
}

/* A text of this account made a process end: the account waits, longer each
 * time. */
static void
judge_blame(struct filters *fs, uid_t uid)
{
	struct judge_account	*a, *next;
	int64_t			 now = clock_monotonic(), ms = JUDGE_PAUSE_MS;
	int			 i;

	for (a = TAILQ_FIRST(&fs->accounts); a != NULL; a = next) {
		next = TAILQ_NEXT(a, entry);
		if (now - a->until <= JUDGE_FORGET_MS)
			continue;
		TAILQ_REMOVE(&fs->accounts, a, entry);
		free(a);
	}
	if ((a = judge_account(fs, uid)) == NULL) {
		a = xcalloc(1, sizeof *a);
		a->uid = uid;
		TAILQ_INSERT_TAIL(&fs->accounts, a, entry);
	}
	for (i = 0; i < a->late && ms < JUDGE_PAUSE_MAX; i++)
		ms *= 2;
	a->late++;
	a->until = now + (ms < JUDGE_PAUSE_MAX ? ms : JUDGE_PAUSE_MAX);
	log_warnx("filters: a text of uid %u made a filter process end; texts "
	    "of that account wait %lld ms", (unsigned)uid,
	    (long long)(a->until - now));
}

/* ---- waiting */

/* Does the process have text of this part to judge? */
static int
judge_wants(const struct judge_part *t)
{
	const struct judge	*j = t->judge;

	return (!t->process->off && !t->final &&
	    (j->len > t->judged || j->final));
}

/* Begin again, if the state of the text was lost with its process. */
void
judge_renew(struct judge_part *t)
{
	struct filters_process	*p = t->process;

	if (t->start == p->starts || t->final)
		return;
	t->start = p->starts;
	t->text_id = 0;
	if (!p->texts || t->judged == 0)
		return;
	t->judge->again = 1;
	t->judged = t->said = 0;
}

/* The text will not be continued: its state can go. */
void
judge_end_text(struct judge_part *t)
{
	struct filters_process	*p = t->process;
	json_t			*m;

	if (!p->texts || t->text_id == 0 || t->final ||
	    t->start != p->starts || p->helper == NULL)
		return;
	m = msg_op("end", -1);
	msg_set_int(m, "text_id", t->text_id);
	helper_notify(p->helper, m);
	t->text_id = 0;
}

/* Remove a part from its lane. */
void
judge_unqueue(struct judge_part *t)
{
	struct judge_lane	*l = t->lane;

	if (l == NULL)
		return;
	t->lane = NULL;
	TAILQ_REMOVE(&l->parts, t, entry);
	if (!TAILQ_EMPTY(&l->parts))
		return;
	TAILQ_REMOVE(&t->process->lanes, l, entry);
	free(l);
}

/* Put a part into its lane. */
void
judge_queue(struct judge_part *t, int first)
{
	struct filters_process	*p = t->process;
	struct judge_lane	*l;

	judge_renew(t);
	if (!judge_wants(t) || t->lane != NULL || t->flight != NULL)
		return;
	if (p->set->retiring)
		return;			/* the successor judges it */
	TAILQ_FOREACH(l, &p->lanes, entry) {
		if (l->uid == t->judge->uid)
			break;
	}
	if (l == NULL) {
		l = xcalloc(1, sizeof *l);
		l->uid = t->judge->uid;
		TAILQ_INIT(&l->parts);
		if (first)
			TAILQ_INSERT_HEAD(&p->lanes, l, entry);
		else
			TAILQ_INSERT_TAIL(&p->lanes, l, entry);
	}
	t->lane = l;
	if (first)
		TAILQ_INSERT_HEAD(&l->parts, t, entry);
	else
		TAILQ_INSERT_TAIL(&l->parts, t, entry);
}

/* ---- sending */

/* Find the start of the character at or before byte i. */
static size_t
judge_character(const char *text, size_t i)
{
	while (i > 0 && (text[i] & 0xc0) == 0x80)
		i--;
	return (i);
}

/* Find an end for a piece that begins at byte "from" and may have JUDGE_PIECE
 * bytes: after the last white space near its end, so that a piece seldom ends
 * inside a word, or else between two characters. */
static size_t
judge_piece_end(const char *text, size_t from)
{
	size_t	 end = judge_character(text, from + JUDGE_PIECE), i;

	for (i = end; i > end - JUDGE_WORD; i--) {
		if (strchr(" \t\r\n", text[i - 1]) != NULL)
			return (i);
	}
	return (end);
}

/* Cut the next piece of a part: earlier text for the plugins, and new text.
 * Returns where the new text begins in the piece. */
static size_t
judge_cut(const struct judge_part *t, struct judge_flight *fl)
{
	const struct judge	*j = t->judge;
	size_t			 window, end = j->len;

	if (t->process->window < 0) {
		fl->offset = 0;
		fl->len = j->len;
		fl->final = j->final;
		return (t->judged);
	}
	window = (size_t)t->process->window;
	fl->offset = t->judged > window ?
	    judge_character(j->text, t->judged - window) : 0;
	if (end - t->judged > JUDGE_PIECE)
		end = judge_piece_end(j->text, t->judged);
	fl->len = end - fl->offset;
	fl->final = j->final && end == j->len;
	return (t->judged - fl->offset);
}

/* Make the request that checks a piece. */
static json_t *
judge_message(const struct judge_part *t, const struct judge_flight *fl,
    size_t fresh)
{
	const struct judge	*j = t->judge;
	json_t			*m = msg_op("check", -1);

	msg_set_string(m, "direction", vocabulary_directions[j->direction]);
	msg_set_text(m, "text", j->text + fl->offset, fl->len);
	if (t->process->window >= 0) {
		msg_set_int(m, "offset", (int64_t)fl->offset);
		msg_set_int(m, "fresh", (int64_t)fresh);
		if (t->said > fl->offset)
			msg_set_int(m, "settled",
			    (int64_t)(t->said - fl->offset));
	}
	if (t->process->texts)
		msg_set_int(m, "text_id", t->text_id);
	msg_set_int(m, "account", j->account);
	if (j->again || (t->process->window < 0 && t->judged > 0))
		msg_set_bool(m, "again", 1);
	if (t->process->context)
		msg_set_string(m, "context", j->context);
	msg_set_bool(m, "final", fl->final);
	return (m);
}

/* Start the deadline of the first flight. */
static void
judge_time(struct filters_process *p)
{
	const struct judge_flight	*fl = TAILQ_FIRST(&p->flights);

	event_del(p->deadline);
	if (fl != NULL)
		judge_arm(p->deadline, (int64_t)p->set->timeout_ms *
		    (1 + (int64_t)(fl->len / JUDGE_LONG)));
}

/* Send the next piece of a part. */
static void
judge_send(struct judge_part *t)
{
	struct filters_process	*p = t->process;
	struct judge_flight	*fl;
	json_t			*m;
	size_t			 fresh;

	fl = xcalloc(1, sizeof *fl);
	fl->process = p;
	fl->part = t;
	fl->uid = t->judge->uid;
	judge_renew(t);
	if (t->text_id == 0)
		t->text_id = ++p->last_text;
	fresh = judge_cut(t, fl);
	m = judge_message(t, fl, fresh);
	t->flight = fl;
	TAILQ_INSERT_TAIL(&p->flights, fl, entry);
	p->nflights++;
	p->flying += fl->len - fresh;
	fl->fresh = fl->len - fresh;
	if (TAILQ_FIRST(&p->flights) == fl)
		judge_time(p);
	helper_request(p->helper, &judge_kind_check, m, 0, 0, judge_answered,
	    fl);
}

/* Find the first lane whose account does not pause. *ms is lowered to the
 * shortest pause of the lanes before it. */
static struct judge_lane *
judge_next(const struct filters_process *p, int64_t *ms)
{
	struct judge_lane	*l;
	int64_t			 pause;

	TAILQ_FOREACH(l, &p->lanes, entry) {
		if ((pause = judge_pause(p->set, l->uid)) == 0)
			break;
		if (pause < *ms)
			*ms = pause;
	}
	return (l);
}

/* May the process have another piece? */
static int
judge_has_room(const struct filters_process *p)
{
	return (p->nflights == 0 || (p->nflights < JUDGE_FLIGHTS &&
	    p->flying < JUDGE_PIECE));
}

/* Send pieces to a process, in the order of turns. */
void
judge_pump(struct filters_process *p)
{
	struct judge_lane	*l;
	struct judge_part	*t;
	int64_t			 ms = JUDGE_PAUSE_MAX;

	if (TAILQ_EMPTY(&p->lanes))
		return;
	if (p->helper == NULL || helper_state(p->helper) != HELPER_READY) {
		judge_arm(p->patience, JUDGE_WAIT_MS);
		return;
	}
	while (judge_has_room(p) &&
	    (l = judge_next(p, &ms)) != NULL) {
		t = TAILQ_FIRST(&l->parts);
		TAILQ_REMOVE(&p->lanes, l, entry);
		TAILQ_INSERT_TAIL(&p->lanes, l, entry);
		judge_unqueue(t);
		judge_send(t);
	}
	if (judge_has_room(p) && !TAILQ_EMPTY(&p->lanes))
		judge_arm(p->wake, ms);
}

/* ---- answers */

/* A process was lost with this piece. The first lost piece counts as the cause,
 * unless the cause is known. */
static void
judge_lost(struct filters_process *p, struct judge_part *t, uid_t uid)
{
	if (!p->losing && !p->set->closing) {
		p->losing = 1;
		judge_blame(p->set, uid);
		tally_error(p, NULL);
		if (t != NULL)
			judge_fail(t->judge, "the filter was lost before its "
			    "verdict");
	} else if (t != NULL && ++t->tries >= JUDGE_TRIES)
		judge_fail(t->judge, "the filter was lost too often before "
		    "its verdict");
	else if (t != NULL) {
		judge_queue(t, 1);
		judge_back(t->judge);
	}
}

/* A text has too many findings. Name the plugin that has the most of them. */
static void
judge_too_many(struct judge_part *t)
{
	struct filters_process	*p = t->process;
	const char		*plugin = judge_most(t);
	char			 why[256];

	log_warnx("%s: no verdict: plugin %s: too many matches in a text",
	    p->name, plugin);
	tally_error(p, plugin);
	snprintf(why, sizeof why, "the filter plugin %s found too many "
	    "matches in this text: send less of it at once", plugin);
	judge_fail(t->judge, why);
}

/* Handle the answer to a piece; NULL: the process was lost. */
static void
judge_answered(void *arg, json_t *msg)
{
	struct judge_flight	*fl = arg, f = *fl;
	struct filters_process	*p = f.process;
	struct judge_part	*t = f.part;
	int			 first = TAILQ_FIRST(&p->flights) == fl, r;

	TAILQ_REMOVE(&p->flights, fl, entry);
	p->nflights--;
	p->flying -= fl->fresh;
	free(fl);
	if (t != NULL)
		t->flight = NULL;
	if (msg == NULL) {
		judge_lost(p, t, f.uid);
		return;
	}
	if (first)
		judge_time(p);
	if (strcmp(msg_string(msg, "event"), "error") == 0) {
		log_warnx("%s: no verdict: %s", p->name,
		    msg_string(msg, "message"));
		tally_error(p, msg_string(msg, "plugin"));
		if (t != NULL)
			judge_fail(t->judge, "the filter gave no verdict");
		judge_pump(p);
		return;
	}
	if (t == NULL) {
		judge_pump(p);
		return;
	}
	r = judge_take(t, &f, json_object_get(msg, "findings"));
	if (r == 0)
		r = judge_lower(t, &f, json_object_get(msg, "lowered"));
	if (r == JUDGE_UNSOUND) {
		p->losing = 1;
		helper_kill(p->helper, "gave an unsound verdict");
		judge_fail(t->judge, "the filter gave no sound verdict");
		return;
	}
	if (r == JUDGE_TOO_MANY) {
		judge_too_many(t);
		judge_pump(p);
		return;
	}
	judge_advance(t, &f, msg);
	saved_later(p);
	judge_queue(t, 0);
	judge_pump(p);
	judge_back(t->judge);
}

/* The first flight is late: only its text fails. */
static void
judge_late(evutil_socket_t fd, short what, void *arg)
{
	struct filters_process	*p = arg;
	struct judge_flight	*fl = TAILQ_FIRST(&p->flights);
	struct judge_part	*t = fl->part;
	char			 why[128];

	(void)fd;
	(void)what;
	snprintf(why, sizeof why, "hung: no verdict on %zu bytes within "
	    "%lld ms", fl->len, (long long)p->set->timeout_ms *
	    (1 + (long long)(fl->len / JUDGE_LONG)));
	judge_blame(p->set, fl->uid);
	fl->part = NULL;
	if (t != NULL)
		t->flight = NULL;
	p->losing = p->expired = 1;
	helper_expire(p->helper, why);
	if (t != NULL)
		judge_fail(t->judge, "the filter gave no verdict in time");
}

/* A pause is over. */
static void
judge_woken(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	judge_pump(arg);
}

/* The process has been down for too long. */
static void
judge_impatient(evutil_socket_t fd, short what, void *arg)
{
	struct filters_process	*p = arg;
	struct judge_lane	*l;
	char			 why[640];

	(void)fd;
	(void)what;
	snprintf(why, sizeof why, "%s is not up: %s", p->name,
	    helper_why(p->helper));
	while (helper_state(p->helper) != HELPER_READY &&
	    (l = TAILQ_FIRST(&p->lanes)) != NULL)
		judge_fail(TAILQ_FIRST(&l->parts)->judge, why);
}

/* ---- processes come and go */

/* Prepare. */
void
judge_process_init(struct filters_process *p)
{
	TAILQ_INIT(&p->lanes);
	TAILQ_INIT(&p->flights);
	p->deadline = evtimer_new(p->set->base, judge_late, p);
	p->patience = evtimer_new(p->set->base, judge_impatient, p);
	p->wake = evtimer_new(p->set->base, judge_woken, p);
}

/* Release; the helper and all judges have gone. */
void
judge_process_clear(struct filters_process *p)
{
	event_free(p->deadline);
	event_free(p->patience);
	event_free(p->wake);
}

/* The process is up: send waiting pieces. */
void
judge_process_up(struct filters_process *p)
{
	event_del(p->patience);
	judge_pump(p);
}

/* The process has ended; its flights have been handled. */
void
judge_process_gone(struct filters_process *p)
{
	p->losing = p->expired = 0;
	p->starts++;
	event_del(p->deadline);
	if (!TAILQ_EMPTY(&p->lanes))
		judge_arm(p->patience, JUDGE_WAIT_MS);
}

/* The process has been switched off: the texts that wait for it pass, or
 * fail. */
void
judge_process_off(struct filters_process *p)
{
	struct judge_lane	*l;
	struct judge_part	*t;

	event_del(p->patience);
	while ((l = TAILQ_FIRST(&p->lanes)) != NULL) {
		t = TAILQ_FIRST(&l->parts);
		judge_unqueue(t);
		judge_report(t->judge);
	}
}
