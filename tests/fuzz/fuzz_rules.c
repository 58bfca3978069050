/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: a rule pack, a NUL, and a text that it is matched with.
 */
#include "fuzz.h"

#include "rules.h"
#include "utf8.h"

/* Findings must be inside the text, at whole characters. */
static void
fuzz_found(void *arg, const struct rule *r, uint64_t start, uint64_t end)
{
	const char	*text = arg;

	(void)r;
	if (start > end || end > strlen(text) ||
	    (text[start] & 0xc0) == 0x80 || (text[end] & 0xc0) == 0x80)
		abort();
}

/* Match the same text in two pieces, without context. The findings may differ
 * from those of the whole text, but must be valid. */
static void
fuzz_pieces(struct rules *rs, const char *text)
{
	size_t			 len = strlen(text), cut = len / 2, settled;
	struct fault		 f;
	struct rules_piece	 p;
	char			*copy;

	while ((text[cut] & 0xc0) == 0x80)
		cut--;
	copy = strndup(text, cut);
	p = (struct rules_piece){ copy, cut, cut / 3, 0, 1, 0 };
	while ((copy[p.fresh] & 0xc0) == 0x80)
		p.fresh--;
	if (rules_match_piece(rs, RULE_PROMPT, &p, fuzz_found, copy, &settled,
	    &f) == 0 && (settled > cut || (copy[settled] & 0xc0) == 0x80))
		abort();
	free(copy);
	copy = strdup(text + cut);
	p = (struct rules_piece){ copy, len - cut, (len - cut) / 2, 0, 0, 0 };
	while ((copy[p.fresh] & 0xc0) == 0x80)
		p.fresh--;
	if (rules_match_piece(rs, RULE_REPLY, &p, fuzz_found, copy, &settled,
	    &f) == 0 && (settled > p.len || (copy[settled] & 0xc0) == 0x80))
		abort();
	free(copy);
}

/* One input. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const categories[] = { "hate", "illegal", NULL };
	struct rules		*rs;
	struct fault		 f;
	const uint8_t		*nul;
	char			*text;
	size_t			 n;

	nul = memchr(data, '\0', size);
	n = nul == NULL ? size : (size_t)(nul - data);
	rs = rules_new(categories);
	if (rules_parse(rs, "fuzz", (const char *)data, n, &f) == 0 &&
	    nul != NULL) {
		text = strndup((const char *)nul + 1, size - n - 1);
		if (utf8_valid(text, strlen(text))) {
			rules_match(rs, RULE_PROMPT, text, strlen(text),
			    fuzz_found, text, &f);
			rules_match(rs, RULE_REPLY, text, strlen(text),
			    fuzz_found, text, &f);
			fuzz_pieces(rs, text);
		}
		free(text);
	}
	rules_free(rs);
	return (0);
}
