/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random adapters in memory, for tests of the backends.
 */
#include "neox.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

/* The rows and columns of a target. */
static void
adapter_shape(const struct neox_spec *m, int t, int *N, int *K)
{
	const int	 rows[ADAPTER_TARGETS] = { 3 * m->C, m->C, m->F, m->C };

	*N = rows[t];
	*K = t == ADAPTER_DOWN ? m->F : m->C;
}

/* Make one. */
struct adapter *
neox_adapter(const struct neox_spec *m, uint64_t seed)
{
	struct adapter		*a = xcalloc(1, sizeof *a);
	struct adapter_pair	*p;
	size_t			 n = 0, i;
	float			*at;
	int			 l, t;

	a->name = xstrdup("random");
	a->path = xstrdup("/random");
	a->rank = 1 + (int)neox_random(&seed, 20);
	a->scale = 2.0f / (float)a->rank;
	a->targets = 1 + neox_random(&seed, 15);
	a->layers = m->L;
	a->pair = xcalloc((size_t)m->L * ADAPTER_TARGETS, sizeof *a->pair);
	for (l = 0; l < m->L * ADAPTER_TARGETS; l++) {
		adapter_shape(m, l % ADAPTER_TARGETS, &a->pair[l].N,
		    &a->pair[l].K);
		n += (size_t)a->rank * (size_t)(a->pair[l].N + a->pair[l].K);
	}
	a->memory = at = xcalloc(n, sizeof *at);
	for (i = 0; i < n; i++)
		at[i] = ((float)neox_random(&seed, 2000) - 1000) / 4000;
	for (l = 0; l < m->L; l++)
		for (t = 0; t < ADAPTER_TARGETS; t++) {
			p = &a->pair[l * ADAPTER_TARGETS + t];
			if ((a->targets >> t & 1) == 0)
				continue;
			p->a = at;
			p->b = at + a->rank * p->K;
			at += a->rank * (p->N + p->K);
		}
	return (a);
}
