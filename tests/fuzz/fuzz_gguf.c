/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a whole GGUF file. Every accepted tensor is inside the file, and
 * no byte is in two tensors. An accepted configuration keeps its guarantees.
 * The tokenizer's text is JSON. A complete model is converted and computed
 * with. Dictionary: tests/fuzz/gguf.dict; seeds: tests/fuzz/seeds/gguf.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "dtype.h"
#include "fuzz_backend.h"
#include "gguf.h"

/* Tensors are in order, separate, inside the file, and of the right size. */
static void
fuzz_table(const struct st_table *t, size_t size)
{
	const struct st_tensor	*x;
	uint64_t		 at = 0, elems;
	size_t			 i;
	int			 d;

	for (i = 0; i < t->n; i++) {
		x = &t->tensors[i];
		if (x->begin < at || x->end <= x->begin || x->end > size ||
		    x->dims < 1 || x->dims > GGUF_DIMS_MAX ||
		    x->name[0] == '\0' || x->dtype_name == NULL)
			abort();
		for (elems = 1, d = 0; d < x->dims; d++) {
			if (x->shape[d] < 1)
				abort();
			elems *= (uint64_t)x->shape[d];
		}
		if (x->readable && (x->end - x->begin != elems /
		    dtype_block(x->dtype) * dtype_block_size(x->dtype) ||
		    (uint64_t)x->shape[x->dims - 1] % dtype_block(x->dtype) !=
		    0 || strcmp(dtype_name(x->dtype), x->dtype_name) != 0))
			abort();
		at = x->end;
	}
}

/* An accepted configuration keeps its guarantees. */
static void
fuzz_config(const struct model_config *c)
{
	if (c->layers < 1 || c->heads < 1 || c->lanes < 2 ||
	    c->heads * c->lanes != c->channels || c->rotary < 2 ||
	    c->rotary > c->lanes || c->rotary % 2 != 0 || c->inner < 2 ||
	    c->vocab < 1 || c->eos < 0 || c->eos >= c->vocab ||
	    c->context < 1 || !(c->norm_eps > 0) || !(c->rotary_base >= 1))
		abort();
}

/* The text is one JSON object and a NUL. */
static void
fuzz_tokenizer(const char *text, size_t n)
{
	json_t	*root = json_loadb(text, n, 0, NULL);

	if (strlen(text) != n || !json_is_object(root) ||
	    !json_is_object(json_object_get(root, "model")))
		abort();
	json_decref(root);
}

/* Load the file as a model, in a precision that its last byte chooses. */
static void
fuzz_model(int fd, uint8_t choice)
{
	struct model	*m;
	struct fault	 f = { 0 };
	char		 path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (model_open(path, &m, &f) != 0) {
		fuzz_fault(&f);
		return;
	}
	fuzz_backend(m, precision_name(choice % PREC_COUNT));
	model_free(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gguf	 g;
	struct fault	 f = { 0 };
	int		 fd = memfd_create("fuzz", 0);

	if (fd == -1 || fchmod(fd, 0600) == -1 ||
	    write(fd, data, size) != (ssize_t)size)
		abort();
	if (gguf_read("file", fd, size, &g, &f) == GGUF_OK) {
		fuzz_table(&g.table, size);
		fuzz_config(&g.config);
		if (g.tokenizer != NULL)
			fuzz_tokenizer(g.tokenizer, g.tokenizer_len);
		gguf_clear(&g);
		fuzz_model(fd, data[size - 1]);
	} else
		fuzz_fault(&f);
	close(fd);
	return (0);
}
