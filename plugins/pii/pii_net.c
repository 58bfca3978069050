/* SPDX-License-Identifier: Apache-2.0 */
/*
 * E-mail addresses, IP addresses, and passwords in URLs.
 */
#include "pii_impl.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

/* Domains kept for examples and tests (RFC 2606, RFC 6761). */
static const char *const pii_example_domains[] = {
	"example.com", "example.org", "example.net", "example.edu", ".example",
	".test", ".invalid", ".localhost", "localhost", "domain.com",
	"yourdomain.com", "yourcompany.com", "email.com.example",
	"mydomain.com", "users.noreply.github.com"
};

/* Ends of domains in spoken addresses. */
static const char *const pii_ends[] = {
	"com", "org", "net", "edu", "gov", "io", "co", "de", "fr", "uk", "info",
	"biz", "me", "dev", "app", "eu", "us", "ca", "nl", "es", "it", "ch"
};

/* Is a domain of n bytes kept for examples? */
static int
pii_example_domain(const char *t, size_t n)
{
	size_t	i, k;

	for (i = 0; i < sizeof pii_example_domains /
	    sizeof pii_example_domains[0]; i++) {
		k = strlen(pii_example_domains[i]);
		if (n >= k && pii_contains(t + n - k, k,
		    pii_example_domains[i]) && (n == k ||
		    pii_example_domains[i][0] == '.' || t[n - k - 1] == '.'))
			return (1);
	}
	return (0);
}

/* Read a domain from p. Returns its end, p if there is none. */
static size_t
pii_domain(struct pii_in *in, size_t p)
{
	size_t		i = p, dot = 0, label = p;
	unsigned char	c;

	for (; i - p < 255; i++) {
		c = pii_at(in, i);
		if (c == '.' && i > label && pii_is(pii_at(in, i + 1),
		    B_WORD)) {
			dot = i;
			label = i + 1;
		} else if (!pii_is(c, B_WORD) && c != '-' && !(c >= 0x80))
			break;
	}
	if (dot == 0 || i - dot < 3 || !pii_is(pii_at(in, dot + 1), B_LETTER))
		return (p);
	while (i > dot && in->t[i - 1] == '-')
		i--;
	return (i);
}

/* An e-mail address whose first part begins with the word? */
int
pii_email(struct pii_in *in, const struct pii_token *w)
{
	size_t		i = w->p, end;
	unsigned char	c;

	while (i - w->p < 80 && (c = pii_at(in, i)) != 0 && (pii_is(c,
	    B_LOCAL|B_HIGH) || c >= 0x80))
		i++;
	if (pii_at(in, i) != '@' || pii_before(in, i) == '.')
		return (0);
	end = pii_domain(in, i + 1);
	if (end == i + 1 || (pii_at(in, end) == ':' && (pii_is(pii_at(in,
	    end + 1), B_LETTER) || pii_is(pii_at(in, end + 1), B_DIGIT))) ||
	    pii_at(in, end) == '(')
		return (0);
	if (in->more || pii_example_domain(in->t + i + 1, end - i - 1) ||
	    (i - w->p == 3 && memcmp(in->t + w->p, "git", 3) == 0))
		return (0);
	if (pii_contains(in->t + w->p, i - w->p, "noreply") ||
	    pii_contains(in->t + w->p, i - w->p, "no-reply"))
		return (0);
	return (pii_found(in, PII_EMAIL, "pii/email", 0.95, 0, w->p, end));
}

/* The end of a spoken separator ("at", "(at)", " dot ") at p, or p. */
static size_t
pii_spoken(struct pii_in *in, size_t p, const char *word)
{
	size_t	i = p;
	int	bracket;

	while (pii_at(in, i) == ' ' && i < p + 2)
		i++;
	bracket = strchr("([{", pii_at(in, i)) != NULL && pii_at(in, i) != 0;
	if (!bracket && i == p)
		return (p);
	i += (size_t)bracket;
	if (!pii_starts(in, i, word))
		return (p);
	i += strlen(word);
	if (bracket) {
		if (strchr(")]}", pii_at(in, i)) == NULL || pii_at(in, i) == 0)
			return (p);
		i++;
		while (pii_at(in, i) == ' ' && i < p + 12)
			i++;
		return (i);
	}
	return (pii_at(in, i) == ' ' ? i + 1 : p);
}

