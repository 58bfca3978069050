/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The figures of a variant, for store_ab.c.  A variant is an object: its names,
 * what was counted, and sums that store_share_complete takes out again.
 */
#ifndef DAEMON_STORE_SHARE_H
#define DAEMON_STORE_SHARE_H

#include <jansson.h>
#include <stdint.h>

#include "store.h"

/* Count a reply of the variant v for its intervals. cluster is the number of
 * its conversation, or less than 0: that of a raw prompt; the replies of a
 * cluster come one after the other. thumb: 1 good, -1 bad, 0 neither. */
void	 store_share_add(json_t *v, int64_t cluster, int thumb);

/* Add the share of good ratings and its interval, and take the sums out. */
void	 store_share_complete(json_t *v);

/* The difference of the share of "to" less that of "from", with its interval: a
 * new object, or NULL if one of them has no ratings. Both have their sums. */
json_t	*store_share_difference(const json_t *from, const json_t *to);

#endif
