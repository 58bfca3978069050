/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables, in order of the character.  Only small letters, since texts are
 * case-folded before.
 */
#include "confusable.h"

#include <stddef.h>

#include "xmalloc.h"

static const struct confusable {
	uint16_t	 c;
	char		 latin;
} confusable_table[] = {
	{ 0x0131, 'i' }, { 0x0251, 'a' }, { 0x0261, 'g' }, { 0x0269, 'i' },
	{ 0x028b, 'u' }, { 0x028f, 'y' },
	/* Greek */
	{ 0x03b1, 'a' }, { 0x03b2, 'b' }, { 0x03b5, 'e' }, { 0x03b7, 'n' },
	{ 0x03b9, 'i' }, { 0x03ba, 'k' }, { 0x03bd, 'v' }, { 0x03bf, 'o' },
	{ 0x03c1, 'p' }, { 0x03c3, 'o' }, { 0x03c4, 't' }, { 0x03c5, 'u' },
	{ 0x03c7, 'x' }, { 0x03c9, 'w' },
	/* Cyrillic */
	{ 0x0430, 'a' }, { 0x0432, 'b' }, { 0x0433, 'r' }, { 0x0435, 'e' },
	{ 0x043a, 'k' }, { 0x043c, 'm' }, { 0x043d, 'h' }, { 0x043e, 'o' },
	{ 0x0440, 'p' }, { 0x0441, 'c' }, { 0x0442, 't' }, { 0x0443, 'y' },
	{ 0x0445, 'x' }, { 0x044c, 'b' }, { 0x0455, 's' }, { 0x0456, 'i' },
	{ 0x0458, 'j' }, { 0x0461, 'w' }, { 0x0475, 'v' }, { 0x04ab, 'c' },
	{ 0x04af, 'y' }, { 0x04bb, 'h' }, { 0x04bd, 'e' }, { 0x04cf, 'l' },
	{ 0x0501, 'd' }, { 0x051b, 'q' }, { 0x051d, 'w' },
	/* Armenian */
	{ 0x0561, 'w' }, { 0x0563, 'q' }, { 0x0566, 'q' }, { 0x0570, 'h' },
	{ 0x0578, 'n' }, { 0x057d, 'u' }, { 0x0581, 'g' }, { 0x0584, 'f' },
	{ 0x0585, 'o' },
};

/* Look a letter up. */
uint32_t
confusable_latin(uint32_t c)
{
	size_t	 lo = 0, hi = nitems(confusable_table), mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (confusable_table[mid].c == c)
			return ((uint32_t)confusable_table[mid].latin);
		if (confusable_table[mid].c < c)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (0);
}

/* Look a sign up. "@" stays, or addresses could not be told. */
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
