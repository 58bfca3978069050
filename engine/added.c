/*
 * Search for added tokens: few strings, kept by first byte, longest first.
 */
#include "added.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

struct added {
	char	*s;		/* owned */
	size_t	 len;
	int32_t	 id;
	int	 special;
};

struct added_set {
	struct added	*item;		/* owned */
	size_t		 n;
	size_t		 first[257];	/* items that begin with byte b:
					 * first[b] .. first[b + 1] - 1 */
};

/* Make an empty set. */
struct added_set *
added_new(void)
{
	return (xcalloc(1, sizeof(struct added_set)));
}

/* Release a set. */
void
added_free(struct added_set *a)
{
	size_t	 i;

	if (a == NULL)
		return;
	for (i = 0; i < a->n; i++)
		free(a->item[i].s);
	free(a->item);
	free(a);
}

/* Add one string. */
void
added_add(struct added_set *a, const char *s, size_t n, int32_t id,
    int special)
{
	a->item = xreallocarray(a->item, a->n + 1, sizeof *a->item);
	a->item[a->n++] = (struct added){ xstrndup(s, n), n, id, special };
}

/* Order by first byte, then longest first. */
static int
added_cmp(const void *x, const void *y)
{
	const struct added	*a = x, *b = y;
	unsigned char		 c = (unsigned char)a->s[0];
	unsigned char		 d = (unsigned char)b->s[0];

	if (c != d)
		return (c < d ? -1 : 1);
	return (a->len > b->len ? -1 : a->len < b->len);
}

/* Sort and index. */
void
added_seal(struct added_set *a)
{
	size_t	 i, b = 0;

	if (a->n > 0)
		qsort(a->item, a->n, sizeof *a->item, added_cmp);
	for (i = 0; i < a->n; i++) {
		while (b <= (unsigned char)a->item[i].s[0])
			a->first[b++] = i;
	}
	while (b <= 256)
		a->first[b++] = a->n;
}

/* Find the first one. */
int
added_find(const struct added_set *a, const char *s, size_t n, int special,
    struct added_match *m)
{
	const struct added	*t;
	size_t			 i, k;
	unsigned char		 c;

	for (i = 0; i < n; i++) {
		c = (unsigned char)s[i];
		for (k = a->first[c]; k < a->first[c + 1]; k++) {
			t = &a->item[k];
			if (t->len > n - i || (t->special && !special) ||
			    memcmp(t->s, s + i, t->len) != 0)
				continue;
			*m = (struct added_match){ i, t->len, t->id };
			return (1);
		}
	}
	return (0);
}
