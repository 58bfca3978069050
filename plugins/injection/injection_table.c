/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of the plugin "injection": the classes of words, and the weights of
 * features.
 */
#include "injection_impl.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

#define TABLE_SLOTS	(2 * INJECTION_WEIGHTS)	/* of hash tables */
#define TABLE_CLASSES	4096u

/* What tools/injection/fit.py has found, in thousandths of log odds. The first
 * is the bias. A "*" begins the name of a sign. */
static const struct table_weight {
	int16_t		 weight;
	const char	*name;
} table_weights[] = {
#include "weights.inc"
};
#define TABLE_WEIGHTS	(sizeof table_weights / sizeof table_weights[0])
_Static_assert(TABLE_WEIGHTS <= INJECTION_WEIGHTS, "room for weights");

struct injection {
	/* Bit k is set if a hash with the upper half k is in slot; few others
	 * are looked for there. */
	uint64_t	 some[65536 / 64];
	struct table_slot {
		uint32_t	 hash;
		uint16_t	 index;		/* 0: free */
		int16_t		 weight;
	} slot[TABLE_SLOTS];
	struct table_class {
		uint32_t	 hash;
		uint64_t	 bits;		/* 0: free */
	} class[TABLE_CLASSES];
};

/* Continue a hash (FNV-1a). */
uint32_t
injection_hash(uint32_t h, const char *s, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		h = (h ^ (unsigned char)s[i]) * INJECTION_PRIME;
	return (h);
}

/* The hash of a pair. */
uint32_t
injection_pair(uint32_t first, uint32_t second)
{
	return ((first * UINT32_C(2654435761) ^ second) *
	    UINT32_C(2246822519));
}

/* The hash of the feature that has this name. */
static uint32_t
table_hash(const char *name)
{
	const char	*space = strchr(name, ' ');
	uint32_t	 h;

	if (space == NULL || (name[0] == '*' && space != name + 1))
		return (injection_hash(INJECTION_HASH, name, strlen(name)));
	h = injection_hash(INJECTION_HASH, name, (size_t)(space - name));
	return (injection_pair(h, injection_hash(INJECTION_HASH, space + 1,
	    strlen(space + 1))));
}

/* The slot of a table of a power of two. */
static size_t
table_slot(uint32_t hash, size_t slots)
{
	return ((hash ^ hash >> 15) & (slots - 1));
}

/* Put a word into a class. */
static void
table_add_class(struct injection *in, uint32_t hash, int class)
{
	size_t	 i = table_slot(hash, TABLE_CLASSES);

	while (in->class[i].bits != 0 && in->class[i].hash != hash)
		i = (i + 1) & (TABLE_CLASSES - 1);
	in->class[i].hash = hash;
	in->class[i].bits |= I_BIT(class);
}

/* Make the tables. */
struct injection *
injection_new(void)
{
	struct injection	*in = xcalloc(1, sizeof *in);
	const char		*s;
	size_t			 i, n;
	uint32_t		 h;
	int			 c;

	for (c = 1; c < I_LAST; c++) {
		for (s = injection_words[c]; *s != '\0'; s += n + (s[n] ==
		    ' ')) {
			n = strcspn(s, " ");
			table_add_class(in, injection_hash(INJECTION_HASH, s,
			    n), c);
		}
	}
	for (i = 1; i < TABLE_WEIGHTS; i++) {	/* the first is the bias */
		h = table_hash(table_weights[i].name);
		n = table_slot(h, TABLE_SLOTS);
		while (in->slot[n].index != 0)
			n = (n + 1) & (TABLE_SLOTS - 1);
		in->slot[n].hash = h;
		in->slot[n].index = (uint16_t)i;
		in->slot[n].weight = table_weights[i].weight;
		in->some[h >> 22] |= UINT64_C(1) << (h >> 16 & 63);
	}
	return (in);
}

/* Release them. */
void
injection_free(struct injection *in)
{
	free(in);
}

/* The number of weights. */
size_t
injection_weights(const struct injection *in)
{
	(void)in;
	return (TABLE_WEIGHTS);
}

/* Is it the weight of a sign? "*" is a word, and so is "* a". */
int
injection_is_sign(const struct injection *in, size_t i)
{
	const char	*s = table_weights[i].name;

	(void)in;
	return (s[0] == '*' && s[1] != '\0' && s[1] != ' ');
}

/* The name of a weight. */
const char *
injection_name(const struct injection *in, size_t i)
{
	return (table_weights[i].name + injection_is_sign(in, i));
}

/* A weight in thousandths of log odds. */
int
injection_weight(const struct injection *in, size_t i)
{
	(void)in;
	return (table_weights[i].weight);
}

/* The classes of a word. */
uint64_t
injection_classes(const struct injection *in, uint32_t hash)
{
	size_t	 i = table_slot(hash, TABLE_CLASSES);

	while (in->class[i].bits != 0 && in->class[i].hash != hash)
		i = (i + 1) & (TABLE_CLASSES - 1);
	return (in->class[i].bits);
}

/* The weight of a hash. */
size_t
injection_find(const struct injection *in, uint32_t hash, int *weight)
{
	size_t	 i;

	if (!(in->some[hash >> 22] >> (hash >> 16 & 63) & 1))
		return (0);
	i = table_slot(hash, TABLE_SLOTS);
	while (in->slot[i].index != 0 && in->slot[i].hash != hash)
		i = (i + 1) & (TABLE_SLOTS - 1);
	*weight = in->slot[i].weight;
	return (in->slot[i].index);
}
