/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was sent lately, in tables of a fixed size.
 *
 * Signatures that differ in at most ABUSE_DISTANCE_MAX of their 64 bits have at
 * least one of 8 bands of 8 bits in common. So eight lists have every signature
 * that is near, and few others. A prompt joins the nearest group; the
 * signature of a group is that of its first prompt.
 */
#include "abuse_seen.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define SEEN_WALK	256u	/* entries of one list that are compared */
#define SEEN_OWN	32u	/* events of one account in a group */

_Static_assert(SEEN_BANDS > ABUSE_DISTANCE_MAX, "a band in common");
_Static_assert(ABUSE_GROUPS < SEEN_NONE, "numbers of groups");

/* Make empty tables. */
struct abuse_seen *
abuse_seen_new(void)
{
	struct abuse_seen	*s = xcalloc(1, sizeof *s);

	s->newest = s->oldest = SEEN_NONE;
	memset(s->first, 0xff, sizeof s->first);
	return (s);
}

/* Release them. */
void
abuse_seen_free(struct abuse_seen *s)
{
	free(s);
}

/* The number of groups. */
size_t
abuse_seen_groups(const struct abuse_seen *s)
{
	return (s->groups);
}

/* The bits of a band. */
static unsigned
seen_band(uint64_t sign, unsigned band)
{
	return (sign >> (8 * band) & 0xff);
}

/* Make a group the newest; it is in no order now. */
static void
seen_push(struct abuse_seen *s, uint16_t g)
{
	s->group[g].newer = SEEN_NONE;
	s->group[g].older = s->newest;
	if (s->newest != SEEN_NONE)
		s->group[s->newest].newer = g;
	else
		s->oldest = g;
	s->newest = g;
}

/* Take a group out of the order. */
static void
seen_pull(struct abuse_seen *s, uint16_t g)
{
	struct seen_group	*gr = &s->group[g];

	if (gr->newer != SEEN_NONE)
		s->group[gr->newer].older = gr->older;
	else
		s->newest = gr->older;
	if (gr->older != SEEN_NONE)
		s->group[gr->older].newer = gr->newer;
	else
		s->oldest = gr->newer;
}

/* Take the oldest group out of all lists. */
static uint16_t
seen_evict(struct abuse_seen *s)
{
	uint16_t	 g = s->oldest, next, prev;
	unsigned	 b;

	seen_pull(s, g);
	for (b = 0; b < SEEN_BANDS; b++) {
		next = s->next[b][g];
		prev = s->prev[b][g];
		if (next != SEEN_NONE)
			s->prev[b][next] = prev;
		if (prev != SEEN_NONE)
			s->next[b][prev] = next;
		else
			s->first[b][seen_band(s->sign[g], b)] = next;
	}
	return (g);
}

/* Take a group. */
struct seen_group *
seen_take(struct abuse_seen *s, uint64_t sign, int link)
{
	uint16_t	 g, *first;
	unsigned	 b;

	g = s->groups < ABUSE_GROUPS ? s->groups++ : seen_evict(s);
	s->sign[g] = sign;
	s->group[g].link = link != 0;
	s->group[g].n = 0;
	for (b = 0; b < SEEN_BANDS; b++) {
		first = &s->first[b][seen_band(sign, b)];
		s->next[b][g] = *first;
		s->prev[b][g] = SEEN_NONE;
		if (*first != SEEN_NONE)
			s->prev[b][*first] = g;
		*first = g;
	}
	seen_push(s, g);
	return (&s->group[g]);
}

/* Find the nearest group within a distance, or NULL. */
static struct seen_group *
seen_find(struct abuse_seen *s, uint64_t sign, int link, unsigned distance)
{
	struct seen_group	*found = NULL;
	uint16_t		 g;
	unsigned		 b, d, walk;

	for (b = 0; b < SEEN_BANDS; b++) {
		walk = 0;
		for (g = s->first[b][seen_band(sign, b)];
		    g != SEEN_NONE && walk++ < SEEN_WALK;
		    g = s->next[b][g]) {
			d = (unsigned)__builtin_popcountll(s->sign[g] ^ sign);
			if (d > distance || s->group[g].link != link)
				continue;
			found = &s->group[g];
			if (d == 0)
				return (found);
			distance = d - 1;
		}
	}
	return (found);
}

/* Add an event. If there is no room, the oldest of the account goes if it has
 * many, or else the oldest of all, so that one account can't hide others. */
static void
seen_note(struct abuse_seen *s, struct seen_group *gr, uint32_t account,
    uint32_t now)
{
	unsigned	 i, own = 0, out = gr->n;

	for (i = gr->n; i-- > 0; ) {
		if (gr->event[i].account == account) {
			own++;
			out = i;
		}
	}
	if (own >= SEEN_OWN || gr->n == ABUSE_EVENTS) {
		if (own < SEEN_OWN)
			out = 0;
		gr->n--;
		memmove(&gr->event[out], &gr->event[out + 1],
		    (gr->n - out) * sizeof gr->event[0]);
	}
	gr->event[gr->n].account = account;
	gr->event[gr->n++].time = now;
	seen_pull(s, (uint16_t)(gr - s->group));
	seen_push(s, (uint16_t)(gr - s->group));
}

