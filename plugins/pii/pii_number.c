/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers: payment cards, bank accounts, social security numbers; telephone
 * numbers are in pii_phone.c, numbers of persons in pii_id.c.
 */
#include "pii_impl.h"

#include <string.h>

/* Issuers: the first digits, from and to, and the numbers of digits.  Sources:
 * the issuers' public descriptions of their ranges (ISO/IEC 7812). Wide ranges
 * need a word such as "card" near them. */
static const struct {
	unsigned char	digits;		/* of from and to */
	unsigned char	least, most;	/* of the whole number */
	unsigned char	word;		/* needs a word */
	unsigned int	from, to;
} pii_issuers[] = {
	{ 1, 16, 16, 0, 4, 4 }, { 1, 13, 13, 1, 4, 4 },
	{ 1, 19, 19, 0, 4, 4 },				/* Visa */
	{ 2, 16, 16, 0, 51, 55 }, { 4, 16, 16, 0, 2221, 2720 },	/* Mastercard */
	{ 2, 15, 15, 0, 34, 34 }, { 2, 15, 15, 0, 37, 37 },	/* Amex */
	{ 3, 14, 19, 0, 300, 305 }, { 2, 14, 19, 0, 36, 36 },
	{ 2, 14, 19, 0, 38, 39 }, { 4, 14, 14, 1, 3095, 3095 },	/* Diners */
	{ 4, 16, 19, 0, 6011, 6011 }, { 3, 16, 19, 0, 644, 649 },
	{ 2, 16, 19, 0, 65, 65 },			/* Discover */
	{ 4, 16, 19, 0, 3528, 3589 }, { 4, 15, 15, 1, 2131, 2131 },
	{ 4, 15, 15, 1, 1800, 1800 },			/* JCB */
	{ 2, 16, 19, 0, 62, 62 },			/* UnionPay */
	{ 4, 16, 19, 0, 2200, 2204 },			/* Mir */
	{ 2, 16, 16, 1, 60, 60 }, { 2, 16, 16, 1, 81, 82 },
	{ 3, 16, 16, 1, 508, 508 },			/* RuPay */
	{ 2, 12, 19, 1, 50, 50 }, { 2, 12, 19, 1, 56, 58 },
	{ 1, 12, 19, 1, 6, 6 },				/* Maestro */
};

/* Numbers that the payment services publish for tests. */
static const char *const pii_test_cards[] = {
	"4111111111111111", "4242424242424242", "4012888888881881",
	"4000056655665556", "4000000000000002", "4000000000009995",
	"4000000000000077", "4000002500003155", "4000000000003220",
	"4000000000000341", "4000000000000069", "4000000000000127",
	"4000000000000119", "4000002760003184", "4222222222222",
	"5555555555554444", "5105105105105100", "5200828282828210",
	"2223003122003222", "5431111111111111", "5454545454545454",
	"5424000000000015", "2222405343248877", "2222990905257051",
	"378282246310005", "371449635398431", "378734493671000",
	"370000000000002", "6011111111111117", "6011000990139424",
	"6011981111111113", "6011000000000012", "3056930009020004",
	"30569309025904", "36227206271667", "38520000023237",
	"3530111333300000", "3566002020360505", "6555900000604105",
	"6200000000000005", "6200000000000047", "6205500000000000004",
	"5019717010103742", "6331101999990016", "5610591081018250",
	"4007000000027", "4012888818888", "6759649826438453",
	"6799990100000000019", "4917610000000000", "4263970000005262",
	"4444333322221111", "4916338506082832", "5146315000000055",
	"4508750015741019", "4462030000000000", "4000000000000000",
	"4005519200000004", "4009348888881881", "4012000033330026",
	"4012000077777777", "4217651111111119", "4500600000000061",
};

/* Is it a word group that was read last, among two? */
static int
pii_later(const struct pii_in *in, enum pii_word a, enum pii_word b)
{
	return (in->scan->word[a] > in->scan->word[b]);
}

