/*
 * Fuzz target: the tokenizer and the prompt builder.  The first byte chooses:
 * a tokenizer.json, or a text that must survive encoding and decoding, and
 * from which no role tag may come.
 */
#include <sys/mman.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "detok.h"
#include "nfc.h"
#include "pretoken.h"
#include "roletag.h"
#include "tokenizer.h"
#include "utf8.h"
#include "xmalloc.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const char parts[] = "\"normalizer\":{\"type\":\"NFC\"},\"decoder\":"
    "{\"type\":\"ByteLevel\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\","
    "\"add_prefix_space\":false},\"added_tokens\":[{\"id\":0,\"content\":"
    "\"<|endoftext|>\",\"special\":true,\"normalized\":false},{\"id\":300,"
    "\"content\":\"  \",\"special\":false,\"normalized\":true}]";
static const char pairs[] = "\"a a\",\"aa aa\",\"a b\",\"b a\",\"ab ab\"";

/* Open a tokenizer whose file holds these bytes; NULL where refused. */
static struct tokenizer *
fuzz_open(const char *data, size_t size)
{
	struct tokenizer	*t = NULL;
	struct fault		 f = { .code = NULL };
	char			 path[64];
	int			 fd, r;

	if ((fd = memfd_create("tokenizer", MFD_CLOEXEC)) == -1 ||
	    write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	r = tokenizer_open(path, &t, &f);
	close(fd);
	if ((r == 0) != (t != NULL) || (r != 0 && f.code == NULL))
		abort();
	return (t);
}

/* A tokenizer of single bytes and a few merges of a and b. */
static struct tokenizer *
fuzz_tokenizer(void)
{
	struct tokenizer	*t;
	struct text		 s = { NULL, 0, 0 };
	char			 item[64], name[5];
	uint32_t		 c;
	int			 id = 1;

	text_puts(&s, "{");
	text_puts(&s, parts);
	text_puts(&s, ",\"model\":{\"vocab\":{\"aa\":290,\"aaaa\":291,"
	    "\"ab\":292,\"ba\":293,\"abab\":294");
	for (c = 33; c < 324; c++) {
		if ((c > 126 && c < 161) || c == 173)
			continue;
		name[utf8_encode(c, name)] = '\0';
		snprintf(item, sizeof item, ",\"%s%s\":%d", c == '"' ||
		    c == '\\' ? "\\" : "", name, id++);
		text_puts(&s, item);
	}
	text_puts(&s, "},\"merges\":[");
	text_puts(&s, pairs);
	text_puts(&s, "]}}");
	t = fuzz_open(s.s, s.n);
	text_clear(&s);
	if (t == NULL)
		abort();
	return (t);
}

/* Encode and decode: what comes back is the NFC of what went in. */
static void
fuzz_text(const struct tokenizer *t, const char *s, size_t n)
{
	struct ids	 ids = { NULL, 0, 0 };
	struct text	 want = { NULL, 0, 0 }, got = { NULL, 0, 0 };
	size_t		 i;

	tokenizer_encode(t, s, n, 0, &ids);
	for (i = 0; i < ids.n; i++) {
		if (tokenizer_special(t, ids.id[i]))
			abort();
	}
	detok_ids(t, ids.id, ids.n, 0, &got);
	nfc_add(s, n, &want);
	if (got.n != want.n ||
	    (got.n > 0 && memcmp(got.s, want.s, got.n) != 0))
		abort();
	ids.n = 0;
	tokenizer_encode(t, s, n, 1, &ids);
	ids_clear(&ids);
	text_clear(&want);
	text_clear(&got);
}

/* Defuse: no tag is left, and a second time changes nothing. */
static void
fuzz_roles(const char *s, size_t n)
{
	struct text	 once = { NULL, 0, 0 }, twice = { NULL, 0, 0 };

	roletag_defuse(s, n, &once);
	text_add(&once, "", 1);
	if (strstr(once.s, ROLETAG_HUMAN) != NULL ||
	    strstr(once.s, ROLETAG_BOT) != NULL)
		abort();
	roletag_defuse(once.s, once.n, &twice);
	if (twice.n != once.n || memcmp(twice.s, once.s, once.n) != 0)
		abort();
	text_clear(&once);
	text_clear(&twice);
}

/* One input. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tokenizer	*t;
	const char		*s = (const char *)data + 1;

	if (t == NULL)
		t = fuzz_tokenizer();
	if (size < 1)
		return (0);
	if (data[0] & 1) {
		tokenizer_free(fuzz_open(s, size - 1));
		return (0);
	}
	if (memchr(s, 0, size - 1) != NULL || !utf8_valid(s, size - 1))
		return (0);
	fuzz_text(t, s, size - 1);
	fuzz_roles(s, size - 1);
	return (0);
}
