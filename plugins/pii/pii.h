/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds secrets and personal data in text: hand-written scanners, one pass over
 * the bytes.  The plugin "pii" uses it, and so do its tests.
 */
#ifndef PLUGINS_PII_H
#define PLUGINS_PII_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* The kinds of findings that an option can switch off. */
enum pii_kind {
	PII_CARD, PII_IBAN, PII_BANK, PII_ID, PII_PHONE, PII_EMAIL,
	PII_ADDRESS, PII_IP, PII_BIRTH, PII_KEY, PII_TOKEN, PII_URL,
	PII_SECRET, PII_PASSWORD, PII_KINDS
};

/* What words have been read: one place for each group of words. */
enum pii_word {
	W_CARD, W_PHONE, W_SSN, W_SOCIAL, W_BANK, W_PASSPORT, W_LICENSE,
	W_NATIONAL, W_BIRTH, W_PASS, W_PIN, W_SECRET, W_KEY, W_QUALIFIER,
	W_NOTKEY, W_ADDR, W_HASH, W_NUMBER, W_DOC, W_VERSION, W_CVV,
	W_STREET, W_BEFORE, W_AMBIGUOUS, W_MONTH, W_LIVE, W_WORDS
};

/* The bytes before new text that the search needs, and the longest span. */
#define PII_SPAN_MAX	16384u
#define PII_WINDOW	(PII_SPAN_MAX + 2048u)

/*
 * The search through one text.  All zero at its beginning.  It depends on the
 * text alone, not on the pieces in which it came.
 */
struct pii_scan {
	uint64_t	 pos;			/* all before it is done */
	uint64_t	 word[W_WORDS];		/* end of the last word of each
						 * group; 0: none */
};

/* A finding; start and end are bytes of the piece. */
struct pii_found {
	const char	*rule;		/* static: "pii/card" */
	double		 score;
	int		 proven;	/* a checksum or a fixed format */
	enum pii_kind	 kind;
	size_t		 start, end;
};

/* A piece, as in struct chat_filter_part. */
struct pii_piece {
	const char	*text;
	size_t		 len;
	uint64_t	 offset;
	int		 final;
};

struct pii;

/* Make a search that finds all kinds; never NULL. */
struct pii	*pii_new(void);
void		 pii_free(struct pii *);

/* Switch a kind ("card", "phone") on or off. Returns 0 or CHAT_EFORMAT. */
int	pii_set_kind(struct pii *, const char *name, int on, struct fault *);

/*
 * Leave out IP addresses of the range "192.0.2.0/24", which stands in
 * documentation. Returns 0 or CHAT_EFORMAT. At most 32 ranges.
 */
int	pii_add_range(struct pii *, const char *range, struct fault *);

/* Find private and documentation addresses too. */
void	pii_set_private(struct pii *, int on);

/* The number of known token formats. */
size_t	pii_formats(void);

/*
 * Search a piece.  Calls found for each finding that no more text can change,
 * from left to right, without overlap.  Returns the first byte of the piece
 * that is not decided, len if there is none.
 */
size_t	pii_match(const struct pii *, struct pii_scan *,
	    const struct pii_piece *, void (*found)(void *,
	    const struct pii_found *), void *);

#endif
