/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Did you mean": the nearest word to a mistyped one.
 */
#include "suggest.h"

#include <string.h>

#define SUGGEST_MAX 32		/* longer words are never near misses */

/* Optimal string alignment distance between a and b. */
int
suggest_distance(const char *a, const char *b)
{
	int	 d[3][SUGGEST_MAX + 1];
	size_t	 n = strlen(a), m = strlen(b), i, j;
	int	*row = d[0], *up = d[1], *up2 = d[2], *t, best;

	if (n > SUGGEST_MAX || m > SUGGEST_MAX)
		return (9);
	for (j = 0; j <= m; j++)
		row[j] = (int)j;
	for (i = 1; i <= n; i++) {
		t = up2;
		up2 = up;
		up = row;
		row = t;
		row[0] = (int)i;
		for (j = 1; j <= m; j++) {
			best = up[j - 1] + (a[i - 1] != b[j - 1]);
			if (up[j] + 1 < best)
				best = up[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && up2[j - 2] + 1 < best)
				best = up2[j - 2] + 1;
			row[j] = best;
		}
	}
	return (row[m] < 9 ? row[m] : 9);
}

/* Find the word that was probably meant. */
const char *
suggest_word(const char *word, const char *const *words)
{
	const char	*best = NULL;
	int		 d, least = 3;

	for (; *words != NULL; words++) {
		if (strlen(word) >= 2 &&
		    strncmp(*words, word, strlen(word)) == 0)
			return (*words);
		d = suggest_distance(word, *words);
		/* Two changes to a word of three letters show no likeness. */
		if (d < least && (size_t)d * 2 < strlen(*words)) {
			least = d;
			best = *words;
		}
	}
	return (best);
}