/* Was it at most span seconds ago? */
static int
seen_recent(const struct seen_event *e, uint32_t now, uint32_t span)
{
	return (e->time <= now && now - e->time <= span);
}

/* Count the events of an account within a time. */
static uint32_t
seen_own(const struct seen_group *gr, uint32_t account, uint32_t now,
    uint32_t span)
{
	uint32_t	 n = 0;
	unsigned	 i;

	for (i = 0; i < gr->n; i++)
		n += gr->event[i].account == account &&
		    seen_recent(&gr->event[i], now, span);
	return (n);
}

/* Count the accounts other than this one within a time. */
static uint32_t
seen_others(const struct seen_group *gr, uint32_t account, uint32_t now,
    uint32_t span)
{
	uint32_t	 seen[ABUSE_EVENTS], n = 0, k;
	unsigned	 i;

	for (i = 0; i < gr->n; i++) {
		if (gr->event[i].account == account ||
		    !seen_recent(&gr->event[i], now, span))
			continue;
		for (k = 0; k < n && seen[k] != gr->event[i].account; k++)
			;
		if (k == n)
			seen[n++] = gr->event[i].account;
	}
	return (n);
}

/* The place of an account. */
struct seen_rate *
seen_rate_place(struct abuse_seen *s, uint32_t account)
{
	struct seen_rate	*r, *out;
	unsigned		 i;

	r = &s->rate[account % (ABUSE_ACCOUNTS / SEEN_WAYS) * SEEN_WAYS];
	out = r;
	for (i = 0; i < SEEN_WAYS; i++) {
		if (r[i].account == account)
			return (&r[i]);
		if (out->account != 0 && (r[i].account == 0 ||
		    r[i].start < out->start))
			out = &r[i];
	}
	return (out);
}

/* Count the prompts of an account in the last span seconds, this one included:
 * those of the span before count in part. */
static uint32_t
seen_rate(struct abuse_seen *s, uint32_t account, uint32_t now, uint32_t span,
    int add)
{
	struct seen_rate	 copy, *r = seen_rate_place(s, account);
	uint64_t		 before;

	if (!add) {
		copy = *r;
		r = &copy;
	}
	if (r->account != account || r->start > now ||
	    now - r->start >= 2 * span)
		*r = (struct seen_rate){ account, now, 0, 0 };
	if (now - r->start >= span) {
		r->before = r->count;
		r->count = 0;
		r->start += span;
	}
	if (r->count < UINT16_MAX)
		r->count++;
	before = (uint64_t)r->before * (span - (now - r->start)) / span;
	return (r->count + (uint32_t)before);
}

/* A digest of the number of an account, never 0. */
static uint32_t
seen_digest(uint64_t account)
{
	account *= UINT64_C(0x9e3779b97f4a7c15);
	account ^= account >> 32;
	return ((uint32_t)account == 0 ? 1 : (uint32_t)account);
}

/* Count a prompt. */
void
abuse_seen_count(struct abuse_seen *s, const struct abuse_limits *lim,
    const struct abuse_sign *sign, uint64_t account, uint64_t time, int add,
    struct abuse_counts *c)
{
	struct seen_group	*gr;
	uint32_t		 who = seen_digest(account);
	uint32_t		 now = (uint32_t)time;

	memset(c, 0, sizeof *c);
	if (lim->rate > 0)
		c->rate = seen_rate(s, who, now, lim->rate_time, add);
	if (sign->words >= lim->min_words &&
	    (lim->repeats > 0 || lim->accounts > 0)) {
		gr = seen_find(s, sign->text, 0, lim->distance);
		if (gr != NULL && lim->repeats > 0)
			c->repeats = seen_own(gr, who, now, lim->repeats_time);
		if (gr != NULL && lim->accounts > 0)
			c->accounts = seen_others(gr, who, now,
			    lim->accounts_time);
		c->repeats += lim->repeats > 0;
		c->accounts += lim->accounts > 0;
		if (add)
			seen_note(s, gr != NULL ? gr :
			    seen_take(s, sign->text, 0), who, now);
	}
	if (sign->link != 0 && lim->accounts > 0) {
		gr = seen_find(s, sign->link, 1, 0);
		c->linked = 1;
		if (gr != NULL)
			c->linked += seen_others(gr, who, now,
			    lim->accounts_time);
		if (add)
			seen_note(s, gr != NULL ? gr :
			    seen_take(s, sign->link, 1), who, now);
	}
}
