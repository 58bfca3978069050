/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which adapter writes a reply: the one that the request names, or one that the
 * shares of the configuration choose.
 */
#include "adapters.h"

#include <stdlib.h>
#include <string.h>

#include "growbuf.h"
#include "json.h"
#include "settings.h"
#include "sha256.h"
#include "xmalloc.h"

#define ADAPTERS_HEX	16	/* digits of the digest that count */

/* The digest of an adapter. */
const char *
adapters_digest(const json_t *model, const char *name)
{
	const char	*s;
	json_t		*o;
	size_t		 i;

	if (name == NULL || name[0] == '\0')
		return (NULL);
	json_array_foreach(json_object_get(model, "adapters"), i, o) {
		s = msg_string(o, "name");
		if (s != NULL && strcmp(s, name) == 0)
			return (msg_string(o, "digest"));
	}
	return (NULL);
}

/* Is the adapter loaded? */
int
adapters_check(const json_t *model, const json_t *params, struct fault *f)
{
	const char	*name = msg_string(params, "adapter"), *s;
	struct textbuf	 known = { 0 };
	json_t		*o;
	size_t		 i;

	if (name == NULL || name[0] == '\0' ||
	    adapters_digest(model, name) != NULL)
		return (0);
	json_array_foreach(json_object_get(model, "adapters"), i, o) {
		s = msg_string(o, "name");
		textbuf_puts(&known, known.n > 0 ? ", " : "");
		textbuf_puts(&known, s != NULL ? s : "?");
	}
	fault_set(f, "bad_field", "adapter", "adapter: expected \"\"%s%s, "
	    "found \"%.64s\"", known.n > 0 ? " or one of " :
	    ", since no adapter is loaded", known.n > 0 ? known.s : "", name);
	textbuf_clear(&known);
	return (CHAT_EFORMAT);
}

/* A number from 0 to 1 that only depends on key, kind and id. */
static double
adapters_draw(const char *key, char kind, int64_t id)
{
	char		*text = xasprintf("%s/%c%lld", key, kind,
			    (long long)id), hex[SHA256_HEX];
	struct sha256	 sum;

	sha256_init(&sum);
	sha256_add(&sum, text, strlen(text));
	sha256_end(&sum, hex);
	free(text);
	hex[ADAPTERS_HEX] = '\0';
	return ((double)strtoull(hex, NULL, 16) / 18446744073709551616.0);
}

/* Choose a variant. */
const char *
adapters_choose(const struct config *cf, int64_t conversation,
    int64_t exchange)
{
	double	 at, sum = 0;
	size_t	 i;

	if (!cf->ab)
		return (NULL);
	at = conversation != 0 ? adapters_draw(cf->ab_key, 'c', conversation) :
	    adapters_draw(cf->ab_key, 'e', exchange);
	for (i = 0; i < cf->nadapters; i++) {
		sum += cf->adapters[i].share;
		if (at < sum)
			return (cf->adapters[i].name);
	}
	return ("");
}

/* The names and digests. */
json_t *
adapters_known(const json_t *model)
{
	json_t	*list = json_array(), *o, *one;
	size_t	 i;

	json_array_foreach(json_object_get(model, "adapters"), i, o) {
		one = json_object();
		msg_set_string(one, "name", msg_string(o, "name"));
		msg_set_string(one, "digest", msg_string(o, "digest"));
		json_array_append_new(list, one);
	}
	return (list);
}
