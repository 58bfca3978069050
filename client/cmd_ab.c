/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl ab: how the replies of each variant were rated, and how far the
 * variants differ.
 */
#include "chatctl.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "vocabulary.h"
#include "xmalloc.h"

static char	*ab_name(const json_t *, const json_t *);
static void	ab_variants(const json_t *);
static void	ab_notes(const json_t *, const json_t *);
static void	ab_differences(const json_t *, const json_t *);

/* chatctl ab */
int
cmd_ab(struct ctl *ctl, int argc, char **argv)
{
	json_t	*m, *end, *variants;
	int	 status;

	(void)argc;
	(void)argv;
	m = msg_op("ab", -1);
	if ((status = filter_add(ctl, m)) != CTL_OK ||
	    (status = link_open(ctl)) != CTL_OK) {
		json_decref(m);
		return (status);
	}
	if (ctl->opt.any)
		msg_set_bool(m, "any", 1);
	status = link_call(ctl, m, NULL, NULL, &end);
	variants = json_object_get(end, "variants");
	if (status == CTL_OK && ctl->opt.json)
		term_json(end);
	else if (status == CTL_OK && json_array_size(variants) == 0)
		term_note("no such replies%s", ctl->opt.any ? "" :
		    "; --any also counts those that model.ab did not assign");
	else if (status == CTL_OK) {
		ab_variants(variants);
		ab_differences(variants, json_object_get(end, "differences"));
		ab_notes(variants, end);
	}
	json_decref(end);
	return (status);
}

/* Do two variants have the same value of a key? */
static int
ab_same(const json_t *a, const json_t *b, const char *key)
{
	return (json_equal(json_object_get(a, key), json_object_get(b, key)));
}

/* Name a part of a variant: an adapter or a model. "@" and the start of its
 * digest follow if another variant has a part of that name with another
 * digest. */
static char *
ab_part(const json_t *variants, const json_t *v, const char *key,
    const char *digest_key)
{
	const char	*name = msg_string(v, key);
	const char	*digest = msg_string(v, digest_key), *colon;
	const json_t	*o;
	size_t		 i;
	int		 twice = 0;

	json_array_foreach(variants, i, o)
		twice = twice || (ab_same(o, v, key) &&
		    !ab_same(o, v, digest_key));
	if (name == NULL || name[0] == '\0')
		name = ADAPTER_BASE_NAME;
	if (!twice || digest == NULL)
		return (xstrdup(name));
	colon = strchr(digest, ':');
	return (xasprintf("%s@%.8s", name, colon != NULL ? colon + 1 :
	    digest));
}

/* Name a variant: by its adapter, and by its model if there are several. */
static char *
ab_name(const json_t *variants, const json_t *v)
{
	char		*adapter, *model, *name, *safe;
	const json_t	*o;
	size_t		 i;
	int		 models = 0;

	json_array_foreach(variants, i, o)
		models = models || !ab_same(o, v, "model") ||
		    !ab_same(o, v, "digest");
	adapter = ab_part(variants, v, "adapter", "adapter_digest");
	model = ab_part(variants, v, "model", "digest");
	name = models ? xasprintf("%s of %s", adapter, model) :
	    xstrdup(adapter);
	safe = render_line(name);
	free(adapter);
	free(model);
	free(name);
	return (safe);
}

/* Print a share in per cent, with its interval. */
static void
ab_share(const json_t *o, const char *key, const char *form)
{
	printf(form, 100 * msg_real(o, key, 0), 100 * msg_real(o, "low", 0),
	    100 * msg_real(o, "high", 0));
}

/* The longest name, in bytes. */
static int
ab_width(const json_t *variants)
{
	const json_t	*v;
	char		*name;
	size_t		 i, width = 8;

	json_array_foreach(variants, i, v) {
		name = ab_name(variants, v);
		if (strlen(name) > width)
			width = strlen(name);
		free(name);
	}
	return ((int)width);
}

/* Print a line for each variant. */
static void
ab_variants(const json_t *variants)
{
	const int	 width = ab_width(variants);
	const json_t	*v;
	char		*name;
	size_t		 i;

	printf("%s%-*s %13s %7s %6s %6s  %s%s\n", term_on(1, ROLE_BOLD),
	    width, "variant", "conversations", "replies", "rated", "good",
	    "share good, 95 %", term_off(1));
	json_array_foreach(variants, i, v) {
		name = ab_name(variants, v);
		printf("%-*s %13lld %7lld %6lld %6lld  ", width, name,
		    (long long)msg_int(v, "conversations", 0),
		    (long long)msg_int(v, "replies", 0),
		    (long long)msg_int(v, "rated", 0),
		    (long long)msg_int(v, "good", 0));
		if (json_is_number(json_object_get(v, "share")))
			ab_share(v, "share", "%5.1f %% (%.1f to %.1f)\n");
		else
			printf("not known\n");
		free(name);
	}
}

/* Print a line for each difference. */
static void
ab_differences(const json_t *variants, const json_t *list)
{
	const json_t	*d;
	char		*from, *to;
	size_t		 i;

	json_array_foreach(list, i, d) {
		from = ab_name(variants, json_array_get(variants,
		    (size_t)msg_int(d, "from", 0)));
		to = ab_name(variants, json_array_get(variants,
		    (size_t)msg_int(d, "to", 0)));
		printf("%s minus %s: ", to, from);
		ab_share(d, "difference", "%+.1f points (%+.1f to %+.1f)");
		printf("%s\n", msg_real(d, "low", 0) <= 0 &&
		    msg_real(d, "high", 0) >= 0 ?
		    ", which may be chance" : "");
		free(from);
		free(to);
	}
}

/* Say what the intervals allow for, and what is not shown. */
static void
ab_notes(const json_t *variants, const json_t *end)
{
	const int64_t	 further = msg_int(end, "further", 0);
	const json_t	*v;
	size_t		 i;
	int		 several = 0;

	json_array_foreach(variants, i, v)
		several = several || msg_real(v, "design_effect", 1) > 1;
	if (several)
		printf("Some conversations have several ratings, which depend "
		    "on each other; the\nintervals are wider for it.\n");
	if (further > 0)
		printf("%lld replies of further variants are not shown; give "
		    "--since or --until.\n", (long long)further);
}
