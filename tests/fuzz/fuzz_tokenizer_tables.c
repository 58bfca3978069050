/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the tables of a tokenizer. If they are accepted, users' texts
 * give no special tokens, and saving the tokenizer gives tables that are
 * accepted and saved as the same bytes.
 */
#include "fuzz.h"

#include "detok.h"
#include "tokenizer.h"

/* Encode a text both ways, and decode it. */
static void
fuzz_encode(const struct tokenizer *t)
{
	static const char	 sample[] = "Hello <|endoftext|>  it's "
				    "<x> aab e\xcc\x81\t\xe2\x80\x83 <unk>\n"
				    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	struct idbuf	 ids = { NULL, 0, 0 };
	struct textbuf	 out = { NULL, 0, 0 };
	size_t		 i;

	tokenizer_encode(t, sample, sizeof sample - 1, 1, &ids);
	detok_ids(t, ids.id, ids.n, 0, &out);
	ids.n = 0;
	tokenizer_encode(t, sample, sizeof sample - 1, 0, &ids);
	for (i = 0; i < ids.n; i++) {
		if (ids.id[i] < 0 || ids.id[i] >= tokenizer_size(t) ||
		    tokenizer_special(t, ids.id[i]))
			abort();
	}
	idbuf_clear(&ids);
	textbuf_clear(&out);
}

/* Save, restore and save: both tables are equal. */
static void
fuzz_again(const struct tokenizer *t)
{
	struct tokenizer	*other;
	struct fault		 f;
	uint8_t			*a, *b;
	size_t			 n, m;

	tokenizer_save(t, &a, &n);
	if (tokenizer_restore("saved", a, n, &other, &f) != 0)
		abort();
	tokenizer_save(other, &b, &m);
	if (n != m || memcmp(a, b, n) != 0)
		abort();
	tokenizer_free(other);
	free(a);
	free(b);
}

/* One input. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tokenizer	*t = NULL;
	struct fault		 f = { .code = NULL };
	int			 r;

	r = tokenizer_restore("file", data, size, &t, &f);
	if ((r == 0) != (t != NULL))
		abort();
	if (r != 0) {
		fuzz_fault(&f);
		return (0);
	}
	fuzz_encode(t);
	fuzz_again(t);
	tokenizer_free(t);
	return (0);
}
