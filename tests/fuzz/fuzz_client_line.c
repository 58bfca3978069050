/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: bytes of a client, into chatd's own state machines, with helpers
 * that answer truthfully. The first byte chooses how the rest is cut and how
 * often the helpers answer. A line with one byte 0x01 to 0x04 lets a timer
 * expire, connects another client, or closes this one's connection. Every
 * request must end exactly once.
 */
#include "fuzz.h"

#include "world.h"

/* All helpers answer. */
static void
fuzz_truth(struct world *w)
{
	int	 name;

	for (name = 0; name < WORLD_OTHER; name++)
		world_truth(w, (enum world_name)name);
}

/* Send one piece of the client's bytes. */
static void
fuzz_piece(struct world *w, const uint8_t *b, size_t n)
{
	if (n == 2 && b[1] == '\n' && b[0] == 1)
		world_timer(w, 0);
	else if (n == 2 && b[1] == '\n' && b[0] == 2)
		world_timer(w, 3);
	else if (n == 2 && b[1] == '\n' && b[0] == 3)
		world_connect(w);
	else if (n == 2 && b[1] == '\n' && b[0] == 4)
		world_client_ends(w);
	else
		world_client_says(w, b, n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t	*nl;
	struct world	*w;
	size_t		 n;
	int		 how, i;

	if (size == 0)
		return (0);
	how = *data++;
	size--;
	w = world_new();
	if ((how & 1) == 0)
		fuzz_truth(w);
	world_connect(w);
	for (i = 0; size > 0; i++) {
		nl = memchr(data, '\n', size);
		n = nl != NULL ? (size_t)(nl - data) + 1 : size;
		if ((how & 2) != 0 && n > 40)
			n = 40;
		if (i >= 200)		/* the rest in one piece */
			n = size;
		fuzz_piece(w, data, n);
		if (i % ((how >> 2 & 3) + 1) == 0)
			fuzz_truth(w);
		data += n;
		size -= n;
	}
	world_settle(w);
	world_free(w);
	return (0);
}
