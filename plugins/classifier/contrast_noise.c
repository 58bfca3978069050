/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Misspelled copies of texts, as people write in haste or to pass a filter.
 * Only words of ASCII letters change.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contrast.h"
#include "xmalloc.h"

#define NOISE_WORD_MIN	4	/* letters of a word that may change */

/* Write the word w of n letters with one change. */
typedef void	noise_fn(const char *w, size_t n, uint64_t *random, FILE *out);

static noise_fn	noise_swap, noise_drop, noise_double, noise_gaps, noise_leet,
		noise_look, noise_case;

/* How a word changes, and of how many words one does. */
static const struct {
	noise_fn	*fn;
	unsigned	 each;
} noise_kinds[] = {
	{ noise_swap, 4 },
	{ noise_drop, 4 },
	{ noise_double, 4 },
	{ noise_gaps, 6 },
	{ noise_leet, 2 },
	{ noise_look, 2 },
	{ noise_case, 1 },
};

/* A number below n. */
static size_t
noise_below(uint64_t *random, size_t n)
{
	return ((size_t)(contrast_random(random) % n));
}

/* Two letters change places: not the first, which people get right. */
static void
noise_swap(const char *w, size_t n, uint64_t *random, FILE *out)
{
	size_t	 at = 1 + noise_below(random, n - 2);

	fprintf(out, "%.*s%c%c%.*s", (int)at, w, w[at + 1], w[at],
	    (int)(n - at - 2), w + at + 2);
}

/* One letter is missing. */
static void
noise_drop(const char *w, size_t n, uint64_t *random, FILE *out)
{
	size_t	 at = 1 + noise_below(random, n - 1);

	fprintf(out, "%.*s%.*s", (int)at, w, (int)(n - at - 1), w + at + 1);
}

/* One letter comes twice. */
static void
noise_double(const char *w, size_t n, uint64_t *random, FILE *out)
{
	size_t	 at = noise_below(random, n);

	fprintf(out, "%.*s%c%.*s", (int)at + 1, w, w[at], (int)(n - at - 1),
	    w + at + 1);
}

/* The letters have gaps between them. */
static void
noise_gaps(const char *w, size_t n, uint64_t *random, FILE *out)
{
	static const char	 gaps[] = "  .-_*";
	char			 gap = gaps[noise_below(random,
				    sizeof gaps - 1)];
	size_t			 i;

	for (i = 0; i < n; i++) {
		if (i > 0)
			fputc(gap, out);
		fputc(w[i], out);
	}
}

/* Digits and signs replace letters. */
static void
noise_leet(const char *w, size_t n, uint64_t *random, FILE *out)
{
	static const char	 from[] = "aeiostb", *const to[] = {
				    "4@", "33", "1!", "00", "5$", "7+", "88" };
	const char		*p;
	size_t			 i;

	for (i = 0; i < n; i++) {
		p = strchr(from, tolower((unsigned char)w[i]));
		fputc(p != NULL && noise_below(random, 4) > 0 ?
		    to[p - from][noise_below(random, 2)] : w[i], out);
	}
}

/* Cyrillic and Greek letters that look the same replace letters. */
static void
noise_look(const char *w, size_t n, uint64_t *random, FILE *out)
{
	static const char	 from[] = "aeopcxiys";
	static const char	*const to[] = { "а", "е", "о", "р", "с", "х",
				    "і", "у", "ѕ" };
	const char		*p;
	size_t			 i;

	for (i = 0; i < n; i++) {
		p = strchr(from, w[i]);
		if (p != NULL && noise_below(random, 3) > 0)
			fputs(to[p - from], out);
		else
			fputc(w[i], out);
	}
}

/* Capitals at random. */
static void
noise_case(const char *w, size_t n, uint64_t *random, FILE *out)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		fputc(noise_below(random, 2) == 0 ? tolower((unsigned char)
		    w[i]) : toupper((unsigned char)w[i]), out);
}

/* Change one of each noise_kinds[kind].each words, and at least one. A new
 * string, or NULL. */
static char *
noise_words(const char *s, size_t kind, uint64_t *random)
{
	char	*text = NULL;
	size_t	 size, n, words = 0, must, seen = 0;
	FILE	*out;
	const char *p;

	for (p = s; *p != '\0'; p += n + (n == 0)) {
		for (n = 0; isalpha((unsigned char)p[n]); n++)
			;
		words += n >= NOISE_WORD_MIN;
	}
	if (words == 0)
		return (NULL);
	must = noise_below(random, words);
	if ((out = open_memstream(&text, &size)) == NULL)
		abort();
	for (p = s; *p != '\0'; p += n + (n == 0)) {
		for (n = 0; isalpha((unsigned char)p[n]); n++)
			;
		if (n == 0)
			fputc(*p, out);
		else if (n >= NOISE_WORD_MIN && (seen++ == must ||
		    noise_below(random, noise_kinds[kind].each) == 0))
			noise_kinds[kind].fn(p, n, random, out);
		else
			fwrite(p, 1, n, out);
	}
	fclose(out);
	return (text);
}

/* All in capitals, or all small and without stops. A new string. */
static char *
noise_whole(const char *s, uint64_t *random)
{
	char	*text = xstrdup(s), *to = text;
	int	 loud = noise_below(random, 3) == 0;

	for (; *s != '\0'; s++) {
		if (!loud && strchr(".,;'", *s) != NULL)
			continue;
		*to++ = (char)(loud ? toupper((unsigned char)*s) :
		    tolower((unsigned char)*s));
	}
	*to = '\0';
	return (text);
}

/* Make a misspelled copy. */
char *
contrast_noise(const char *text, uint64_t seed)
{
	size_t	 kind = noise_below(&seed, nitems(noise_kinds) + 1);
	char	*one, *two;

	if (kind == nitems(noise_kinds))
		one = noise_whole(text, &seed);
	else
		one = noise_words(text, kind, &seed);
	if (one != NULL && noise_below(&seed, 3) == 0 &&
	    (two = noise_words(one, noise_below(&seed, 3), &seed)) != NULL) {
		free(one);
		one = two;
	}
	if (one != NULL && strcmp(one, text) == 0) {
		free(one);
		one = NULL;
	}
	return (one);
}
