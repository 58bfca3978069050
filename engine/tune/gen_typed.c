/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people type: without capitals and apostrophes, and with typing errors.
 */
#include "gen.h"

#include <ctype.h>
#include <string.h>

#include "rng.h"

/* A capital letter first. */
char *
gen_capital(char *s)
{
	s[0] = (char)toupper((unsigned char)s[0]);
	return (s);
}

/* A slip of the fingers in s, which has room for one more byte. */
static void
gen_slip(struct gen_ctx *c, char *s)
{
	size_t	 n = strlen(s), i;
	char	 t;

	if (n < 4)
		return;
	i = 1 + gen_below(c, n - 2);
	if (!isalpha((unsigned char)s[i]) || !isalpha((unsigned char)s[i + 1]))
		return;
	switch (gen_below(c, 3)) {
	case 0:
		t = s[i];
		s[i] = s[i + 1];
		s[i + 1] = t;
		break;
	case 1:
		memmove(s + i, s + i + 1, n - i);
		break;
	default:
		s[i] = (char)('a' + gen_below(c, 26));
	}
}

/* Remove a character. */
static void
gen_without(char *s, char ch)
{
	char	*to = s;

	for (; *s != '\0'; s++)
		if (*s != ch)
			*to++ = *s;
	*to = '\0';
}

/* The text as people type it; gently: words that are copied stay as they are.
 * s is taken, the result is owned. */
char *
gen_typed(struct gen_ctx *c, char *s, int gently)
{
	double	 x = rng_real(&c->rng);
	size_t	 n, i;

	if (c->test || s[0] == '\0')
		return (s);
	if (!gently && x < 0.33)
		for (i = 0; s[i] != '\0'; i++)
			s[i] = (char)tolower((unsigned char)s[i]);
	else if (gently && x < 0.2 && isupper((unsigned char)s[0]) &&
	    (s[1] == ' ' || strncmp(s, "My ", 3) == 0 ||
	    strncmp(s, "Wh", 2) == 0 || strncmp(s, "Ho", 2) == 0) &&
	    strncmp(s, "I ", 2) != 0)
		s[0] = (char)tolower((unsigned char)s[0]);
	else if (!gently && x > 0.98 && strlen(s) < 30)
		for (i = 0; s[i] != '\0'; i++)
			s[i] = (char)toupper((unsigned char)s[i]);
	n = strlen(s);
	if (gen_chance(c, 0.3))
		while (n > 1 && strchr(".!?", s[n - 1]) != NULL)
			s[--n] = '\0';
	if (gen_chance(c, 0.1))
		gen_without(s, '\'');
	if (!gently && gen_chance(c, 0.1))
		for (i = 0; i < 1 + n / 40; i++)
			gen_slip(c, s);
	return (s);
}
