/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pass over a text: reads words, and asks the scanners what begins there.
 */
#include "pii.h"

#include <string.h>
#include <stdlib.h>

#include "pii_impl.h"
#include "xmalloc.h"

#define L	(B_LOWER|B_RUN|B_LOCAL)
#define U	(B_UPPER|B_RUN|B_LOCAL)
#define D	(B_DIGIT|B_HEX|B_RUN|B_LOCAL)
#define LX	(L|B_HEX)
#define UX	(U|B_HEX)
#define R	B_RUN
#define S	B_SPACE
#define RL	(B_RUN|B_LOCAL)
#define M	B_LOCAL

const unsigned char pii_class[256] = {
	[0] = S, ['\t'] = S, ['\n'] = S, ['\r'] = S, [' '] = S, ['%'] = M,
	['+'] = RL, ['-'] = RL, ['.'] = RL, ['/'] = R, ['_'] = RL,
	['0'] = D, D, D, D, D, D, D, D, D, D,
	['A'] = UX, UX, UX, UX, UX, UX, U, U, U, U, U, U, U, U, U, U, U, U, U,
	U, U, U, U, U, U, U,
	['a'] = LX, LX, LX, LX, LX, LX, L, L, L, L, L, L, L, L, L, L, L, L, L,
	L, L, L, L, L, L, L,
	[0xc3] = B_HIGH, B_HIGH, B_HIGH, B_HIGH, B_HIGH, B_HIGH, B_HIGH,
	B_HIGH, B_HIGH, B_HIGH, B_HIGH, B_HIGH, B_HIGH, B_HIGH, B_HIGH, B_HIGH,
	B_HIGH, B_HIGH, B_HIGH, B_HIGH, B_HIGH, B_HIGH, B_HIGH, B_HIGH, B_HIGH,
	B_HIGH, B_HIGH, B_HIGH, B_HIGH,		/* to 0xdf: two bytes */
	[0xe1] = B_HIGH,			/* Greek, Georgian and others */
};

static const char *const pii_kind_names[PII_KINDS] = {
	"card", "iban", "bank", "id", "phone", "email", "address", "ip",
	"birth", "key", "token", "url", "secret", "password"
};

/* Make a search. */
struct pii *
pii_new(void)
{
	struct pii	*pii = xcalloc(1, sizeof *pii);

	pii_words_init(pii);
	return (pii);
}

/* Release it. */
void
pii_free(struct pii *pii)
{
	free(pii);
}

/* Switch a kind on or off. */
int
pii_set_kind(struct pii *pii, const char *name, int on, struct fault *f)
{
	size_t	i;

	for (i = 0; i < PII_KINDS; i++) {
		if (strcmp(name, pii_kind_names[i]) == 0) {
			pii->off[i] = !on;
			return (0);
		}
	}
	return (fault_set(f, "bad_config", "off",
	    "off: \"%.40s\" is not a kind of finding", name));
}

/* Also find private addresses. */
void
pii_set_private(struct pii *pii, int on)
{
	pii->private_too = on;
}

/* Record what was found. A kind that is off is skipped as if it were found, so
 * that no other scanner takes its text for something else. */
int
pii_found(struct pii_in *in, enum pii_kind kind, const char *rule,
    double score, int proven, size_t start, size_t end)
{
	in->f = (struct pii_found){ rule, score, proven, kind, start, end };
	return (1);
}

/* Read a word of at most 512 bytes, whole characters. */
static void
pii_read(struct pii_in *in, size_t p, struct pii_token *w)
{
	unsigned char	 c;
	uint32_t	 h = 2166136261u;

	*w = (struct pii_token){ .p = p, .end = p };
	while (w->end - p < 512) {
		c = pii_at(in, w->end);
		if (pii_is(c, B_DIGIT))
			w->digits++;
		else if (pii_is(c, B_LOWER))
			w->lowers++;
		else if (pii_is(c, B_UPPER)) {
			w->uppers++;
			c |= 0x20;
		} else if (pii_is(c, B_HIGH)) {
			w->high++;
			w->end += c < 0xe0 ? 2 : 3;
			continue;
		} else
			break;
		h = (h ^ c) * 16777619u;
		w->end++;
	}
	w->hash = h;
}

/* Note that a word of some groups ended at byte end of the piece. */
static void
pii_note(struct pii_in *in, uint32_t groups, size_t end)
{
	struct pii_scan	*s = in->scan;
	int		 i;

	if (groups == 0)
		return;
	if ((groups & 1u << W_KEY) && !pii_near(in, W_NOTKEY, end, 12))
		groups |= 1u << W_SECRET;
	if ((groups & 1u << W_NATIONAL) && pii_near(in, W_SOCIAL, end, 16))
		groups |= 1u << W_SSN;
	for (i = 0; i < W_WORDS; i++)
		if (groups & 1u << i)
			s->word[i] = in->offset + end;
}

/* Note the words in camelCase and after digits, as in clientSecret. */
static void
pii_note_parts(struct pii_in *in, const struct pii_token *w)
{
	size_t		 p, q;
	uint32_t	 h;
	unsigned char	 c;

	for (p = w->p; p < w->end; p = q) {
		h = 2166136261u;
		for (q = p; q < w->end; q++) {
			c = (unsigned char)in->t[q];
			if (q > p && pii_is(c, B_UPPER) &&
			    pii_is((unsigned char)in->t[q - 1], B_LOWER))
				break;
			if (c < 0x80)
				h = (h ^ (c | (pii_is(c, B_UPPER) ? 0x20 :
				    0))) * 16777619u;
		}
		pii_note(in, pii_words_find(in->pii, in->t + p, q - p, h), q);
	}
}

