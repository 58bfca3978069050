/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the misuse categories, directions and actions.  The categories are
 * those that the model card of GPT-NeoXT-Chat-Base-20B names under "Misuse
 * and Malicious Use"; other_unsafe is what it does not name.
 */
#include "chatd.h"

#include <string.h>

static const char *const category_names[CATEGORIES] = {
	"misinformation", "hate", "violence", "impersonation", "harassment",
	"defamation", "spam_scam", "confidential", "terms_violation",
	"malicious_bot", "illegal", "other_unsafe",
};

/* Name a direction. */
const char *
direction_name(enum direction d)
{
	return (d == DIRECTION_PROMPT ? "prompt" : "reply");
}

/* Name a category. */
const char *
category_name(int i)
{
	return (category_names[i]);
}

/* Number a category. */
int
category_find(const char *slug)
{
	int	 i;

	for (i = 0; i < CATEGORIES; i++) {
		if (strcmp(category_names[i], slug) == 0)
			return (i);
	}
	return (-1);
}

/* Name an action. */
const char *
action_name(enum action a)
{
	static const char *const names[] = { "allow", "flag", "redact",
	    "block" };

	return (names[a]);
}
