/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin "abuse" looks at how prompts are sent, not at what they say: how
 * many an account sends, and how many nearly equal ones come from one account
 * or from many.
 *
 *  abuse_sign.c    what is kept of a prompt: a signature of 64 bits
 *  abuse_seen.c    fixed tables of what was sent lately, and the counting
 *  abuse_blob.c    the tables as bytes for the next process
 *  abuse_plugin.c  options and findings
 *
 * No text is kept. A signature can't be turned back into one.
 */
#ifndef ABUSE_H
#define ABUSE_H

#include <stddef.h>
#include <stdint.h>

#define ABUSE_TEXT_MAX	4096u	/* bytes of a prompt that are looked at */
#define ABUSE_GROUPS	4096u	/* different prompts that are remembered */
#define ABUSE_EVENTS	64u	/* newest sendings of each of them */
#define ABUSE_ACCOUNTS	4096u	/* accounts whose rate is known */
#define ABUSE_DISTANCE_MAX 7u	/* bits: see abuse_seen.c */

/* Signs of a message meant for many. */
#define ABUSE_LINK	0x1u	/* a link or an address of e-mail */
#define ABUSE_GAP	0x2u	/* a gap to fill in: {name}, [first name] */
#define ABUSE_MANY	0x4u	/* "50 different versions" */

/* What is kept of a prompt. */
struct abuse_sign {
	uint64_t	 text;		/* SimHash of its words */
	uint64_t	 link;		/* hash of its first link, or 0 */
	unsigned	 words;
	unsigned	 signs;		/* ABUSE_LINK, ... */
};

/*
 * Make the signature of the text of len bytes (UTF-8, borrowed), of which the
 * first ABUSE_TEXT_MAX bytes count. Texts that differ in case, look-alikes,
 * punctuation, numbers, links or addresses only have the same signature; each
 * other word that differs changes some bits.
 */
void	 abuse_sign(struct abuse_sign *s, const char *text, size_t len);

/* The limits, from the options. Times are in seconds; 0 accounts, repeats or
 * rate: not looked at. */
struct abuse_limits {
	uint32_t	 accounts, accounts_time;
	uint32_t	 repeats, repeats_time;
	uint32_t	 rate, rate_time;
	uint32_t	 distance;	/* bits, at most ABUSE_DISTANCE_MAX */
	uint32_t	 min_words;
};

/* The counts for one prompt, itself included. */
struct abuse_counts {
	uint32_t	 rate;		/* prompts of the account */
	uint32_t	 repeats;	/* nearly equal ones of the account */
	uint32_t	 accounts;	/* accounts with nearly equal ones */
	uint32_t	 linked;	/* accounts with the same link */
};

/* What was sent lately. Opaque: about 2.5 MiB, of a fixed size. */
struct abuse_seen;

/* Make empty tables (owned by the caller), or release them. */
struct abuse_seen *abuse_seen_new(void);
void	 abuse_seen_free(struct abuse_seen *);

/*
 * Count a prompt of an account (not 0) at the time now, in seconds of a clock
 * that never goes back, and store the counts in *c. With add it is remembered;
 * without it, it is counted as if it were. Counts of what is not looked at are
 * 0. The time is bounded: it does not grow with what is remembered.
 */
void	 abuse_seen_count(struct abuse_seen *, const struct abuse_limits *,
	    const struct abuse_sign *, uint64_t account, uint64_t now, int add,
	    struct abuse_counts *c);

/* The number of different prompts and links that are remembered. */
size_t	 abuse_seen_groups(const struct abuse_seen *);

/*
 * Write the tables into blob, of room bytes: what was sent last, and as much
 * as there is room for. Returns the bytes written.
 */
size_t	 abuse_seen_save(const struct abuse_seen *, void *blob, size_t room);

/*
 * Read what abuse_seen_save has written, into empty tables. Returns 0, or -1
 * with the tables as they were and *why (static) if the blob is of another
 * version, damaged or not sound.
 */
int	 abuse_seen_restore(struct abuse_seen *, const void *blob, size_t len,
	    const char **why);

#endif
