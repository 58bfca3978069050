/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of known services, by their published formats.
 */
#include "pii_impl.h"

#include <string.h>

#define A_UPPER		0x001u
#define A_LOWER		0x002u
#define A_DIGIT		0x004u
#define A_HEX		0x008u		/* with small letters */
#define A_URL		0x010u		/* - and _ */
#define A_B64		0x020u		/* + / = */
#define A_DOT		0x040u
#define A_EQUAL		0x080u
#define A_PERCENT	0x100u
#define A_DOLLAR	0x200u
#define A_LETTERS	(A_UPPER|A_LOWER)

struct pii_token_format {
	const char	*rule, *prefix;
	unsigned int	 alphabet;
	unsigned short	 least, most;
};

static const struct pii_token_format pii_table[] = {
#include "formats.inc"
};
#define PII_FORMATS	(sizeof pii_table / sizeof pii_table[0])

/* Formats that have a function: Telegram, Discord, Mailchimp, JWT, Azure AD,
 * Azure storage, Slack webhooks, bearer and basic. */
#define PII_SPECIAL	8

/* The number of known token formats. */
size_t
pii_formats(void)
{
	return (PII_FORMATS + PII_SPECIAL);
}

/* Is byte c in the alphabet? */
static int
pii_in_alphabet(unsigned char c, unsigned int a)
{
	return ((pii_is(c, B_UPPER) && (a & A_UPPER)) ||
	    (pii_is(c, B_LOWER) && (a & A_LOWER)) ||
	    (pii_is(c, B_DIGIT) && (a & (A_DIGIT|A_HEX))) ||
	    (pii_is(c, B_HEX) && (c >= 'a') && (a & A_HEX)) ||
	    ((c == '-' || c == '_') && (a & A_URL)) ||
	    ((c == '+' || c == '/' || c == '=') && (a & A_B64)) ||
	    (c == '.' && (a & A_DOT)) || (c == '=' && (a & A_EQUAL)) ||
	    (c == '%' && (a & A_PERCENT)) || (c == '$' && (a & A_DOLLAR)));
}

/* The end of the characters of an alphabet from p, at most n. */
static size_t
pii_span(struct pii_in *in, size_t p, unsigned int alphabet, size_t n)
{
	size_t	i = p;

	while (i - p < n && pii_in_alphabet(pii_at(in, i), alphabet))
		i++;
	return (i);
}

/* Does the format fit at p? */
static int
pii_format_at(struct pii_in *in, const struct pii_token_format *f, size_t p)
{
	size_t		k = strlen(f->prefix), end, i;

	for (i = 1; i < k; i++)
		if (pii_at(in, p + i) != (unsigned char)f->prefix[i])
			return (0);
	end = pii_span(in, p + k, f->alphabet, (size_t)f->most + 1);
	while (end > p + k && (in->t[end - 1] == '.' || in->t[end - 1] == '-'))
		end--;
	if (end - p - k < f->least || end - p - k > f->most ||
	    pii_is(pii_at(in, end), B_ALNUM))
		return (0);
	if (in->more || pii_placeholder(in, p, end - p))
		return (0);
	if (k < 4 && !pii_random(in->t + p + k, end - p - k))
		return (0);
	return (pii_found(in, PII_TOKEN, f->rule, 1, k >= 4, p, end));
}

/* Decode a character of base64url; 64 if it is none. */
static unsigned int
pii_decode(unsigned char c)
{
	return (c >= 'A' && c <= 'Z' ? c - 'A' + 0u : c >= 'a' && c <= 'z' ?
	    c - 'a' + 26u : c >= '0' && c <= '9' ? c - '0' + 52u :
	    c == '-' || c == '+' ? 62 : c == '_' || c == '/' ? 63 : 64);
}

/* A JSON Web Token: its header is an object that has "alg" or "typ". */
static int
pii_jwt(struct pii_in *in, size_t p)
{
	char		header[200];
	size_t		i, a, b, n = 0;
	uint32_t	v = 0;

	a = pii_span(in, p, A_LETTERS|A_DIGIT|A_URL, 2000);
	if (pii_at(in, a) != '.' || a - p < 12)
		return (0);
	b = pii_span(in, a + 1, A_LETTERS|A_DIGIT|A_URL, 4000);
	if (pii_at(in, b) != '.' || b - a < 5)
		return (0);
	i = pii_span(in, b + 1, A_LETTERS|A_DIGIT|A_URL, 4000);
	if (in->more)
		return (0);
	for (; p + n / 3 * 4 + 4 <= a && n + 3 < sizeof header; n += 3) {
		const unsigned char *t = (const unsigned char *)in->t + p +
		    n / 3 * 4;

		v = pii_decode(t[0]) << 18 | pii_decode(t[1]) << 12 |
		    pii_decode(t[2]) << 6 | pii_decode(t[3]);
		header[n] = (char)(v >> 16);
		header[n + 1] = (char)(v >> 8);
		header[n + 2] = (char)v;
	}
	if (!pii_contains(header, n, "\"alg\"") && !pii_contains(header, n,
	    "\"typ\"") && !pii_contains(header, n, "\"kid\""))
		return (0);
	return (!pii_placeholder(in, p, i - p) && pii_found(in, PII_TOKEN,
	    "pii/token-jwt", 1, 1, p, i));
}

