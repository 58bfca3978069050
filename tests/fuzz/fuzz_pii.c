/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: a text, searched whole and in two pieces. Both must find
 * the same.
 */
#include "fuzz.h"

#include "pii.h"
#include "utf8.h"

struct sum {
	uint64_t	 places, offset;
	size_t		 len;
};

/* Sum up the findings, which must be whole and inside the text. */
static void
fuzz_found(void *arg, const struct pii_found *f)
{
	struct sum	*s = arg;

	if (f->start >= f->end || f->end > s->len)
		abort();
	s->places = s->places * 31 + (s->offset + f->start) * 7 + s->offset +
	    f->end;
}

/* One input. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pii		*pii;
	struct pii_scan		 scan = { 0 }, again = { 0 };
	struct pii_piece	 p;
	struct sum		 whole = { 0 }, parts = { 0 };
	char			*text, *first;
	size_t			 n, cut;

	text = strndup((const char *)data, size);
	n = strlen(text);
	if (utf8_valid(text, n)) {
		pii = pii_new();
		p = (struct pii_piece){ text, n, 0, 1 };
		whole.len = n;
		if (pii_match(pii, &scan, &p, fuzz_found, &whole) != n)
			abort();
		for (cut = n / 2; (text[cut] & 0xc0) == 0x80; cut--)
			;
		first = strndup(text, cut);
		p = (struct pii_piece){ first, cut, 0, 0 };
		parts.len = cut;
		pii_match(pii, &again, &p, fuzz_found, &parts);
		free(first);
		p = (struct pii_piece){ text, n, 0, 1 };
		parts.len = n;
		pii_match(pii, &again, &p, fuzz_found, &parts);
		if (whole.places != parts.places)
			abort();
		pii_free(pii);
	}
	free(text);
	return (0);
}
