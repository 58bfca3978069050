/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GGUF: reading bytes, and the header. The bytes are not trusted: none is read
 * before it is known to be inside the file and below the limits. A count is
 * refused if the file is too small for it.
 */
#include "gguf_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fileio.h"
#include "le.h"
#include "utf8.h"
#include "xmalloc.h"

#define GGUF_HEADER	24	/* bytes before the first key */
#define GGUF_KEY_MIN	14	/* bytes of the shortest key: length of its
				 * name, one letter, type, one byte */
#define GGUF_TENSOR_MIN	33	/* bytes of the shortest tensor: length of its
				 * name, one letter, one dimension, type,
				 * offset */

static enum gguf_error	gguf_header(struct gguf_load *, uint64_t *);
static enum gguf_error	gguf_check_kind(struct gguf_load *);

/* Read a file. */
enum gguf_error
gguf_read(const char *path, int fd, uint64_t size, struct gguf *out,
    struct fault *f)
{
	struct gguf_load	*l = xcalloc(1, sizeof *l);
	struct gguf		 g = { 0 };
	enum gguf_error		 e;
	uint64_t		 nkeys = 0;
	size_t			 i;

	l->path = path;
	l->fd = fd;
	l->size = size;
	l->f = f;
	l->out = &g;
	if ((e = gguf_header(l, &nkeys)) == GGUF_OK &&
	    (e = gguf_keys(l, nkeys)) == GGUF_OK &&
	    (e = gguf_check_kind(l)) == GGUF_OK &&
	    (e = gguf_tensors(l)) == GGUF_OK &&
	    (e = gguf_config(l)) == GGUF_OK &&
	    (e = gguf_vocab(l)) == GGUF_OK)
		*out = g;
	else
		gguf_clear(&g);
	for (i = 0; i < l->nkeys; i++)
		free(l->keys[i].name);
	free(l->keys);
	free(l);
	return (e);
}

/* Release the memory of a struct gguf. */
void
gguf_clear(struct gguf *g)
{
	safetensors_clear(&g->table);
	free(g->tokenizer);
	memset(g, 0, sizeof *g);
}

/* Report one line: the file, the key or tensor, and what is wrong with it. */
enum gguf_error
gguf_fail(struct gguf_load *l, enum gguf_error why, const char *what,
    const char *fmt, ...)
{
	char	 text[256];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (what == NULL)
		fault_set(l->f, "bad_model", NULL, "%s: %s", l->path, text);
	else
		fault_set(l->f, "bad_model", what, "%s: %.100s: %s", l->path,
		    what, text);
	return (why);
}

/* Are there n more bytes of keys and tensors? */
static enum gguf_error
gguf_room(struct gguf_load *l, uint64_t n)
{
	if (n > l->size - l->at)
		return (gguf_fail(l, GGUF_SHORT, NULL, "expected %llu bytes "
		    "at byte %llu, but the file ends at %llu",
		    (unsigned long long)n, (unsigned long long)l->at,
		    (unsigned long long)l->size));
	if (l->at + n > GGUF_METADATA_MAX)
		return (gguf_fail(l, GGUF_TOO_BIG, NULL, "keys and tensors "
		    "of over %d bytes", GGUF_METADATA_MAX));
	return (GGUF_OK);
}

/* Fill the buffer from l->at on. */
static enum gguf_error
gguf_fill(struct gguf_load *l)
{
	uint64_t	 left = l->size - l->at;
	size_t		 n = left < GGUF_BUFFER ? (size_t)left : GGUF_BUFFER;
	int		 r;

	l->buf_n = 0;
	if ((r = fileio_read(l->fd, l->buf, n, l->at)) != 0)
		return (gguf_fail(l, GGUF_READ, NULL, "reading: %s",
		    fileio_why(r)));
	l->buf_at = l->at;
	l->buf_n = n;
	return (GGUF_OK);
}

/* Read n bytes. */
enum gguf_error
gguf_take(struct gguf_load *l, void *out, uint64_t n)
{
	enum gguf_error	 e;
	uint8_t		*p = out;
	uint64_t	 off, take;

	if ((e = gguf_room(l, n)) != GGUF_OK)
		return (e);
	while (n > 0) {
		if ((l->at < l->buf_at || l->at - l->buf_at >= l->buf_n) &&
		    (e = gguf_fill(l)) != GGUF_OK)
			return (e);
		off = l->at - l->buf_at;
		take = l->buf_n - off < n ? l->buf_n - off : n;
		memcpy(p, l->buf + off, (size_t)take);
		p += take;
		l->at += take;
		n -= take;
	}
	return (GGUF_OK);
}

