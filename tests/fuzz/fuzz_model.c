/*
 * Fuzz target: headers of model files. The first byte says which: a
 * config.json, or a safetensors file, length in front and data behind.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "safetensors.h"

int	LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* A configuration that is taken keeps its promises. */
static void
fuzz_config(const char *text, size_t n)
{
	struct model_config	 c;
	struct fault		 f = { 0 };

	if (config_parse("config.json", text, n, &c, &f) != 0) {
		if (f.code == NULL || f.message[0] == '\0')
			abort();
		return;
	}
	if (c.layers < 1 || c.heads < 1 || c.lanes < 2 ||
	    c.heads * c.lanes != c.channels || c.rotary < 2 ||
	    c.rotary > c.lanes || c.rotary % 2 != 0 || c.inner < 2 ||
	    c.vocab < 1 || c.eos < 0 || c.eos >= c.vocab || c.context < 1 ||
	    !(c.norm_eps > 0) || !(c.rotary_base >= 1))
		abort();
}

/* A table that is taken covers the data exactly, in order. */
static void
fuzz_safetensors(const uint8_t *bytes, size_t n)
{
	static const uint8_t	 none[8];
	struct st_table		 t;
	struct fault		 f = { 0 };
	uint64_t		 header, at = 0;
	size_t			 i;

	if (safetensors_length("file", n < 8 ? none : bytes, n, &header,
	    &f) != ST_OK)
		return;
	if (header > n - 8)
		abort();
	if (safetensors_parse("file", (const char *)bytes + 8, header,
	    n - 8 - header, &t, &f) != ST_OK) {
		if (f.code == NULL || f.message[0] == '\0')
			abort();
		return;
	}
	for (i = 0; i < t.n; i++) {
		if (t.tensors[i].begin != at || t.tensors[i].end < at)
			abort();
		at = t.tensors[i].end;
	}
	if (at != n - 8 - header)
		abort();
	safetensors_clear(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return (0);
	if (data[0] & 1)
		fuzz_config((const char *)data + 1, size - 1);
	else
		fuzz_safetensors(data + 1, size - 1);
	return (0);
}
