/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the readers of PCRE2's syntax have in common.
 */
#include "pattern_reader.h"

#include <string.h>

/* Read flags. */
int
pattern_flags(struct pattern_reader *r, int *nothing)
{
	if (r->end - r->p > 1 && *r->p == 'P' && r->p[1] == '<')
		r->p++;
	if (r->p < r->end && (*r->p == '=' || *r->p == '!')) {
		*nothing = 1;
		r->p++;
		return (1);
	}
	if (r->end - r->p > 1 && *r->p == '<') {
		if (r->p[1] == '=' || r->p[1] == '!') {
			*nothing = 1;
			r->p += 2;
			return (1);
		}
		while (r->p < r->end && *r->p != '>')
			r->p++;
		r->p += r->p < r->end;
		return (1);
	}
	while (r->p < r->end && strchr("imsnJU-", *r->p) != NULL)
		r->p++;
	if (r->p < r->end && *r->p == ')')
		return (0);
	if (r->p == r->end || strchr(":>|", *r->p) == NULL)
		r->failed = 1;
	r->p += r->p < r->end;
	return (1);
}

/* Is s next? Then skip it. */
int
pattern_skip(struct pattern_reader *r, const char *s)
{
	size_t	 n = strlen(s);

	if ((size_t)(r->end - r->p) < n || memcmp(r->p, s, n) != 0)
		return (0);
	r->p += n;
	return (1);
}
