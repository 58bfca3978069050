/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of abuse_seen.c, which abuse_blob.c writes and reads.
 */
#ifndef ABUSE_SEEN_H
#define ABUSE_SEEN_H

#include "abuse.h"

#define SEEN_BANDS	8u	/* of 8 bits each */
#define SEEN_BUCKETS	256u
#define SEEN_WAYS	8u	/* places of an account in the table of rates */
#define SEEN_NONE	UINT16_MAX

/* One sending. */
struct seen_event {
	uint32_t	 account;	/* a digest of its number */
	uint32_t	 time;		/* seconds */
};

/* Nearly equal prompts, or prompts with the same link. */
struct seen_group {
	uint16_t		 newer, older;	/* in the order of use */
	uint8_t			 link;		/* 1: a link; 0: a prompt */
	uint8_t			 n;		/* events */
	struct seen_event	 event[ABUSE_EVENTS];	/* oldest first */
};

/* How many prompts an account has sent in this span of time and in the one
 * before. */
struct seen_rate {
	uint32_t	 account;	/* 0: a free place */
	uint32_t	 start;		/* seconds: begin of this span */
	uint16_t	 count, before;
};

struct abuse_seen {
	uint16_t		 groups;	/* in use: 0 to groups - 1 */
	uint16_t		 newest, oldest;
	uint64_t		 sign[ABUSE_GROUPS];
	/* Groups whose band has the same 8 bits are in one list. */
	uint16_t		 first[SEEN_BANDS][SEEN_BUCKETS];
	uint16_t		 next[SEEN_BANDS][ABUSE_GROUPS];
	uint16_t		 prev[SEEN_BANDS][ABUSE_GROUPS];
	struct seen_group	 group[ABUSE_GROUPS];
	struct seen_rate	 rate[ABUSE_ACCOUNTS];
};

/* Take a group for a signature, the one that was not used for longest if all
 * are in use, and make it the newest. It has no events yet. */
struct seen_group *seen_take(struct abuse_seen *, uint64_t sign, int link);

/* The place of an account in the table of rates: its own, a free one, or the
 * one that is oldest, which the caller overwrites. */
struct seen_rate *seen_rate_place(struct abuse_seen *, uint32_t account);

#endif