/* "name at domain dot com"? */
int
pii_spoken_email(struct pii_in *in, const struct pii_token *w)
{
	size_t	i = w->end, k, next, n;

	next = pii_spoken(in, i, "dot");
	for (k = 0; k < 2 && next != i; k++) {
		for (i = next; i < next + 30 && pii_is(pii_at(in, i), B_WORD);
		    i++)
			;
		next = pii_spoken(in, i, "dot");
	}
	next = pii_spoken(in, i, "at");
	if (next == i)
		return (0);
	for (i = next; i < next + 40 && (pii_is(pii_at(in, i), B_ALNUM) ||
	    pii_at(in, i) == '-'); i++)
		;
	if (i == next)
		return (0);
	for (k = 0; k < 3; k++) {
		next = pii_spoken(in, i, "dot");
		if (next == i && pii_at(in, i) == '.' && k == 0 &&
		    in->t[w->end] != ' ')
			next = i + 1;
		if (next == i)
			break;
		for (i = next; i < next + 30 && pii_is(pii_at(in, i), B_ALNUM);
		    i++)
			;
		for (n = 0; n < sizeof pii_ends / sizeof pii_ends[0]; n++)
			if (strlen(pii_ends[n]) == i - next && pii_starts(in,
			    next, pii_ends[n]))
				return (pii_found(in, PII_EMAIL, "pii/email",
				    0.85, 0, w->p, i));
	}
	return (0);
}

/* Add a range such as "192.0.2.0/24" or "2001:db8::/32". */
int
pii_add_range(struct pii *pii, const char *range, struct fault *f)
{
	struct pii_range	*r = &pii->range[pii->ranges];
	char			*copy, *slash, *end = NULL;
	long			 bits = -1;
	int			 ok;

	if (pii->ranges == PII_RANGES)
		return (fault_set(f, "bad_config", "ranges",
		    "ranges: more than %d", PII_RANGES));
	copy = xstrdup(range);
	if ((slash = strchr(copy, '/')) != NULL) {
		*slash = '\0';
		bits = strtol(slash + 1, &end, 10);
	}
	r->v6 = strchr(copy, ':') != NULL;
	ok = inet_pton(r->v6 ? AF_INET6 : AF_INET, copy, r->addr) == 1;
	ok = ok && end != NULL && end != slash + 1 && *end == '\0' &&
	    bits >= 0 && bits <= (r->v6 ? 128 : 32);
	free(copy);
	if (!ok)
		return (fault_set(f, "bad_config", "ranges",
		    "ranges: expected an address, \"/\" and a number of bits, "
		    "such as 192.0.2.0/24, found \"%.60s\"", range));
	r->bits = (int)bits;
	pii->ranges++;
	return (0);
}

/* Is an address in a range that the administrator named? */
static int
pii_in_range(const struct pii *pii, const unsigned char *a, int v6)
{
	const struct pii_range	*r;
	size_t			 i;
	int			 bytes, rest;

	for (i = 0; i < pii->ranges; i++) {
		r = &pii->range[i];
		bytes = r->bits / 8;
		rest = r->bits % 8;
		if (r->v6 == v6 && memcmp(r->addr, a, (size_t)bytes) == 0 &&
		    (rest == 0 || (r->addr[bytes] ^ a[bytes]) >> (8 - rest) ==
		    0))
			return (1);
	}
	return (0);
}

/* Is an IPv4 address private, reserved, for documentation, or that of a public
 * name server?  Source: RFC 6890, RFC 5737. */
static int
pii_special(const unsigned char *a)
{
	return (a[0] == 0 || a[0] == 10 || a[0] == 127 || a[0] >= 224 ||
	    (a[0] == 100 && (a[1] & 0xc0) == 64) ||
	    (a[0] == 169 && a[1] == 254) || (a[0] == 172 && a[1] >= 16 &&
	    a[1] < 32) || (a[0] == 192 && a[1] == 168) ||
	    (a[0] == 192 && a[1] == 0 && (a[2] == 0 || a[2] == 2)) ||
	    (a[0] == 198 && a[1] == 51 && a[2] == 100) ||
	    (a[0] == 198 && (a[1] & 0xfe) == 18) ||
	    (a[0] == 203 && a[1] == 0 && a[2] == 113) ||
	    (a[0] == 8 && a[1] == 8) || (a[0] == 1 && a[2] == 0 &&
	    a[3] == 1) || (a[0] == 9 && a[1] == 9 && a[2] == 9) ||
	    (a[0] == 1 && a[1] == 2 && a[2] == 3 && a[3] == 4));
}

