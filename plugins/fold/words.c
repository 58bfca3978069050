/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of words is a table of hashes, filled when it is first needed.  Two
 * words of the same hash would be taken for each other, which is rare enough.
 *
 * tools/fold/words.py made english.inc.  The words were counted in the texts
 * that plugins/classifier/MODEL_CARD.md names, and in chitchat (Microsoft),
 * chatterbot, Topical-Chat (Alexa), Synthetic-Persona-Chat and Taskmaster
 * (Google), open-assistant (LAION), self-instruct (Y. Wang), vaderSentiment,
 * the UCI sentiment sentences and Aesop's fables.  Words that were only known
 * are from the vocabulary of all-MiniLM-L6-v2 (sentence-transformers,
 * Apache-2.0), the word lists of dariusk/corpora (CC0) and the contrast files.
 */
#include "words.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define WORDS_SLOTS	(1u << 17)
#define WORDS_COMMON	12000	/* a mistake is one for a word up to here */
#define WORDS_NONE	18	/* bits for a letter that is no word */
#define WORDS_EACH	3	/* bits for one more word */

static const char *const words_lines[] = {
#include "english.inc"
};

static struct {
	uint32_t	 hash, place;	/* place 0: free */
} words_table[WORDS_SLOTS];
static pthread_once_t	 words_once = PTHREAD_ONCE_INIT;

/* The hash of a word. */
static uint32_t
words_hash(const char *w, size_t n)
{
	uint32_t	 h = 0x811c9dc5u;
	size_t		 i;

	for (i = 0; i < n; i++)
		h = (h ^ (unsigned char)w[i]) * 0x01000193u;
	h ^= h >> 15;
	h *= 0x2c1b3c6du;
	return (h ^ h >> 13);
}

/* Look up a hash: its slot, or the free one where it would be. */
static uint32_t
words_slot(uint32_t h)
{
	uint32_t	 i = h % WORDS_SLOTS;

	while (words_table[i].place != 0 && words_table[i].hash != h)
		i = (i + 1) % WORDS_SLOTS;
	return (i);
}

/* Fill the table. */
static void
words_fill(void)
{
	const char	*p;
	size_t		 i, n;
	uint32_t	 place = 0, h, k;

	for (i = 0; i < nitems(words_lines); i++) {
		for (p = words_lines[i]; *p != '\0'; p += n + (p[n] == ' ')) {
			n = strcspn(p, " ");
			h = words_hash(p, n);
			k = words_slot(h);
			if (words_table[k].place != 0)
				continue;
			words_table[k].hash = h;
			words_table[k].place = ++place;
		}
	}
}

/* Find a word. */
uint32_t
words_find(const char *w, size_t n)
{
	if (n == 0 || n > WORDS_LONGEST)
		return (0);
	pthread_once(&words_once, words_fill);
	return (words_table[words_slot(words_hash(w, n))].place);
}

/* Is w a better reading than the one at *best? Then note its place. */
static int
words_better(const char *w, size_t n, uint32_t *best)
{
	uint32_t	 place = words_find(w, n);

	if (place == 0 || place >= *best)
		return (0);
	*best = place;
	return (1);
}

/* Find the word that w is a mistake for. */
int
words_mend(const char *w, size_t n, size_t *swap, unsigned char *keep)
{
	char		 b[WORDS_MENDED];
	uint32_t	 best = WORDS_COMMON;
	size_t		 i, k, m, most, kind;

	*swap = SIZE_MAX;
	memset(keep, 1, n);
	if (n < 4 || n > WORDS_MENDED)
		return (0);
	memcpy(b, w, n);
	for (i = 0; i + 1 < n; i++) {
		if (b[i] == b[i + 1])
			continue;
		b[i] = w[i + 1];
		b[i + 1] = w[i];
		if (words_better(b, n, &best))
			*swap = i;
		b[i] = w[i];
		b[i + 1] = w[i + 1];
	}
	if (*swap != SIZE_MAX)
		return (1);
	for (kind = 0; kind < 3; kind++) {	/* equal letters in a row */
		for (i = m = 0; i < n; i += k) {
			for (k = 1; i + k < n && w[i + k] == w[i]; k++)
				;
			most = kind == 0 ? (k > 2 ? 1 : k) : kind;
			memset(keep + i, 0, k);
			memset(keep + i, 1, k < most ? k : most);
			memset(b + m, w[i], k < most ? k : most);
			m += k < most ? k : most;
		}
		if (m < n && m >= 3 && words_better(b, m, &best))
			return (1);
	}
	memset(keep, 1, n);
	return (0);
}

/* Read letters as words: the cheapest way to each place. */
double
words_split(const char *w, size_t n, unsigned char *last)
{
	float		*cost = xcalloc(n + 1, sizeof *cost), c;
	unsigned char	*len = xcalloc(n + 1, 1);
	uint32_t	 place;
	size_t		 i, k;

	for (i = 1; i <= n; i++) {
		cost[i] = cost[i - 1] + WORDS_NONE;
		len[i] = 1;
		for (k = 1; k <= WORDS_LONGEST && k <= i; k++) {
			if (w[i - k] < 'a' || w[i - k] > 'z')
				break;
			if ((place = words_find(w + i - k, k)) == 0)
				continue;
			c = cost[i - k] + WORDS_EACH +
			    log2f((float)place + 6);
			if (c < cost[i]) {
				cost[i] = c;
				len[i] = (unsigned char)k;
			}
		}
	}
	c = cost[n];
	memset(last, 0, n);
	for (i = n; i > 0; i -= len[i])
		last[i - 1] = 1;
	free(cost);
	free(len);
	return ((double)c);
}