/* Note a word such as PGPASSWORD by its end. */
static void
pii_note_end(struct pii_in *in, const struct pii_token *w)
{
	static const char *const ends[] = { "password", "passwd", "secret",
		"token", "apikey" };
	size_t	i, k;

	for (i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		k = strlen(ends[i]);
		if (w->end - w->p > k && pii_starts(in, w->end - k, ends[i]))
			pii_note(in, i < 2 ? 1u << W_PASS : 1u << W_SECRET,
			    w->end);
	}
}

/* Scanners for a word that has digits, or goes on after its end. */
static int
pii_try(struct pii_in *in, const struct pii_token *w, unsigned char before)
{
	int	fresh = !pii_is(before, B_RUN);

	if (pii_format(in, w))
		return (1);
	if (w->digits > 0 && w->lowers + w->uppers + w->high == 0)
		return (pii_number(in, w) || (!pii_is(before, B_LOCAL) &&
		    pii_email(in, w)));
	if (pii_url(in, w))
		return (1);
	if (!pii_is(before, B_LOCAL) && pii_email(in, w))
		return (1);
	if (w->digits > 0 && (pii_iban(in, w) || pii_lettered_id(in, w)))
		return (1);
	if (w->end - w->p <= 4 && pii_ipv6(in, w->p))
		return (1);
	return (fresh && pii_generic(in, w));
}

/* What begins at the word? */
static int
pii_word_scan(struct pii_in *in, const struct pii_token *w, uint32_t groups)
{
	unsigned char	before = pii_before(in, w->p);
	unsigned char	next = pii_at(in, w->end);

	if (pii_is(before, B_SPACE) || strchr("\"'`=:(>[", before) != NULL) {
		if (pii_value(in, w->p))
			return (1);
	}
	if (w->digits > 0 || w->end - w->p >= 20 || (next != 0 &&
	    strchr("@_-.+/:%", next) != NULL)) {
		if (pii_try(in, w, before))
			return (1);
	}
	if (w->digits == w->end - w->p || (w->digits > 0 && w->digits >=
	    w->end - w->p - 1))
		return (pii_address_number(in, w));
	if (pii_address_word(in, w, groups))
		return (1);
	if ((next == ' ' || next == '(' || next == '[') && w->end - w->p >= 2)
		return (pii_spoken_email(in, w));
	return (0);
}

/* Look at the place p. Returns the next place, p if more text is needed. */
static size_t
pii_step(struct pii_in *in, size_t p)
{
	unsigned char		 c = (unsigned char)in->t[p];
	struct pii_token	 w;
	uint32_t		 groups;

	in->f.rule = NULL;
	if (pii_is(c, B_WORD)) {
		pii_read(in, p, &w);
		if (in->more)
			return (p);
		groups = pii_words_find(in->pii, in->t + p, w.end - p, w.hash);
		if (pii_word_scan(in, &w, groups) && !in->more)
			return (in->f.end);
		if (in->more)
			return (p);
		in->f.rule = NULL;
		if (groups != 0)
			pii_note(in, groups, w.end);
		else if (w.uppers > 0 && w.lowers > 0)
			pii_note_parts(in, &w);
		else if (w.end - p >= 8 && w.digits == 0 && strchr("dtny",
		    in->t[w.end - 1] | 0x20) != NULL)
			pii_note_end(in, &w);
		return (w.end);
	}
	if (c == '-' && pii_pem(in, p) && !in->more)
		return (in->f.end);
	if ((c == '+' || c == '(') && pii_plus_phone(in, p) && !in->more)
		return (in->f.end);
	if (c == ':' && pii_ipv6(in, p) && !in->more)
		return (in->f.end);
	if (!pii_is(c, B_SPACE) && c < 0x80 && strchr("\"'`=:,;.()<>[]{}|&?",
	    c) == NULL && pii_value(in, p) && !in->more)
		return (in->f.end);
	if (in->more)
		return (p);
	in->f.rule = NULL;
	for (p++; p < in->len && ((unsigned char)in->t[p] & 0xc0) == 0x80; p++)
		;
	return (p);
}

/* Search a piece. */
size_t
pii_match(const struct pii *pii, struct pii_scan *scan,
    const struct pii_piece *piece, void (*found)(void *,
    const struct pii_found *), void *arg)
{
	struct pii_in	 in = { .pii = pii, .scan = scan, .t = piece->text,
			    .len = piece->len, .offset = piece->offset,
			    .final = piece->final };
	size_t		 p, next;

	p = scan->pos > piece->offset ? (size_t)(scan->pos - piece->offset) :
	    0;
	while (p < in.len) {
		in.more = 0;
		next = pii_step(&in, p);
		if (in.more || next == p)
			break;
		if (in.f.rule != NULL && !pii->off[in.f.kind])
			found(arg, &in.f);
		p = next;
	}
	scan->pos = piece->offset + p;
	return (p);
}