/* An IPv4 address that begins with the word? Not a version. */
int
pii_ipv4(struct pii_in *in, const struct pii_token *w)
{
	unsigned char	a[4], before = pii_before(in, w->p), c;
	unsigned int	v, k, n;
	size_t		i = w->p;

	if (before == '.' || before == '-' || before == '_' ||
	    w->end - w->p > 3)
		return (0);
	for (k = 0; k < 4; k++) {
		for (v = n = 0; pii_is(c = pii_at(in, i), B_DIGIT) && n < 4;
		    i++, n++)
			v = v * 10 + (unsigned int)(c - '0');
		if (n == 0 || n > 3 || v > 255 || (n > 1 && in->t[i - n] ==
		    '0'))
			return (0);
		a[k] = (unsigned char)v;
		if (k < 3 && pii_at(in, i++) != '.')
			return (0);
	}
	c = pii_at(in, i);
	if (pii_is(c, B_WORD) || c == '_' || ((c == '.' || c == '-') &&
	    pii_is(pii_at(in, i + 1), B_ALNUM)))
		return (0);
	if (pii_near(in, W_VERSION, w->p, 24) || (!in->pii->private_too &&
	    pii_special(a)) || pii_in_range(in->pii, a, 0))
		return (0);
	return (pii_found(in, PII_IP, "pii/ip", 0.8, 0, w->p, i));
}

/* An IPv6 address at p? */
int
pii_ipv6(struct pii_in *in, size_t p)
{
	char		text[48];
	unsigned char	a[16], c, before = pii_before(in, p);
	size_t		i, n = 0, groups = 0, run = 0, digits = 0;
	int		gap = 0;

	if (pii_is(before, B_WORD) || before == ':' || before == '.' ||
	    before == '_' || before == '-')
		return (0);
	for (i = p; i - p < 46; i++) {
		c = pii_at(in, i);
		if (pii_is(c, B_HEX)) {
			if (++run > 4)
				return (0);
			groups += run == 1;
			digits += pii_is(c, B_DIGIT);
		} else if (c == ':') {
			gap |= i > p && in->t[i - 1] == ':';
			run = 0;
		} else
			break;
		text[n++] = (char)c;
	}
	if (n > 2 && text[n - 1] == ':' && text[n - 2] != ':')
		n--, i--;
	text[n] = '\0';
	if (pii_is(pii_at(in, i), B_WORD) || pii_at(in, i) == '.' ||
	    pii_at(in, i) == '_') {
		if (pii_at(in, i) != '.' || pii_is(pii_at(in, i + 1), B_WORD))
			return (0);
	}
	if ((groups < 8 && !(gap && groups >= 3 && digits > 0)) ||
	    inet_pton(AF_INET6, text, a) != 1)
		return (0);
	if (!in->pii->private_too && ((a[0] == 0x20 && a[1] == 1 &&
	    a[2] == 0x0d && a[3] == 0xb8) || a[0] >= 0xfc || a[0] == 0 ||
	    (a[0] == 0x3f && a[1] == 0xff) || memcmp(text, "2001:4860:4860::",
	    16) == 0 || memcmp(text, "2606:4700:4700::", 16) == 0))
		return (0);
	if (pii_in_range(in->pii, a, 1))
		return (0);
	return (pii_found(in, PII_IP, "pii/ip", 0.85, 0, p, i));
}

/* A URL that begins with the word and has a password in it? */
int
pii_url(struct pii_in *in, const struct pii_token *w)
{
	size_t		i, user, pass, at;
	unsigned char	c;

	for (i = w->end; i < w->end + 16 && (c = pii_at(in, i)) != 0 &&
	    (pii_is(c, B_ALNUM) || c == '+' || c == '.' || c == '-'); i++)
		;
	if (pii_at(in, i) != ':' || pii_at(in, i + 1) != '/' ||
	    pii_at(in, i + 2) != '/')
		return (0);
	for (user = i += 3; i < user + 100 && (c = pii_at(in, i)) != 0 &&
	    !pii_is(c, B_SPACE) && strchr(":/@\"'<>?#", c) == NULL; i++)
		;
	if (pii_at(in, i) != ':')
		return (0);
	for (pass = ++i; i < pass + 150 && (c = pii_at(in, i)) != 0 &&
	    !pii_is(c, B_SPACE) && strchr("@\"'<>/?", c) == NULL; i++)
		;
	at = i;
	if (pii_at(in, at) != '@' || at - pass < 3 || in->t[pass] == '$' ||
	    in->t[pass] == '{' || in->t[pass] == '%' || in->t[pass] == '*' ||
	    !pii_is(pii_at(in, at + 1), B_WORD))
		return (0);
	if (in->more || pii_placeholder(in, pass, at - pass))
		return (0);
	for (i = pass; i < at && (in->t[i] | 0x20) == 'x'; i++)
		;
	if (i == at || ((at - pass == 8 || at - pass == 4 || at - pass == 6) &&
	    (pii_starts(in, pass, "password") || pii_starts(in, pass,
	    "pass@") || pii_starts(in, pass, "secret"))))
		return (0);
	return (pii_found(in, PII_URL, "pii/url-password", 0.95, 0, pass, at));
}
