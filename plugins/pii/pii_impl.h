/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of plugins/pii.
 *
 * Each scanner looks at one place of the text and says what begins there.  It
 * reads forward only with pii_at, which notes when it was asked for a byte that
 * has not come yet.  Then nothing that the scanner said counts, and the place
 * is tried again with the next piece.  So the findings cannot depend on where
 * the text was cut.
 */
#ifndef PLUGINS_PII_IMPL_H
#define PLUGINS_PII_IMPL_H

#include "pii.h"

/* Classes of bytes. */
#define B_DIGIT		0x01u
#define B_UPPER		0x02u
#define B_LOWER		0x04u
#define B_HIGH		0x08u	/* of a character beyond ASCII */
#define B_SPACE		0x10u
#define B_HEX		0x20u
#define B_RUN		0x40u	/* in a key or token: letters, digits, _-./+ */
#define B_LOCAL		0x80u	/* in the first part of an e-mail address */
#define B_LETTER	(B_UPPER|B_LOWER|B_HIGH)
#define B_ALNUM		(B_DIGIT|B_UPPER|B_LOWER)
#define B_WORD		(B_ALNUM|B_HIGH)

#define PII_RANGES	32
#define PII_SLOTS	2048

struct pii_range {
	unsigned char	 addr[16];	/* IPv4: in the first four bytes */
	int		 bits, v6;
};

struct pii {
	unsigned char	 off[PII_KINDS];
	int		 private_too;
	struct pii_range range[PII_RANGES];
	size_t		 ranges;
	short		 slot[PII_SLOTS];	/* of pii_words, + 1 */
};

/* The piece while it is searched. */
struct pii_in {
	const struct pii	*pii;
	struct pii_scan		*scan;
	const char		*t;
	size_t			 len;
	uint64_t		 offset;
	int			 final;
	int			 more;	/* a byte was needed that is not here */
	struct pii_found	 f;
};

/* A word: letters and digits from p to end. */
struct pii_token {
	size_t		 p, end;
	unsigned int	 digits, uppers, lowers, high;
	uint32_t	 hash;
};

extern const unsigned char pii_class[256];

/* Byte i, or 0 after the end of the text. */
static inline unsigned char
pii_at(struct pii_in *in, size_t i)
{
	if (i < in->len)
		return ((unsigned char)in->t[i]);
	in->more |= !in->final;
	return (0);
}

/* The byte before i, or a newline at the beginning of the text. */
static inline unsigned char
pii_before(const struct pii_in *in, size_t i)
{
	return (i > 0 ? (unsigned char)in->t[i - 1] : '\n');
}

/* Is byte c of one of the classes? */
static inline int
pii_is(unsigned char c, unsigned int classes)
{
	return ((pii_class[c] & classes) != 0);
}

/* Was a word of the group read within n bytes before p? */
static inline int
pii_near(const struct pii_in *in, enum pii_word w, size_t p, size_t n)
{
	uint64_t	at = in->scan->word[w];

	return (at != 0 && in->offset + p - at <= n);
}

/* pii.c: record what was found. Returns 1. */
int	pii_found(struct pii_in *, enum pii_kind, const char *rule,
	    double score, int proven, size_t start, size_t end);

/* pii_words.c */
struct pii_keyword {
	const char	*word;
	uint32_t	 groups;
};
void	pii_words_init(struct pii *);
uint32_t pii_words_find(const struct pii *, const char *word, size_t n,
	    uint32_t hash);
uint32_t pii_words_at(struct pii_in *, size_t p, size_t *end);
int	pii_starts(struct pii_in *, size_t p, const char *lower);
int	pii_contains(const char *text, size_t n, const char *lower);
int	pii_placeholder(const struct pii_in *, size_t p, size_t n);
int	pii_random(const char *text, size_t n);

/* Scanners: 1 if something begins at the word; then in->f says what. */
int	pii_number(struct pii_in *, const struct pii_token *);
int	pii_plus_phone(struct pii_in *, size_t p);
int	pii_iban(struct pii_in *, const struct pii_token *);
int	pii_lettered_id(struct pii_in *, const struct pii_token *);
int	pii_numbered_id(struct pii_in *, const struct pii_token *,
	    const char *digits, size_t n, const char *shape, size_t end);
int	pii_birth(struct pii_in *, const struct pii_token *);
int	pii_phone(struct pii_in *, const struct pii_token *,
	    const char *digits, size_t n, const char *shape, size_t end);
int	pii_email(struct pii_in *, const struct pii_token *);
int	pii_spoken_email(struct pii_in *, const struct pii_token *);
int	pii_ipv4(struct pii_in *, const struct pii_token *);
int	pii_ipv6(struct pii_in *, size_t p);
int	pii_url(struct pii_in *, const struct pii_token *);
int	pii_address_number(struct pii_in *, const struct pii_token *);
int	pii_address_word(struct pii_in *, const struct pii_token *, uint32_t);
int	pii_format(struct pii_in *, const struct pii_token *);
int	pii_pem(struct pii_in *, size_t p);
int	pii_value(struct pii_in *, size_t p);
int	pii_generic(struct pii_in *, const struct pii_token *);

/* pii_check.c: check digits of n decimal digits. */
int	pii_luhn(const char *digits, size_t n);
int	pii_verhoeff(const char *digits, size_t n);
int	pii_weighted(const char *digits, size_t n, const signed char *weights,
	    int modulus);

#endif