/* Formats that a prefix does not describe. */
static int
pii_format_special(struct pii_in *in, const struct pii_token *w)
{
	size_t		p = w->p, i, k;
	unsigned char	c = pii_at(in, w->end);

	if (w->digits == w->end - p && c == ':' && w->digits >= 8 &&
	    w->digits <= 10) {			/* Telegram bots */
		i = pii_span(in, w->end + 1, A_LETTERS|A_DIGIT|A_URL, 36);
		if (i - w->end - 1 == 35 && !in->more && pii_random(in->t +
		    w->end + 1, 35) && !pii_placeholder(in, p, i - p))
			return (pii_found(in, PII_TOKEN, "pii/token-telegram",
			    1, 1, p, i));
	}
	if (strchr("MNO", in->t[p]) != NULL && w->end - p >= 20) {
		i = pii_span(in, p, A_LETTERS|A_DIGIT|A_URL, 30);
		k = pii_span(in, i + 1, A_LETTERS|A_DIGIT|A_URL, 8);
		if (pii_at(in, i) == '.' && k == i + 7 && pii_at(in, k) == '.')
		{				/* Discord bots */
			i = pii_span(in, k + 1, A_LETTERS|A_DIGIT|A_URL, 46);
			if (i - k - 1 >= 27 && !in->more &&
			    !pii_placeholder(in, p, i - p))
				return (pii_found(in, PII_TOKEN,
				    "pii/token-discord", 1, 1, p, i));
		}
	}
	if (c == '-' && w->end - p == 32 && pii_span(in, p, A_HEX, 32) ==
	    w->end && pii_starts(in, w->end, "-us")) {	/* Mailchimp */
		i = pii_span(in, w->end + 3, A_DIGIT, 3);
		if (i > w->end + 3 && !pii_is(pii_at(in, i), B_WORD))
			return (pii_found(in, PII_TOKEN, "pii/token-mailchimp",
			    1, 1, p, i));
	}
	if (in->t[p] == 'e' && w->end - p >= 3 && in->t[p + 1] == 'y' &&
	    in->t[p + 2] == 'J' && pii_jwt(in, p))
		return (1);
	if (w->end - p >= 5 && w->end - p < 10 && c == '~' && w->end >= 2 &&
	    in->t[w->end - 1] == 'Q') {		/* Azure AD: 3 chars, 8Q~ */
		i = pii_span(in, w->end + 1, A_LETTERS|A_DIGIT|A_URL|A_DOT,
		    40);
		if (i - w->end >= 32 && !in->more)
			return (pii_found(in, PII_TOKEN, "pii/token-azure", 1,
			    1, p, i));
	}
	if (pii_starts(in, p, "accountkey=") || pii_starts(in, p,
	    "sharedaccesskey=")) {
		for (i = p; in->t[i] != '='; i++)
			;
		k = pii_span(in, i + 1, A_LETTERS|A_DIGIT|A_B64, 120);
		if (k - i >= 40 && !in->more && !pii_placeholder(in, i + 1,
		    k - i - 1))
			return (pii_found(in, PII_TOKEN, "pii/token-azure", 1,
			    1, i + 1, k));
	}
	if (pii_starts(in, p, "hooks.slack.com/services/t") ||
	    pii_starts(in, p, "hooks.slack.com/workflows/t") ||
	    pii_starts(in, p, "discord.com/api/webhooks/") ||
	    pii_starts(in, p, "discordapp.com/api/webhooks/")) {
		i = pii_span(in, p, A_LETTERS|A_DIGIT|A_B64|A_URL|A_DOT, 200);
		if (i - p >= 60 && !in->more && !pii_placeholder(in, p, i - p))
			return (pii_found(in, PII_TOKEN, in->t[p] == 'h' ?
			    "pii/token-slack" : "pii/token-discord", 1, 1, p,
			    i));
	}
	return (0);
}

/* A token of a known service that begins with the word? */
int
pii_format(struct pii_in *in, const struct pii_token *w)
{
	size_t		i;
	unsigned char	before = pii_before(in, w->p);
	char		first = in->t[w->p];

	if (before == '_' || w->high == w->end - w->p)
		return (0);
	for (i = 0; i < PII_FORMATS; i++)
		if (pii_table[i].prefix[0] == first &&
		    pii_format_at(in, &pii_table[i], w->p))
			return (1);
	return (pii_format_special(in, w));
}
