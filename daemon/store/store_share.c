/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The figures of "ab": the share of good ratings of a variant, the difference
 * of two shares, and their intervals of 95 per cent.
 *
 * A share has the interval of E. B. Wilson ("Probable inference, the law of
 * succession, and statistical inference", 1927).  The difference of two shares
 * has the interval that R. G. Newcombe makes from two of these ("Interval
 * estimation for the difference between independent proportions", 1998, method
 * 10).
 *
 * model.ab assigns conversations, and the ratings of one conversation are
 * alike.  So the number of ratings is divided by the design effect of L. Kish
 * ("Survey Sampling", 1965): the variance of the share, with conversations as
 * clusters (his ratio mean, 6.3), by the variance that independent ratings
 * would have.  If all ratings are the same, this is 0 by 0.  Then the ratings
 * of a conversation are taken as one opinion (his roh is 1).
 */
#include "store_share.h"

#include <math.h>

#include "json.h"
#include "vocabulary.h"
#include "xmalloc.h"

#define SHARE_Z		1.959963984540054	/* of 95 per cent, two sides */

/* A share, its interval, and the design effect of its ratings. */
struct store_share {
	double		 p, low, high, effect;
};

/* Count a reply of a cluster (a conversation, or a raw prompt): 1 is good, -1
 * bad, 0 not rated so. The replies of a cluster come together. nn, gn and gg
 * are the sums over all clusters of n * n, g * n and g * g, for n ratings in a
 * cluster, of which g are good. */
void
store_share_add(json_t *v, int64_t cluster, int thumb)
{
	int64_t	g, n;

	if (msg_int(v, "cluster", 0) != cluster) {
		msg_set_int(v, "cluster", cluster);
		msg_set_int(v, "conversations", msg_int(v, "conversations",
		    0) + 1);
		msg_set_int(v, "g", 0);
		msg_set_int(v, "n", 0);
	}
	if (thumb == 0)
		return;
	g = msg_int(v, "g", 0);
	n = msg_int(v, "n", 0);
	msg_set_int(v, "nn", msg_int(v, "nn", 0) + 2 * n + 1);
	msg_set_int(v, "gn", msg_int(v, "gn", 0) + g + (thumb > 0 ? n + 1 :
	    0));
	msg_set_int(v, "gg", msg_int(v, "gg", 0) + (thumb > 0 ? 2 * g + 1 :
	    0));
	msg_set_int(v, "clusters", msg_int(v, "clusters", 0) + (n == 0));
	msg_set_int(v, "g", g + (thumb > 0));
	msg_set_int(v, "n", n + 1);
}

/* The design effect of n ratings with the share p of good ones: at least 1. */
static double
store_share_effect(const json_t *v, double p, double n)
{
	const double	 nn = (double)msg_int(v, "nn", 0);
	const double	 gn = (double)msg_int(v, "gn", 0);
	const double	 gg = (double)msg_int(v, "gg", 0);
	const double	 k = (double)msg_int(v, "clusters", 0);

	if (nn <= n)		/* one rating in each */
		return (1);
	if (k < 2 || p <= 0 || p >= 1)
		return (nn / n);
	return (fmax(1, k * (n - 1) * (gg - 2 * p * gn + p * p * nn) /
	    ((k - 1) * n * n * p * (1 - p))));
}

/* Wilson's interval of the share p of n ratings, n above 0. */
static void
store_share_interval(double p, double n, struct store_share *out)
{
	const double	 z2 = SHARE_Z * SHARE_Z;
	const double	 centre = (p + z2 / (2 * n)) / (1 + z2 / n);
	const double	 half = SHARE_Z / (1 + z2 / n) *
			    sqrt(p * (1 - p) / n + z2 / (4 * n * n));

	out->p = p;
	out->low = fmax(0, centre - half);
	out->high = fmin(1, centre + half);
}

/* The share of a variant. Returns 0 if none of its replies was rated. */
static int
store_share_read(const json_t *v, struct store_share *out)
{
	const double	 good = (double)msg_int(v, "good", 0);
	const double	 n = good + (double)msg_int(v, "bad", 0);

	if (n <= 0)
		return (0);
	out->effect = store_share_effect(v, good / n, n);
	store_share_interval(good / n, n / out->effect, out);
	return (1);
}

/* Newcombe's interval of the difference. */
json_t *
store_share_difference(const json_t *from, const json_t *to)
{
	struct store_share	 a, b;
	json_t		*o;
	double		 d;

	if (!store_share_read(from, &a) || !store_share_read(to, &b))
		return (NULL);
	d = b.p - a.p;
	o = json_object();
	msg_set_real(o, "difference", d);
	msg_set_real(o, "low", d - hypot(b.p - b.low, a.high - a.p));
	msg_set_real(o, "high", d + hypot(b.high - b.p, a.p - a.low));
	return (o);
}

/* Complete a variant: each count, and its share. */
void
store_share_complete(json_t *v)
{
	static const char *const work[] = { "cluster", "clusters", "g", "n",
	    "gg", "gn", "nn", "last" };
	const char *const *word;
	struct store_share	 s;
	size_t		 i;

	for (word = vocabulary_thumbs; *word != NULL; word++)
		msg_set_int(v, *word, msg_int(v, *word, 0));
	msg_set_int(v, "rated", msg_int(v, "good", 0) + msg_int(v, "bad", 0));
	if (store_share_read(v, &s)) {
		msg_set_real(v, "share", s.p);
		msg_set_real(v, "low", s.low);
		msg_set_real(v, "high", s.high);
		msg_set_real(v, "design_effect", s.effect);
	} else
		msg_set(v, "share", json_null());
	for (i = 0; i < nitems(work); i++)
		json_object_del(v, work[i]);
}
