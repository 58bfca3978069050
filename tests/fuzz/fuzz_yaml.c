/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a configuration file. The result is a tree in which every scalar
 * can be read with every reader, or a fault with a message.
 */
#include "fuzz.h"

#include "xmalloc.h"
#include "yaml.h"

/* Read a node, its siblings and its children. */
static void
fuzz_node(struct ynode *map, const struct ynode *n, int depth)
{
	struct fault	 f;
	int64_t		 i;
	double		 x;
	int		 b;

	for (; n != NULL; n = n->next) {
		if (n->line < 1 || n->column < 1 || depth > YAML_DEPTH_MAX)
			abort();
		if (n->key != NULL && ynode_get(map, n->key) != n)
			abort();
		if (ynode_int("f", n, -9, 9, &i, &f) == 0 &&
		    (i < -9 || i > 9))
			abort();
		if (ynode_real("f", n, 0, 1, &x, &f) == 0 &&
		    !(x >= 0 && x <= 1))
			abort();
		if (ynode_bool("f", n, &b, &f) == 0 && b != 0 && b != 1)
			abort();
		if (ynode_size("f", n, 1, 1 << 30, &i, &f) == 0 &&
		    (i < 1 || i > 1 << 30))
			abort();
		if (ynode_time("f", n, 1, 1 << 30, &i, &f) == 0 &&
		    (i < 1 || i > 1 << 30))
			abort();
		fuzz_node((struct ynode *)(uintptr_t)n, n->child, depth + 1);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ynode	*root = NULL;
	struct fault	 f = { 0 };
	char		*text;

	text = xmalloc(size > 0 ? size : 1);
	memcpy(text, data, size);
	if (yaml_parse("f", text, size, &root, &f) == 0)
		fuzz_node(NULL, root, 0);
	else if (root != NULL || f.message[0] == '\0')
		abort();
	ynode_free(root);
	free(text);
	return (0);
}
