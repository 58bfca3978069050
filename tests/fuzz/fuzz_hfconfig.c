/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a config.json. An accepted configuration keeps its guarantees.
 */
#include "fuzz.h"

#include "hfconfig.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model_config	 c;
	struct fault		 f = { 0 };

	if (hfconfig_parse("config.json", (const char *)data, size, &c,
	    &f) != 0) {
		fuzz_fault(&f);
		return (0);
	}
	if (c.layers < 1 || c.layers > CONFIG_LAYERS_MAX || c.heads < 1 ||
	    c.lanes < 2 || c.lanes % 2 != 0 || c.heads * c.lanes !=
	    c.channels || c.channels > CONFIG_CHANNELS_MAX || c.rotary < 2 ||
	    c.rotary > c.lanes || c.rotary % 2 != 0 || c.inner < 2 ||
	    c.inner > CONFIG_INNER_MAX || c.vocab < 1 || c.vocab >
	    CONFIG_VOCAB_MAX || c.eos < 0 || c.eos >= c.vocab ||
	    c.context < 1 || c.context > CONFIG_CONTEXT_MAX ||
	    !(c.norm_eps > 0) || !(c.rotary_base >= 1))
		abort();
	return (0);
}
