/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private keys in their text forms.
 */
#include "pii_impl.h"

#include <string.h>

/* A private key that begins with "-----BEGIN" at p?  Without its end in the
 * next PII_SPAN_MAX bytes it goes as far as its characters do. */
int
pii_pem(struct pii_in *in, size_t p)
{
	static const char *const kinds[] = { "PRIVATE KEY-----",
		"PRIVATE KEY BLOCK-----" };
	size_t		i, k, body, end = 0;
	unsigned char	c;
	int		line;

	if (pii_before(in, p) == '-')
		return (0);
	for (k = 0; k < 11; k++)
		if (pii_at(in, p + k) != (unsigned char)"-----BEGIN "[k])
			return (0);
	for (i = p + 11; i < p + 60; i++) {
		c = pii_at(in, i);
		for (k = 0; k < 2 && end == 0; k++) {
			if (c == 'P' && pii_starts(in, i, k == 0 ?
			    "private key-----" : "private key block-----"))
				end = i + strlen(kinds[k]);
		}
		if (end != 0 || (!pii_is(c, B_UPPER|B_DIGIT) && c != ' '))
			break;
	}
	if (end == 0)
		return (0);
	body = end;
	while (pii_is(pii_at(in, body), B_SPACE) && body < end + 8)
		body++;
	if (pii_at(in, body) == '\\')
		body += 2;
	for (k = 0; k < 16 && (pii_is(pii_at(in, body + k), B_ALNUM) ||
	    strchr("+/=", pii_at(in, body + k)) != NULL) &&
	    pii_at(in, body + k) != 0; k++)
		;
	if (k < 16 && !pii_starts(in, body, "proc-type:") &&
	    !pii_starts(in, body, "version:") && !pii_starts(in, body,
	    "comment:"))
		return (0);
	line = pii_at(in, body + k) == '-' || k < 16;
	for (i = body; i < p + PII_SPAN_MAX - 64; i++) {
		c = pii_at(in, i);
		if (c == '-' && pii_at(in, i + 1) == '-' && pii_at(in, i + 2) ==
		    '-' && pii_at(in, i + 3) == '-') {
			for (k = 0; k < 48 && pii_at(in, i + k) != '\n' &&
			    pii_at(in, i + k) != 0; k++)
				;
			end = i + k;
			break;
		}
		line = c == ':' || (line && c != '\n');
		if (c == ' ' && !line) {
			for (k = 1; k < 17 && pii_is(pii_at(in, i + k),
			    B_RUN); k++)
				;
			if (k < 17 && pii_at(in, i + 1) != '-')
				break;
		}
		if (!pii_is(c, B_ALNUM|B_SPACE) && strchr("+/=:,-\\.()_",
		    c) == NULL)
			break;
		if (c == 0)
			break;
		if (!pii_is(c, B_SPACE))
			end = i + 1;
	}
	if (in->more)
		return (0);
	if (end - body > 24 && pii_contains(in->t + body, end - body < 120 ?
	    end - body : 120, "..."))
		return (0);
	return (pii_found(in, PII_KEY, "pii/private-key", 1, 1, p, end));
}
