/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words that give a number or a string its meaning, and what random characters
 * and placeholders look like.
 */
#include "pii_impl.h"

#include <ctype.h>
#include <string.h>

#define G(name)	(1u << W_##name)

static const struct pii_keyword pii_keywords[] = {
#include "words.inc"
};
#define PII_KEYWORDS	(sizeof pii_keywords / sizeof pii_keywords[0])

/* Parts of what stands in place of a secret. */
static const char *const pii_fillers[] = {
	"xxxx", "****", "your", "placeholder", "changeme", "change_me",
	"dummy", "redacted", "insert", "<", ">", "...", "todo", "${", "{{",
	"%s", "$(", "replace", "abcdefgh", "12345678", "98765432", "goeshere",
	"goes_here", "goes-here", "0000000", "not-a-real", "notreal",
	"dontuse", "hidden",
	"masked", "some_", "some-", "my_secret", "my-secret", "mysecret",
	"my_api", "my-api", "my_token", "\xe2\x80\xa2\xe2\x80\xa2",
	"deadbeefdeadbeef", "process.env", "environ", "getenv", "secrets."
};

/* Published examples: they belong to nobody. */
static const char *const pii_published[] = {
	"AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE",
	"ASIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	"je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY", "AGE-SECRET-KEY-1GFPYY",
	"SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c", "sk_test_4eC39HqLyjWD"
	"arjtT1zdp7dc", "sk_test_BQokikJOvBiI2HlWgH4olfQ2",
	"QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "dXNlcm5hbWU6cGFzc3dvcmQ=",
	"dXNlcjpwYXNz", "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
	"123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11",
	"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/"
	"K1SZFPTOtr/KBHBeksoGMGw=="
};

/* Put the words into the table. */
void
pii_words_init(struct pii *pii)
{
	size_t		 i;
	uint32_t	 h;
	const char	*s;

	for (i = 0; i < PII_KEYWORDS; i++) {
		h = 2166136261u;	/* of its ASCII, as in pii_read */
		for (s = pii_keywords[i].word; *s != '\0'; s++)
			if ((unsigned char)*s < 0x80)
				h = (h ^ (unsigned char)*s) * 16777619u;
		for (h %= PII_SLOTS; pii->slot[h] != 0; h = (h + 1) % PII_SLOTS)
			;
		pii->slot[h] = (short)(i + 1);
	}
}

/* The groups of a word of n bytes, whose hash is given; 0: none. */
uint32_t
pii_words_find(const struct pii *pii, const char *word, size_t n,
    uint32_t hash)
{
	const struct pii_keyword	*k;
	size_t				 i;

	if (n > 24)
		return (0);
	for (hash %= PII_SLOTS; pii->slot[hash] != 0; hash = (hash + 1) %
	    PII_SLOTS) {
		k = &pii_keywords[pii->slot[hash] - 1];
		for (i = 0; i < n && k->word[i] == ((word[i] >= 'A' &&
		    word[i] <= 'Z') ? word[i] | 0x20 : word[i]); i++)
			;
		if (i == n && k->word[n] == '\0')
			return (k->groups);
	}
	return (0);
}

/* The groups of the word that begins at p, and its end. */
uint32_t
pii_words_at(struct pii_in *in, size_t p, size_t *end)
{
	uint32_t	 h = 2166136261u;
	size_t		 i;
	unsigned char	 c;

	for (i = p; i - p < 64; i++) {
		c = pii_at(in, i);
		if (pii_is(c, B_HIGH)) {
			i += c < 0xe0 ? 1 : 2;
			continue;
		}
		if (!pii_is(c, B_ALNUM))
			break;
		h = (h ^ (c | (pii_is(c, B_UPPER) ? 0x20 : 0))) * 16777619u;
	}
	*end = i;
	return (in->more || i > in->len ? 0 : pii_words_find(in->pii,
	    in->t + p, i - p, h));
}

/* Does the text at p begin with the lower-case string, in any case? */
int
pii_starts(struct pii_in *in, size_t p, const char *lower)
{
	unsigned char	c;

	for (; *lower != '\0'; lower++, p++) {
		c = pii_at(in, p);
		if ((c | (pii_is(c, B_UPPER) ? 0x20 : 0)) !=
		    (unsigned char)*lower)
			return (0);
	}
	return (1);
}

