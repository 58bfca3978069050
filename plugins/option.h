/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the plugins that come with chatd: an option that takes one value. A list
 * in chatd.yaml gives one option for each item, all with the same key.
 */
#ifndef PLUGINS_OPTION_H
#define PLUGINS_OPTION_H

#include <stdint.h>
#include <string.h>

#include "chatd-filter.h"

/* Has an option before list[i] the same key, which is neither many nor also
 * (each NULL, or a key that may have several values)? */
static inline int
option_repeats(const struct chat_filter_option *list, uint64_t i,
    const char *many, const char *also)
{
	const char	*key = list[i].key;
	uint64_t	 k;

	if ((many != NULL && strcmp(key, many) == 0) ||
	    (also != NULL && strcmp(key, also) == 0))
		return (0);
	for (k = 0; k < i; k++) {
		if (strcmp(list[k].key, key) == 0)
			return (1);
	}
	return (0);
}

#endif
