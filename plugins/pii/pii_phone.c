/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telephone numbers: international ones, national ones that their grouping
 * shows, and others beside a word such as "phone".
 */
#include "pii_impl.h"

#include <string.h>

/* Is it a number kept for fiction: 555-0100 to 555-0199? */
static int
pii_phone_fiction(const char *d, size_t n)
{
	return (n >= 7 && memcmp(d + n - 7, "55501", 5) == 0);
}

/* Is it a number that belongs to no person: one whose calls are free for the
 * caller (North America), or a switchboard of a government that is published
 * for everyone? */
static int
pii_phone_public(const char *d, size_t n)
{
	static const char *const starts[] = { "800", "833", "844", "855",
		"866", "877", "888", "2024561111", "2024561414",
		"2022243121" };
	size_t	i;

	if (n == 11 && d[0] == '1') {
		d++;
		n--;
	}
	for (i = 0; n == 10 && i < sizeof starts / sizeof starts[0]; i++)
		if (strncmp(d, starts[i], strlen(starts[i])) == 0)
			return (1);
	return (0);
}

/* The end of an extension ("x036", "ext. 5") after end. */
static size_t
pii_phone_extension(struct pii_in *in, size_t end)
{
	size_t	i = end;

	if (pii_at(in, i) == ' ')
		i++;
	if (pii_starts(in, i, "ext"))
		i += 3;
	else if ((pii_at(in, i) | 0x20) == 'x')
		i++;
	else
		return (end);
	while (pii_at(in, i) == '.' || pii_at(in, i) == ' ')
		i++;
	if (!pii_is(pii_at(in, i), B_DIGIT))
		return (end);
	for (end = i; end < i + 6 && pii_is(pii_at(in, end), B_DIGIT); end++)
		;
	return (end);
}

/* Report, unless the number is kept for fiction or belongs to no person; one
 * with an extension may. */
static int
pii_phone_found(struct pii_in *in, const char *d, size_t n, double score,
    size_t p, size_t end)
{
	size_t	full = pii_phone_extension(in, end);

	if (pii_phone_fiction(d, n) || (full == end && pii_phone_public(d, n)))
		return (0);
	end = full;
	return (pii_found(in, PII_PHONE, "pii/phone", score, 0, p, end));
}

/* Does a word such as "office" or "mobile" follow? */
static int
pii_phone_label(struct pii_in *in, size_t end)
{
	static const char *const labels[] = { "office", "mobile", "fax",
		"cell", "desk", "home", "work", "tel", "phone" };
	size_t	i;

	if (strchr(" -(,", pii_at(in, end)) == NULL || pii_at(in, end) == 0)
		return (0);
	end++;
	if (pii_at(in, end) == '(')
		end++;
	for (i = 0; i < sizeof labels / sizeof labels[0]; i++)
		if (pii_starts(in, end, labels[i]) &&
		    !pii_is(pii_at(in, end + strlen(labels[i])), B_WORD))
			return (1);
	return (0);
}

/* A telephone number without + of n digits? */
int
pii_phone(struct pii_in *in, const struct pii_token *w, const char *d,
    size_t n, const char *shape, size_t end)
{
	static const char *const us[] = { "3-3-4", "3.3.4", "3 3 4", "3 3-4",
		"3/3-4", "3-3 4" };
	const char	*s = shape;
	const char	*area = d;
	size_t		 i;
	int		 word, number;

	if (n < 7 || n > 14 || pii_before(in, w->p) == '$')
		return (0);
	word = pii_near(in, W_PHONE, w->p, 48);
	number = pii_near(in, W_NUMBER, w->p, 24) && (!word ||
	    in->scan->word[W_NUMBER] > in->scan->word[W_PHONE]);
	if (number)
		return (0);
	if (strncmp(s, "1-", 2) == 0 || strncmp(s, "1 ", 2) == 0 ||
	    strncmp(s, "1.", 2) == 0)
		s += 2, area = d + 1;
	else if (strncmp(s, "3-3-3-4", 7) == 0 && memcmp(d, "001", 3) == 0)
		s += 2, area = d + 3;
	for (i = 0; i < sizeof us / sizeof us[0]; i++) {
		if (strcmp(s, us[i]) != 0 || (s != shape && area == d + 1 &&
		    d[0] != '1'))
			continue;
		if (area[0] >= '2' && area[3] >= '2')
			return (pii_phone_found(in, d, n, us[i][1] == ' ' &&
			    !word ? 0.6 : 0.85, w->p, end));
		if (s != shape || us[i][1] != ' ' || word)
			return (pii_phone_found(in, d, n, word ? 0.85 : 0.6,
			    w->p, end));
	}
	if (word && (strlen(shape) > 1 || n >= 7))
		return (pii_phone_found(in, d, n, 0.85, w->p, end));
	if (strlen(shape) < 3)
		return (0);
	if (d[0] == '0' && d[1] != '0' && n >= 9 && n <= 11 &&
	    shape[0] >= '2' && shape[0] <= '5' && strchr(shape, '.') == NULL)
		return (pii_phone_found(in, d, n, 0.65, w->p, end));
	if (pii_phone_label(in, end))
		return (pii_phone_found(in, d, n, 0.8, w->p, end));
	return (0);
}

/* Read digits with separators from p. Returns the end. */
static size_t
pii_phone_read(struct pii_in *in, size_t p, char *d, size_t *n)
{
	size_t		i = p, end = p, gap = 0;
	unsigned char	c;

	for (*n = 0; *n < 17; i++) {
		c = pii_at(in, i);
		if (pii_is(c, B_DIGIT)) {
			d[(*n)++] = (char)c;
			end = i + 1;
			gap = 0;
		} else if (c == 0 || strchr(" -./()", c) == NULL || ++gap > 2)
			break;
	}
	d[*n] = '\0';
	return (end);
}

/* A telephone number with a country code or a code in brackets? */
int
pii_plus_phone(struct pii_in *in, size_t p)
{
	char		d[24];
	size_t		n, end, code = 0;
	unsigned char	before = pii_before(in, p), c = pii_at(in, p + 1);
	int		word = pii_near(in, W_PHONE, p, 48);

	if (pii_is(before, B_WORD) || (!pii_is(c, B_DIGIT) && !(c == '+' &&
	    pii_at(in, p) == '(')))
		return (0);
	end = pii_phone_read(in, p + 1 + (c == '+'), d, &n);
	if (pii_is(pii_at(in, end), B_WORD) && (pii_at(in, end) | 0x20) != 'x')
		return (0);
	if (in->t[p] == '+' || c == '+') {
		if (d[0] == '0' || n > 15 || n < 8 || (n < 10 && !word &&
		    end - p < n + 3))
			return (0);
		return (pii_phone_found(in, d, n, 0.9, p, end));
	}
	while (code < 6 && pii_is(pii_at(in, p + 1 + code), B_DIGIT))
		code++;
	if (pii_at(in, p + 1 + code) != ')' || code < 2 || code > 5 || n < 7 ||
	    n > 12 || end <= p + code + 2)
		return (0);
	if (code == 3 && n == 10)
		return (pii_phone_found(in, d, n, d[0] >= '2' || word ? 0.85 :
		    0.65, p, end));
	if (word || pii_phone_label(in, end))
		return (pii_phone_found(in, d, n, 0.85, p, end));
	if (d[0] == '0' || (code == 2 && n >= 8))
		return (pii_phone_found(in, d, n, 0.65, p, end));
	return (0);
}
