/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutations of seeds: the same number always gives the same input.
 */
#include "driver.h"

#include <ctype.h>
#include <string.h>

#include "xmalloc.h"

#define MUTATE_MOST	8	/* changes of one input */
#define MUTATE_PIECE	64	/* bytes added or removed at a time */

/* An input while it is changed. */
struct mutation {
	const struct corpus	*c;
	struct input		*in;
	uint64_t		 seed;
};

/* A random number below n; n is not 0. Source of the constants: splitmix64,
 * Steele, Lea and Flood 2014. */
static size_t
mutate_random(struct mutation *m, size_t n)
{
	uint64_t	 z = m->seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return ((size_t)((z ^ z >> 31) % n));
}

/* Replace `old` bytes at a place by n bytes. Does nothing if the result would
 * be too long. */
static void
mutate_replace(struct mutation *m, size_t at, size_t old, const void *bytes,
    size_t n)
{
	struct input	*in = m->in;
	uint8_t		 copy[INPUT_MAX];

	if (in->n - old + n > INPUT_MAX)
		return;
	memcpy(copy, bytes, n);		/* may be a piece of the input */
	memmove(in->b + at + n, in->b + at + old, in->n - at - old);
	memcpy(in->b + at, copy, n);
	in->n = in->n - old + n;
}

/* A random place in the input; may be its end. */
static size_t
mutate_place(struct mutation *m)
{
	return (mutate_random(m, m->in->n + 1));
}

/* A random length from a place on, at most MUTATE_PIECE. */
static size_t
mutate_length(struct mutation *m, size_t at)
{
	size_t	 left = m->in->n - at;

	return (mutate_random(m, (left < MUTATE_PIECE ? left :
	    MUTATE_PIECE) + 1));
}

/* Flip one bit. */
static void
mutate_flip(struct mutation *m)
{
	if (m->in->n > 0)
		m->in->b[mutate_random(m, m->in->n)] ^=
		    (uint8_t)(1 << mutate_random(m, 8));
}

/* Change one byte. */
static void
mutate_set(struct mutation *m)
{
	if (m->in->n > 0)
		m->in->b[mutate_random(m, m->in->n)] =
		    (uint8_t)mutate_random(m, 256);
}

/* Insert random bytes. */
static void
mutate_insert(struct mutation *m)
{
	uint8_t	 b[MUTATE_PIECE];
	size_t	 n = 1 + mutate_random(m, sizeof b), i;

	for (i = 0; i < n; i++)
		b[i] = (uint8_t)mutate_random(m, 256);
	mutate_replace(m, mutate_place(m), 0, b, n);
}

/* Remove some bytes. */
static void
mutate_erase(struct mutation *m)
{
	size_t	 at = mutate_place(m);

	mutate_replace(m, at, mutate_length(m, at), "", 0);
}

/* Copy a piece of the input to another place. */
static void
mutate_repeat(struct mutation *m)
{
	size_t	 from = mutate_place(m);

	mutate_replace(m, mutate_place(m), 0, m->in->b + from,
	    mutate_length(m, from));
}

/* Replace the end by the end of another seed. */
static void
mutate_splice(struct mutation *m)
{
	const struct blob	*s = &m->c->seeds[mutate_random(m,
				    m->c->nseeds)];
	size_t			 at = mutate_place(m);
	size_t			 from = mutate_random(m, s->n + 1);

	mutate_replace(m, at, m->in->n - at, s->b + from, s->n - from);
}

/* Insert a word of the dictionary, or write it over other bytes. */
static void
mutate_word(struct mutation *m)
{
	const struct blob	*w;
	size_t			 at = mutate_place(m);

	if (m->c->nwords == 0)
		return;
	w = &m->c->words[mutate_random(m, m->c->nwords)];
	mutate_replace(m, at, mutate_random(m, 2) == 0 || m->in->n - at <
	    w->n ? 0 : w->n, w->b, w->n);
}

/* Cut the input. */
static void
mutate_cut(struct mutation *m)
{
	m->in->n = mutate_place(m);
}

/* Write a binary number that programs often handle wrongly over some bytes. */
static void
mutate_extreme(struct mutation *m)
{
	const size_t	 width = (size_t)1 << mutate_random(m, 4);
	const uint64_t	 top = (uint64_t)1 << (8 * width - 1);
	const uint64_t	 values[] = { 0, 1, UINT64_MAX, UINT64_MAX - 1,
			    top, top - 1, top + 1, m->in->n, m->in->n - 1,
			    m->in->n + 1, width * m->in->n };
	uint64_t	 v = values[mutate_random(m, nitems(values))];
	uint8_t		 b[8];
	size_t		 i;

	if (m->in->n < width)
		return;
	for (i = 0; i < width; i++, v >>= 8)
		b[i] = (uint8_t)v;
	memcpy(m->in->b + mutate_random(m, m->in->n - width + 1), b, width);
}

/* Replace a number in digits by one that programs often handle wrongly. */
static void
mutate_digits(struct mutation *m)
{
	static const char *const values[] = { "0", "-1", "1", "1.5", "1e999",
		"2147483648", "4294967296", "9007199254740993",
		"9223372036854775807", "18446744073709551616", "1000000000" };
	const char	*v = values[mutate_random(m, nitems(values))];
	size_t		 at = mutate_place(m), n = 0;

	while (at < m->in->n && !isdigit(m->in->b[at]))
		at++;
	while (at + n < m->in->n && isdigit(m->in->b[at + n]))
		n++;
	if (n > 0)
		mutate_replace(m, at, n, v, strlen(v));
}

static void	(*const mutations[])(struct mutation *) = {
	mutate_flip, mutate_set, mutate_insert, mutate_erase, mutate_repeat,
	mutate_splice, mutate_word, mutate_cut, mutate_extreme, mutate_digits
};

/* Make a seed with one to eight changes. */
void
mutate(const struct corpus *c, size_t round, struct input *out)
{
	struct mutation		 m = { c, out, round << 32 };
	const struct blob	*s = &c->seeds[mutate_random(&m, c->nseeds)];
	size_t			 n = 1 + mutate_random(&m, MUTATE_MOST);

	out->n = s->n;
	memcpy(out->b, s->b, s->n);
	while (n-- > 0)
		mutations[mutate_random(&m, nitems(mutations))](&m);
}