/* Does an issuer have such numbers?  2: also without a word near. */
static int
pii_issuer(const char *d, size_t n)
{
	size_t		i, k;
	unsigned int	v;
	int		best = 0;

	for (i = 0; i < sizeof pii_issuers / sizeof pii_issuers[0]; i++) {
		if (n < pii_issuers[i].least || n > pii_issuers[i].most)
			continue;
		for (v = 0, k = 0; k < pii_issuers[i].digits; k++)
			v = v * 10 + (unsigned int)(d[k] - '0');
		if (v >= pii_issuers[i].from && v <= pii_issuers[i].to &&
		    best < 2 - pii_issuers[i].word)
			best = 2 - pii_issuers[i].word;
	}
	return (best);
}

/* A payment card of n digits that ends at end? */
static int
pii_card(struct pii_in *in, size_t p, const char *d, size_t n,
    const char *shape, size_t end)
{
	size_t	i;
	int	word = pii_near(in, W_CARD, p, 64), issuer;
	int	grouped = strncmp(shape, "4 4 4 4", 7) == 0 ||
		    strncmp(shape, "4-4-4-4", 7) == 0 ||
		    strcmp(shape, "4 6 5") == 0 || strcmp(shape, "4-6-5") == 0;

	if (n < 12 || n > 19)
		return (0);
	for (i = 0; i < sizeof pii_test_cards / sizeof pii_test_cards[0]; i++)
		if (strlen(pii_test_cards[i]) == n &&
		    memcmp(pii_test_cards[i], d, n) == 0)
			return (0);
	for (i = 1; i < n && d[i] == d[0]; i++)
		;
	if (i == n)
		return (0);
	if (!word && pii_near(in, W_NUMBER, p, 32))
		return (0);
	if (!word && shape[1] != '\0' && !grouped)
		return (0);
	issuer = pii_issuer(d, n);
	if (issuer == 0)
		return (word && n >= 13 && pii_luhn(d, n) && pii_found(in,
		    PII_CARD, "pii/card", 0.8, 0, p, end));
	if (!pii_luhn(d, n)) {
		if (!word || n < 13 || memcmp(d, "1234", 4) == 0)
			return (0);
		return (pii_found(in, PII_CARD, "pii/card", 0.6, 0, p, end));
	}
	if (issuer == 1 && !word)
		return (0);
	if (!word && !grouped && n != 16 && n != 15)
		return (0);
	return (pii_found(in, PII_CARD, "pii/card", word || grouped ? 1 : 0.9,
	    word || grouped, p, end));
}

/* A United States social security number? */
static int
pii_ssn(struct pii_in *in, size_t p, const char *d, size_t n,
    const char *shape, size_t end)
{
	int	word = pii_near(in, W_SSN, p, 48);
	int	dashes = strcmp(shape, "3-2-4") == 0;

	if (n != 9 || (!dashes && !(word && (strcmp(shape, "9") == 0 ||
	    strcmp(shape, "3 2 4") == 0))))
		return (0);
	if (memcmp(d, "000", 3) == 0 || memcmp(d, "666", 3) == 0 ||
	    d[0] == '9' || memcmp(d + 3, "00", 2) == 0 ||
	    memcmp(d + 5, "0000", 4) == 0)
		return (0);
	if (memcmp(d, "078051120", 9) == 0 || memcmp(d, "219099999", 9) == 0 ||
	    (memcmp(d, "123456789", 9) == 0 && pii_near(in, W_DOC, p, 64)))
		return (0);
	if (!word && (pii_near(in, W_NUMBER, p, 24) ||
	    pii_near(in, W_DOC, p, 24)))
		return (0);
	return (pii_found(in, PII_ID, "pii/us-ssn", word ? 0.95 : 0.85, 0, p,
	    end));
}

/* A number of a bank account, or a routing number, with a word near it? */
static int
pii_bank(struct pii_in *in, size_t p, const char *d, size_t n,
    const char *shape, size_t end)
{
	static const signed char	aba[] = { 3, 7, 1, 3, 7, 1, 3, 7, 1 };

	if (pii_near(in, W_CVV, p, 16) && (n == 3 || n == 4) &&
	    shape[1] == '\0')
		return (pii_found(in, PII_CARD, "pii/card-code", 0.8, 0, p,
		    end));
	if (!pii_near(in, W_BANK, p, 48) || n < 6 || n > 17)
		return (0);
	if (pii_near(in, W_NUMBER, p, 16) && pii_later(in, W_NUMBER, W_BANK))
		return (0);
	if (n == 9 && shape[1] == '\0' && d[0] <= '3' &&
	    pii_weighted(d, n, aba, 10))
		return (pii_found(in, PII_BANK, "pii/bank", 0.9, 0, p, end));
	return (pii_found(in, PII_BANK, "pii/bank", 0.8, 0, p, end));
}

