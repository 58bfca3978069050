/*
 * Fuzz target: a whole packed file, opened as the engine opens it.  What is
 * taken keeps the promises of packed.h and weights.h: every part that the
 * configuration asks for lies inside the mapped file, and a step through it
 * stays inside its arrays.
 * An input that begins with "{" is a header up to the first newline, which is
 * given its length and filled up as pack.c does it, and then the data: so
 * mutations need not keep the length of what they change.
 */
#include "fuzz.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

#include "backend.h"
#include "cpu.h"
#include "model.h"
#include "packed.h"
#include "weights.h"

#define FUZZ_CONTEXT	256	/* positions, at most, of a step's model */
#define FUZZ_TOKENS	3	/* in a step */

/* Write all of it. */
static void
fuzz_write(int fd, const void *bytes, size_t n)
{
	if (write(fd, bytes, n) != (ssize_t)n)
		abort();
}

/* The file that an input stands for. */
static int
fuzz_file(const uint8_t *data, size_t size)
{
	const uint8_t	*end = memchr(data, '\n', size);
	char		 spaces[PACKED_ALIGN];
	uint8_t		 start[8];
	size_t		 n, all;
	int		 fd = memfd_create("fuzz", 0), i;

	if (fd == -1 || fchmod(fd, 0600) == -1)
		abort();
	if (size == 0 || data[0] != '{' || end == NULL) {
		fuzz_write(fd, data, size);
		return (fd);
	}
	n = (size_t)(end - data);
	all = (8 + n + PACKED_ALIGN - 1) / PACKED_ALIGN * PACKED_ALIGN;
	for (i = 0; i < 8; i++)
		start[i] = (uint8_t)((all - 8) >> 8 * i);
	memset(spaces, ' ', sizeof spaces);
	fuzz_write(fd, start, 8);
	fuzz_write(fd, data, n);
	fuzz_write(fd, spaces, all - 8 - n);
	fuzz_write(fd, end + 1, size - n - 1);
	return (fd);
}

/* Digits of a checksum. */
static void
fuzz_digits(const char *s)
{
	size_t	 i;

	for (i = 0; i < 64; i++)
		if (!isxdigit((unsigned char)s[i]))
			abort();
	if (s[64] != '\0')
		abort();
}

/* What the metadata says, and where the tensors are. */
static void
fuzz_packed(const struct model *m, const struct packed *p, size_t size)
{
	const struct st_tensor	*t;
	const char		*path;
	size_t			 i, n;

	if (p->size != size || p->data > size || p->data % PACKED_ALIGN != 0)
		abort();
	for (i = 0; i < p->table.n; i++) {
		t = &p->table.tensors[i];
		if (t->end < t->begin || t->end > size - p->data ||
		    t->begin % 64 != 0)
			abort();
	}
	if (strncmp(p->source, "sha256:", 7) != 0 ||
	    strcmp(model_digest(m), p->source) != 0)
		abort();
	fuzz_digits(p->source + 7);
	fuzz_digits(p->sha256);
	n = strlen(model_name(m));
	if (n < 1 || n > 1024)
		abort();
	if (model_tokenizer(m, &n, &path) == NULL ||
	    (size_t)model_bytes(m) != size - p->data)
		abort();
}

/* All bytes from p on are inside the memory; their sum. */
static unsigned
fuzz_inside(const struct weights *w, const void *p, size_t n)
{
	const uint8_t	*b = p, *memory = w->memory;
	unsigned	 sum = 0;

	if (b < memory || n > w->size || (size_t)(b - memory) > w->size - n ||
	    (uintptr_t)b % 64 != 0)
		abort();
	while (n-- > 0)
		sum += *b++;
	return (sum);
}

/* A matrix, its scales and its bias. */
static void
fuzz_matrix(const struct weights *w, const struct matrix *m)
{
	const size_t	 N = ROUND_UP((size_t)m->N, PANEL);
	const size_t	 K = (size_t)layout_columns(m->elem, m->K);
	size_t		 bytes = N * K, scales = 0;

	if (m->elem == ELEM_I4) {
		bytes /= 2;
		scales = N * K / GROUP * 2;
	} else if (m->elem == ELEM_I8)
		scales = N * 4;
	else
		bytes *= ELEM_SIZE(m->elem);
	(void)fuzz_inside(w, m->panels, bytes);
	if ((scales != 0) != (m->scales != NULL))
		abort();
	if (scales != 0)
		(void)fuzz_inside(w, m->scales, scales);
	if (m->bias != NULL)
		(void)fuzz_inside(w, m->bias, N * 4);
}

/* A norm of C numbers. */
static void
fuzz_norm(const struct weights *w, const struct norm *n, int C)
{
	(void)fuzz_inside(w, n->gain, ROUND_UP((size_t)C, PANEL) * 4);
	(void)fuzz_inside(w, n->bias, ROUND_UP((size_t)C, PANEL) * 4);
}

/* Everything that a step reads. */
static void
fuzz_weights(const struct weights *w, const struct model_config *c)
{
	const struct layer	*y;
	int			 i;

	for (i = 0; i < c->layers; i++) {
		y = &w->layers[i];
		fuzz_norm(w, &y->norm1, c->channels);
		fuzz_norm(w, &y->norm2, c->channels);
		fuzz_matrix(w, &y->qkv);
		fuzz_matrix(w, &y->attn);
		fuzz_matrix(w, &y->up);
		fuzz_matrix(w, &y->down);
	}
	fuzz_norm(w, &w->norm, c->channels);
	fuzz_matrix(w, &w->embed);
	fuzz_matrix(w, &w->head);
}

/* One step: the numbers may be anything, also none. */
static void
fuzz_step(struct backend *b, const struct model_config *c)
{
	struct backend_row	 rows[FUZZ_TOKENS];
	int32_t			 blocks[1] = { 0 };
	float			*logits = malloc((size_t)c->vocab * 4);
	int			 i, n = c->context < FUZZ_TOKENS ? c->context :
				    FUZZ_TOKENS;

	for (i = 0; i < n; i++)
		rows[i] = (struct backend_row){ .token = i * 7919 % c->vocab,
			.pos = i, .blocks = blocks, .logits = i == n - 1 ?
			logits : NULL };
	if (b->ops->step(b, rows, n) != 0)
		abort();
	free(logits);
}

/* Load it, and compute a little. */
static void
fuzz_backend(struct model *m)
{
	const struct model_config	*c = model_config(m);
	struct backend_options		 opt = { .precision = "auto",
		.device = "cpu", .isa = "auto", .threads = 1,
		.kv_tokens = KV_BLOCK, .rows = 1 };
	struct backend			*b;
	struct fault			 f = { 0 };

	if (c->context > FUZZ_CONTEXT)
		return;		/* tables of it take memory and time */
	if (backend_open(m, &opt, &b, &f) != 0) {
		fuzz_fault(&f);
		return;
	}
	fuzz_weights(((struct cpu *)b)->weights, c);
	fuzz_step(b, c);
	b->ops->free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model	*m;
	struct stat	 st;
	struct fault	 f = { 0 };
	char		 path[32];
	int		 fd = fuzz_file(data, size);

	if (fstat(fd, &st) == -1)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (model_open(path, &m, &f) != 0)
		fuzz_fault(&f);
	else {
		if (model_packed(m) != NULL) {
			fuzz_packed(m, model_packed(m), (size_t)st.st_size);
			fuzz_backend(m);
		}
		model_free(m);
	}
	close(fd);
	return (0);
}
