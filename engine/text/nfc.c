/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NFC over the tables of utf8proc. utf8proc_map is not used: it orders marks in
 * quadratic time, and it is slow on text that is already NFC.
 */
#include "nfc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "utf8.h"
#include "xmalloc.h"

#define NFC_EXPAND	4	/* code points in the longest decomposition */
#define NFC_SMALL	64	/* bytes normalised without allocating */

/* Memory for one segment: its code points, and space for ordering them. */
struct nfc_work {
	utf8proc_int32_t	*cp, *copy;	/* owned, or in small */
	uint64_t		*key;
};

/* Is cp its own NFC, not a combining mark, and never the second part of a
 * composition? Returns 0 if in doubt. */
static int
nfc_inert(uint32_t cp)
{
	const utf8proc_property_t	*p;

	if (cp < 0x300)
		return (1);
	if (cp >= 0x1100 && cp <= 0x11ff)	/* Jamo compose */
		return (0);
	p = utf8proc_get_property((utf8proc_int32_t)cp);
	if (p->combining_class != 0 ||
	    (p->decomp_seqindex != UINT16_MAX && p->decomp_type == 0))
		return (0);
	switch (p->category) {
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ME:
		return (0);
	case UTF8PROC_CATEGORY_SO:
		return (1);
	default:	/* later Unicode versions have letters that compose */
		return (cp < 0x10000 || (cp >= 0x20000 && cp < 0x40000));
	}
}

/* Order two combining marks by class, then by their original order. A mark is
 * kept as class << 32 | index. */
static int
nfc_mark_cmp(const void *a, const void *b)
{
	uint64_t	 x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x < y ? -1 : x > y);
}

/* Bring each run of combining marks into canonical order. */
static void
nfc_order(struct nfc_work *w, size_t n)
{
	size_t	 i, j, k, class;

	for (i = 0; i < n; i += k + 1) {
		for (k = 0; i + k < n; k++) {
			class = (size_t)utf8proc_get_property(
			    w->cp[i + k])->combining_class;
			if (class == 0)
				break;
			w->key[k] = (uint64_t)class << 32 | k;
		}
		if (k < 2)
			continue;
		qsort(w->key, k, sizeof *w->key, nfc_mark_cmp);
		memcpy(w->copy, w->cp + i, k * sizeof *w->cp);
		for (j = 0; j < k; j++)
			w->cp[i + j] = w->copy[(uint32_t)w->key[j]];
	}
}

/* Decompose n bytes into w->cp. Return the number of code points. */
static size_t
nfc_decompose(struct nfc_work *w, const char *s, size_t n)
{
	utf8proc_ssize_t	 k;
	uint32_t		 c;
	size_t			 i, m = 0;
	int			 len, last = 0;

	for (i = 0; i < n; i += (size_t)len) {
		if ((len = utf8_decode(s + i, n - i, &c)) <= 0) {
			c = 0xfffd;
			len = 1;
		}
		k = utf8proc_decompose_char((utf8proc_int32_t)c, w->cp + m,
		    NFC_EXPAND, UTF8PROC_DECOMPOSE, &last);
		m += k > 0 && k <= NFC_EXPAND ? (size_t)k : 0;
	}
	return (m);
}

/* Normalise one segment. */
static void
nfc_segment(const char *s, size_t n, struct textbuf *out)
{
	utf8proc_int32_t	 cp[NFC_SMALL * NFC_EXPAND];
	utf8proc_int32_t	 copy[NFC_SMALL * NFC_EXPAND];
	uint64_t		 key[NFC_SMALL * NFC_EXPAND];
	struct nfc_work		 w = { cp, copy, key };
	utf8proc_ssize_t	 k, i;
	size_t			 m;
	char			 buf[4];

	if (n > NFC_SMALL) {
		w.cp = xcalloc(n * NFC_EXPAND, sizeof *w.cp);
		w.copy = xcalloc(n * NFC_EXPAND, sizeof *w.copy);
		w.key = xcalloc(n * NFC_EXPAND, sizeof *w.key);
	}
	m = nfc_decompose(&w, s, n);
	nfc_order(&w, m);
	k = utf8proc_normalize_utf32(w.cp, (utf8proc_ssize_t)m,
	    UTF8PROC_STABLE|UTF8PROC_COMPOSE);
	for (i = 0; i < k; i++)
		textbuf_add(out, buf, (size_t)utf8_encode((uint32_t)w.cp[i],
		    buf));
	if (n > NFC_SMALL) {
		free(w.cp);
		free(w.copy);
		free(w.key);
	}
}

/* Skip characters from byte i on as long as they are inert (or, if inert is 0,
 * as long as they are not). *last is the start of the last one. */
static size_t
nfc_skip(const char *s, size_t n, size_t i, int inert, size_t *last)
{
	uint32_t	 cp;
	int		 len;

	while (i < n) {
		if ((unsigned char)s[i] < 0x80) {
			if (!inert)
				break;
			*last = i++;
			continue;
		}
		if ((len = utf8_decode(s + i, n - i, &cp)) <= 0) {
			len = 1;
			cp = 0x1100;	/* nfc_decompose replaces it */
		}
		if (nfc_inert(cp) != inert)
			break;
		*last = i;
		i += (size_t)len;
	}
	return (i);
}

/* Measure the start that stays unchanged. */
size_t
nfc_plain(const char *s, size_t n)
{
	size_t	 end, last = 0;

	end = nfc_skip(s, n, 0, 1, &last);
	return (end == n ? n : last);
}

/* Normalise some: copy inert characters, and normalise from the last inert
 * character to the next one. */
size_t
nfc_some(const char *s, size_t n, size_t i, size_t limit, struct textbuf *out)
{
	const size_t	 until = n - i < limit ? n : i + limit;
	size_t		 end, last, skip;

	for (; i < until; i = end) {
		last = i;
		end = nfc_skip(s, n, i, 1, &last);
		if (end == n)
			last = n;
		textbuf_add(out, s + i, last - i);
		if (end == n)
			return (n);
		end = nfc_skip(s, n, end, 0, &skip);
		nfc_segment(s + last, end - last, out);
	}
	return (i);
}

/* Normalise the whole text. */
void
nfc_add(const char *s, size_t n, struct textbuf *out)
{
	if (n > 0)
		nfc_some(s, n, 0, n, out);
}
