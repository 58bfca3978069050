/*
 * libFuzzer target: a rule pack, a NUL, and a text that it is matched with.
 */
#include "fuzz.h"

#include "rules.h"
#include "utf8.h"

/* Findings must lie inside the text, at whole characters. */
static void
fuzz_found(void *arg, const struct rule *r, uint64_t start, uint64_t end)
{
	const char	*text = arg;

	(void)r;
	if (start > end || end > strlen(text) ||
	    (text[start] & 0xc0) == 0x80 || (text[end] & 0xc0) == 0x80)
		abort();
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
		}
		free(text);
	}
	rules_free(rs);
	return (0);
}
