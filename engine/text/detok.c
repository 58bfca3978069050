/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the bytes of tokens to whole characters.
 */
#include "detok.h"

#include "utf8.h"

#define DETOK_BAD "\xef\xbf\xbd"	/* U+FFFD */

/* Add one byte to the held ones. The held bytes are always a valid start of
 * a character. So c completes it, or continues it, or shows that it was
 * invalid. */
static void
detok_byte(struct detok *d, char c, struct textbuf *out)
{
	uint32_t	 cp;
	int		 r;

	d->held[d->n++] = c;
	r = utf8_decode(d->held, d->n, &cp);
	if (r == 0)
		return;
	if (r > 0) {
		textbuf_add(out, d->held, (size_t)r);
		d->n = 0;
		return;
	}
	textbuf_puts(out, DETOK_BAD);
	d->n -= (size_t)-r;
	d->held[0] = c;
	if (d->n == 1) {
		d->n = 0;
		detok_byte(d, c, out);
	}
}

/* Add bytes. */
void
detok_add(struct detok *d, const char *s, size_t n, struct textbuf *out)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		detok_byte(d, s[i], out);
}

/* Flush. */
void
detok_end(struct detok *d, struct textbuf *out)
{
	if (d->n > 0)
		textbuf_puts(out, DETOK_BAD);
	d->n = 0;
}

/* Decode a list of ids. */
void
detok_ids(const struct tokenizer *t, const int32_t *id, size_t n, int skip,
    struct textbuf *out)
{
	struct detok	 d = { { 0 }, 0 };
	const char	*s;
	size_t		 i, len;

	for (i = 0; i < n; i++) {
		if (skip && tokenizer_special(t, id[i]))
			continue;
		s = tokenizer_bytes(t, id[i], &len);
		detok_add(&d, s, len, out);
	}
	detok_end(&d, out);
}
