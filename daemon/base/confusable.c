/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of look-alikes, sorted by character.  It has small letters only,
 * because callers fold the case first.
 */
#include "confusable.h"

#include <stddef.h>
#include <string.h>

#include "xmalloc.h"

/* The first letter of "as" is the one that c resembles most. */
static const struct confusable {
	uint16_t	 c;
	char		 as[3];
} confusable_table[] = {
	{ 0x00f8, "o" }, { 0x0127, "h" }, { 0x0131, "i" }, { 0x014b, "n" },
	{ 0x0167, "t" }, { 0x0180, "b" }, { 0x01ad, "t" }, { 0x0251, "a" },
	{ 0x0253, "b" }, { 0x0261, "g" }, { 0x0266, "h" }, { 0x0269, "i" },
	{ 0x0271, "m" }, { 0x0274, "n" }, { 0x028b, "u" }, { 0x028f, "y" },
	{ 0x0299, "b" }, { 0x029c, "h" },
	/* Greek */
	{ 0x03b1, "a" }, { 0x03b2, "b" }, { 0x03b5, "e" }, { 0x03b7, "nh" },
	{ 0x03b9, "i" }, { 0x03ba, "k" }, { 0x03bc, "m" }, { 0x03bd, "vn" },
	{ 0x03bf, "o" }, { 0x03c1, "p" }, { 0x03c3, "o" }, { 0x03c4, "t" },
	{ 0x03c5, "u" }, { 0x03c7, "x" }, { 0x03c9, "w" },
	/* Cyrillic */
	{ 0x0430, "a" }, { 0x0432, "b" }, { 0x0433, "r" }, { 0x0435, "e" },
	{ 0x043a, "k" }, { 0x043c, "m" }, { 0x043d, "hn" }, { 0x043e, "o" },
	{ 0x043f, "n" }, { 0x0440, "p" }, { 0x0441, "c" }, { 0x0442, "t" },
	{ 0x0443, "y" }, { 0x0445, "x" }, { 0x044c, "b" }, { 0x0455, "s" },
	{ 0x0456, "i" }, { 0x0458, "j" }, { 0x0461, "w" }, { 0x0475, "v" },
	{ 0x04ab, "c" }, { 0x04af, "y" }, { 0x04bb, "h" }, { 0x04bd, "e" },
	{ 0x04cf, "l" }, { 0x0501, "d" }, { 0x051b, "q" }, { 0x051d, "w" },
	/* Armenian */
	{ 0x0561, "w" }, { 0x0563, "q" }, { 0x0566, "q" }, { 0x0570, "h" },
	{ 0x0578, "n" }, { 0x057c, "n" }, { 0x057d, "u" }, { 0x0581, "g" },
	{ 0x0584, "f" }, { 0x0585, "o" },
	/* Cherokee */
	{ 0x13a2, "t" }, { 0x13aa, "a" }, { 0x13b7, "m" }, { 0x13bb, "h" },
	{ 0x13c2, "h" }, { 0x13cf, "b" }, { 0x13f4, "b" },
	/* Latin small capitals */
	{ 0x1d00, "a" }, { 0x1d0d, "m" }, { 0x1d0f, "o" }, { 0x1d1b, "t" },
	{ 0x1d1c, "u" },
};

/* Find c in the table. NULL if it is not a look-alike. */
static const struct confusable *
confusable_find(uint32_t c)
{
	size_t	 lo = 0, hi = nitems(confusable_table), mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (confusable_table[mid].c == c)
			return (&confusable_table[mid]);
		if (confusable_table[mid].c < c)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (NULL);
}

/* Look a letter up. */
uint32_t
confusable_latin(uint32_t c)
{
	const struct confusable	*found = confusable_find(c);

	return (found == NULL ? 0 : (uint32_t)found->as[0]);
}

/* Compare with one letter. */
int
confusable_passes(uint32_t c, char latin)
{
	const struct confusable	*found;

	if (latin < 'a' || latin > 'z')
		return (0);
	if (confusable_leet(c) == (uint32_t)latin)
		return (1);
	found = confusable_find(c);
	return (found != NULL && strchr(found->as, latin) != NULL);
}

/* Look a sign up. "@" is left out: it is part of addresses. */
uint32_t
confusable_leet(uint32_t c)
{
	switch (c) {
	case '0':
		return ('o');
	case '1':
	case '!':
		return ('i');
	case '3':
		return ('e');
	case '4':
		return ('a');
	case '5':
	case '$':
		return ('s');
	case '7':
		return ('t');
	default:
		return (0);
	}
}