/* Is the lower-case string in n bytes of text, in any case? */
int
pii_contains(const char *text, size_t n, const char *lower)
{
	size_t	k = strlen(lower), i, j;

	for (i = 0; i + k <= n; i++) {
		for (j = 0; j < k && (text[i + j] == lower[j] ||
		    (text[i + j] >= 'A' && text[i + j] <= 'Z' &&
		    (text[i + j] | 0x20) == lower[j])); j++)
			;
		if (j == k)
			return (1);
	}
	return (0);
}

/* The number of different bytes. */
static unsigned int
pii_distinct(const char *text, size_t n)
{
	unsigned char	seen[256] = { 0 };
	unsigned int	d = 0;
	size_t		i;

	for (i = 0; i < n; i++) {
		d += !seen[(unsigned char)text[i]];
		seen[(unsigned char)text[i]] = 1;
	}
	return (d);
}

/*
 * Do n bytes at p stand in place of a secret?  The word EXAMPLE inside a key
 * does not exempt it by itself: the rest of the key must be dull, the key be
 * published, or the sentence speak of an example.
 */
int
pii_placeholder(const struct pii_in *in, size_t p, size_t n)
{
	const char	*s = in->t + p, *at;
	size_t		 i, k;

	if (n > 512)
		n = 512;
	for (i = 0; i < sizeof pii_published / sizeof pii_published[0]; i++) {
		k = strlen(pii_published[i]);
		if (n >= k && memmem(s, n, pii_published[i], k) != NULL)
			return (1);
	}
	for (i = 0; i < sizeof pii_fillers / sizeof pii_fillers[0]; i++)
		if (pii_contains(s, n < 200 ? n : 200, pii_fillers[i]))
			return (1);
	if (memmem(s, n, "example", 7) != NULL)
		return (1);
	at = memmem(s, n, "EXAMPLE", 7);
	if (at != NULL) {
		if (pii_near(in, W_DOC, p, 64))
			return (1);
		k = (size_t)(at - s);
		return (pii_distinct(s, k) < 5 &&
		    pii_distinct(at + 7, n - k - 7) < 5);
	}
	return (pii_distinct(s, n) < (n >= 16 ? 6 : n >= 8 ? 4 : 2));
}

/*
 * Do n bytes look drawn at random, and not like words or a name?  Counts the
 * changes between small letters, capitals and digits.
 */
int
pii_random(const char *text, size_t n)
{
	unsigned int	changes = 0, digits = 0, upper = 0, lower = 0;
	unsigned int	vowels = 0, hex = 0, kind, last = 0, other = 0;
	unsigned int	distinct = pii_distinct(text, n), run = 0, longest = 0;
	size_t		i;
	unsigned char	c;

	for (i = 0; i < n; i++) {
		c = (unsigned char)text[i];
		kind = pii_class[c] & (B_DIGIT|B_UPPER|B_LOWER);
		digits += kind == B_DIGIT;
		upper += kind == B_UPPER;
		lower += kind == B_LOWER;
		other += kind == 0;
		hex += pii_is(c, B_HEX);
		vowels += kind != 0 && kind != B_DIGIT &&
		    strchr("aeiouAEIOU", c) != NULL;
		if (kind == last && kind == B_LOWER)
			run++;
		else
			run = 1;
		longest = run > longest ? run : longest;
		if (kind != 0 && last != 0 && kind != last)
			changes++;
		if (kind != 0)
			last = kind;
	}
	n -= other;
	if (n < 8 || distinct < (n < 16 ? 6 : 8) || other * 3 > n)
		return (0);
	if (hex == n && n >= 16)
		return (digits >= n / 5 && digits < n);
	if (digits == 0 && (upper == 0 || lower == 0))
		return (n >= 14 && vowels * 6 < n && distinct >= 9);
	if (digits == 0)
		return (n >= 12 && changes * 3 >= n && longest < 6);
	if (digits * 10 > n * 9)
		return (0);
	return (changes * 5 >= n && (longest < 9 || n >= 24 ||
	    changes * 3 >= n) && (longest < 7 || changes * 4 >= n ||
	    vowels * 5 < n - digits));
}
