/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first weights of a new model.
 */
#ifndef TUNE_BEGIN_H
#define TUNE_BEGIN_H

#include <stdint.h>

#include "net.h"

/* As the reference library begins: normal, deviation 0.02; norms are 1. */
void	 begin_normal(struct net *n, uint64_t seed);

/*
 * With heads that copy: the first head of layer 0 looks at the previous token;
 * the first head of some later layers looks for the token after an earlier
 * place of the current token, and copies it. Other output matrices are 0, so
 * that layers do nothing at first.
 */
void	 begin_induction(struct net *n, uint64_t seed);

#endif