/* Read groups of digits with single separators. Returns the end. */
static size_t
pii_digits(struct pii_in *in, size_t p, char *d, size_t *n, char *shape)
{
	size_t		i = p, group = 0, k = 0;
	unsigned char	c;

	for (*n = 0; *n < 32; i++) {
		c = pii_at(in, i);
		if (pii_is(c, B_DIGIT)) {
			d[(*n)++] = (char)c;
			group++;
			continue;
		}
		shape[k++] = (char)('0' + group);
		if (k > 24 || c == 0 || strchr(" -./", c) == NULL ||
		    !pii_is(pii_at(in, i + 1), B_DIGIT))
			goto out;
		shape[k++] = (char)c;
		group = 0;
	}
	shape[k++] = (char)('0' + group);
out:
	d[*n] = '\0';
	shape[k] = '\0';
	return (i);
}

/* Is it a date, or a date and a time? */
static int
pii_is_date(const char *shape, const char *d)
{
	size_t	year = strncmp(shape, "4-", 2) == 0 ||
		    strncmp(shape, "4/", 2) == 0 ||
		    strncmp(shape, "4.", 2) == 0;

	if (year && strlen(shape) >= 5 && shape[2] <= '2' &&
	    shape[3] == shape[1] && shape[4] <= '2')
		return (d[4] <= '1' || shape[2] == '1');
	return (strlen(shape) >= 5 && shape[0] <= '2' && shape[2] <= '2' &&
	    shape[4] == '4' && shape[1] == shape[3] && shape[1] != ' ');
}

/* Take the number apart at its groups, for a card with more digits after. */
static int
pii_card_part(struct pii_in *in, size_t p, const char *d, const char *shape)
{
	size_t	i, n = 0, at = p;
	char	part[40];

	if (strlen(shape) < 9)
		return (0);
	for (i = 0; shape[i] != '\0'; i += 2) {
		n += (size_t)(shape[i] - '0');
		at += (size_t)(shape[i] - '0');
		memcpy(part, shape, i + 1);
		part[i + 1] = '\0';
		if (n >= 15 && n <= 16 && pii_near(in, W_CARD, p, 64) &&
		    pii_luhn(d, n) && pii_card(in, p, d, n, part, at))
			return (1);
		if (shape[i + 1] == '\0')
			break;
		at++;
	}
	return (0);
}

/* A number that begins with the word. */
int
pii_number(struct pii_in *in, const struct pii_token *w)
{
	char		d[40], shape[40];
	size_t		n, end, p = w->p;
	unsigned char	before = pii_before(in, p), next;

	if (before == '/' || before == '@')
		return (pii_ipv4(in, w));
	if (pii_ipv4(in, w) || pii_ipv6(in, p))
		return (1);
	if (strchr("-._,$#", before) != NULL && p > 1 && (before == '_' ||
	    before == '-' || pii_is((unsigned char)in->t[p - 2], B_DIGIT)))
		return (0);
	end = pii_digits(in, p, d, &n, shape);
	next = pii_at(in, end);
	if (in->more)
		return (0);
	if (pii_birth(in, w))
		return (1);
	if (pii_is(next, B_LETTER) || next == '_') {
		if (next != 'x' || !pii_is(pii_at(in, end + 1), B_DIGIT))
			return (pii_numbered_id(in, w, d, n, shape, end));
	}
	if (pii_is_date(shape, d) || pii_is_date(shape + 2 * (shape[1] == ' '),
	    d) || (next == '%'))
		return (0);
	return (pii_card(in, p, d, n, shape, end) ||
	    pii_card_part(in, p, d, shape) ||
	    pii_ssn(in, p, d, n, shape, end) ||
	    pii_numbered_id(in, w, d, n, shape, end) ||
	    (pii_later(in, W_BANK, W_PHONE) &&
	    pii_bank(in, p, d, n, shape, end)) ||
	    pii_phone(in, w, d, n, shape, end) ||
	    pii_bank(in, p, d, n, shape, end));
}
