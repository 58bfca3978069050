/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 decoding, encoding and checks.
 */
#include "utf8.h"

/* Decode one character. */
int
utf8_decode(const char *str, size_t n, uint32_t *cp)
{
	const unsigned char	*s = (const unsigned char *)str;
	unsigned char		 lo = 0x80, hi = 0xbf;
	uint32_t		 c;
	int			 len, i;

	if (s[0] < 0x80) {
		*cp = s[0];
		return (1);
	}
	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		len = 2;
		c = s[0] & 0x1f;
	} else if (s[0] >= 0xe0 && s[0] <= 0xef) {
		len = 3;
		c = s[0] & 0x0f;
		if (s[0] == 0xe0)
			lo = 0xa0;
		else if (s[0] == 0xed)
			hi = 0x9f;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		len = 4;
		c = s[0] & 0x07;
		if (s[0] == 0xf0)
			lo = 0x90;
		else if (s[0] == 0xf4)
			hi = 0x8f;
	} else
		return (-1);
	for (i = 1; i < len; i++) {
		if ((size_t)i >= n)
			return (0);
		if (s[i] < lo || s[i] > hi)
			return (-i);
		lo = 0x80;
		hi = 0xbf;
		c = c << 6 | (s[i] & 0x3f);
	}
	*cp = c;
	return (len);
}

/* Encode one character. */
int
utf8_encode(uint32_t cp, char *out)
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return (1);
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3f));
		return (2);
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xe0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (char)(0x80 | (cp & 0x3f));
		return (3);
	}
	out[0] = (char)(0xf0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (char)(0x80 | (cp & 0x3f));
	return (4);
}

/* Check n bytes. */
int
utf8_valid(const char *s, size_t n)
{
	uint32_t	 cp;
	int		 len;

	while (n > 0) {
		if ((len = utf8_decode(s, n, &cp)) <= 0)
			return (0);
		s += len;
		n -= (size_t)len;
	}
	return (1);
}

/* Length without an unfinished character at the end. */
size_t
utf8_whole(const char *s, size_t n)
{
	uint32_t	 cp;
	size_t		 back;

	for (back = 1; back <= 3 && back <= n; back++) {
		if (((unsigned char)s[n - back] & 0xc0) == 0x80)
			continue;
		if (utf8_decode(s + n - back, back, &cp) == 0)
			return (n - back);
		break;
	}
	return (n);
}