/* Read four bytes. */
enum gguf_error
gguf_take_u32(struct gguf_load *l, uint32_t *out)
{
	uint8_t		 b[4];
	enum gguf_error	 e = gguf_take(l, b, sizeof b);

	if (e == GGUF_OK)
		*out = le_u32(b);
	return (e);
}

/* Read eight bytes. */
enum gguf_error
gguf_take_u64(struct gguf_load *l, uint64_t *out)
{
	uint8_t		 b[8];
	enum gguf_error	 e = gguf_take(l, b, sizeof b);

	if (e == GGUF_OK)
		*out = le_u64(b);
	return (e);
}

/* Skip n bytes. */
enum gguf_error
gguf_skip(struct gguf_load *l, uint64_t n)
{
	enum gguf_error	 e = gguf_room(l, n);

	if (e == GGUF_OK)
		l->at += n;
	return (e);
}

/* Is this printable UTF-8? */
int
gguf_is_text(const char *s, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return (0);
	return (utf8_valid(s, n));
}

/* Read the header: magic, version, counts. */
static enum gguf_error
gguf_header(struct gguf_load *l, uint64_t *nkeys)
{
	uint8_t			 b[GGUF_HEADER] = { 0 };
	enum gguf_error		 e;
	uint32_t		 version;

	if ((e = gguf_take(l, b, l->size < sizeof b ? l->size :
	    sizeof b)) != GGUF_OK)
		return (e);
	if (memcmp(b, "GGUF", 4) != 0)
		return (gguf_fail(l, GGUF_MAGIC, NULL,
		    "expected a GGUF file, found other bytes"));
	if (l->size < sizeof b)
		return (gguf_fail(l, GGUF_SHORT, NULL, "expected at least %zu "
		    "bytes, found %llu", sizeof b,
		    (unsigned long long)l->size));
	version = le_u32(b + 4);
	if ((version & 0xffff) == 0 && version != 0)
		return (gguf_fail(l, GGUF_BIG_ENDIAN, NULL, "its numbers are "
		    "big-endian: only little-endian files are supported"));
	if (version != 2 && version != 3)
		return (gguf_fail(l, GGUF_VERSION, NULL, "expected version 2 "
		    "or 3, found %u: convert the model again", version));
	l->ntensors = le_u64(b + 8);
	*nkeys = le_u64(b + 16);
	if (l->ntensors > GGUF_TENSORS_MAX ||
	    l->ntensors > (l->size - sizeof b) / GGUF_TENSOR_MIN)
		return (gguf_fail(l, GGUF_COUNT, NULL, "%llu tensors in a "
		    "file of %llu bytes, at most %d are allowed",
		    (unsigned long long)l->ntensors,
		    (unsigned long long)l->size, GGUF_TENSORS_MAX));
	if (*nkeys > GGUF_KEYS_MAX ||
	    *nkeys > (l->size - sizeof b) / GGUF_KEY_MIN)
		return (gguf_fail(l, GGUF_COUNT, NULL, "%llu keys in a file "
		    "of %llu bytes, at most %d are allowed",
		    (unsigned long long)*nkeys, (unsigned long long)l->size,
		    GGUF_KEYS_MAX));
	return (GGUF_OK);
}

/* Check the architecture and the number of files before any other key. */
static enum gguf_error
gguf_check_kind(struct gguf_load *l)
{
	const struct gguf_key	*k;
	enum gguf_error		 e;
	char			 word[GGUF_WORD_MAX];
	double			 n = 0;

	if ((e = gguf_need(l, "general.architecture", &k)) != GGUF_OK ||
	    (e = gguf_word(l, k, word)) != GGUF_OK)
		return (e);
	if (strcmp(word, "gptneox") != 0)
		return (gguf_fail(l, GGUF_ARCHITECTURE, k->name,
		    "expected gptneox, found %s", word));
	if ((k = gguf_find(l, "split.count")) == NULL)
		return (GGUF_OK);
	if ((e = gguf_number(l, k, GGUF_INTEGER, &n)) != GGUF_OK)
		return (e);
	if (n > 1)
		return (gguf_fail(l, GGUF_SPLIT, k->name, "one of %.0f files: "
		    "merge them into one first", n));
	return (GGUF_OK);
}
