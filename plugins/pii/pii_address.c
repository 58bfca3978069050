/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Street addresses: a house number and a street, in either order; flats,
 * post-office boxes and the addresses of armed forces.
 */
#include "pii_impl.h"

#include <string.h>

#define ADDRESS_PARTS	14
#define ADDRESS_SPAN	160

/* A part of what follows: a word or a number. */
struct pii_part {
	size_t		 p, end;
	uint32_t	 groups;
	unsigned char	 digits;	/* starts with a digit */
	unsigned char	 capital;
	unsigned char	 suffix;	/* ends as streets do */
	unsigned char	 unit;		/* Apt., Suite */
	unsigned char	 cut;		/* the sentence may end before it */
	size_t		 number;	/* digits at its beginning */
};

/* Ends of street names in one word; after the empty one, those that English
 * words have too. */
static const char *const pii_suffixes[] = {
	"stra\xc3\x9f" "e", "strasse", "gasse", "platz", "allee", "straat",
	"laan", "plein", "gracht", "singel", "dreef", "vej", "veien", "vegen",
	"gatan", "gatu", "v\xc3\xa4gen", "v\xc3\xa4g", "st\xc3\xadgur",
	"braut", "katu", "kuja", "polku", "ufer", "steig", "utca", "terasse",
	"terrasse", "all\xc3\xa9", "vangur", "gr\xc3\xa4nd", "stien",
	"toften", "parken", "bakken", "br\xc3\xbc" "cke", "stigen", "torget",
	"gaten", "steenweg", "vegur", "vollen", "kroken", "krogen", "graben",
	"gata", "weg", "",
	"kade", "hof", "gate", "gade", "tie", "damm", "steg", "ring", "markt",
	"tun", "brug", "winkel", "wijk", "baan", "pad", "bakki", "holt",
	"teig", "berg", "str", "park"
};

/* Small words inside the names of streets. */
static const char *const pii_particles[] = {
	"de", "la", "le", "les", "du", "des", "da", "do", "dos", "das", "del",
	"della", "dei", "di", "den", "der", "van", "von", "el", "los", "las",
	"e", "y", "na", "am", "an", "im", "auf", "of", "the", "ten", "zu", "et",
	"ter", "te", "in", "bei", "zum", "zur", "dem", "aan", "op", "delle",
	"degli", "alla", "alle", "der", "och", "und", "sul", "dello"
};

/* Words before the names of streets that are also English. */
static const char *const pii_common[] = {
	"via", "place", "plaza", "passage", "largo", "av", "plaza", "impasse",
	"cours", "strada", "rambla", "paseo"
};

static const char *const pii_units[] = {
	"apt", "apartment", "suite", "ste", "unit", "floor", "flat", "app",
	"whg", "appartement", "bus", "box", "bldg", "building"
};

/* Is the word at p..end in a list? */
static int
pii_listed(struct pii_in *in, size_t p, size_t end, const char *const *list,
    size_t n)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if (strlen(list[i]) == end - p && pii_starts(in, p, list[i]))
			return (1);
	return (0);
}

/* Does a word end as the names of streets do?  2: as few other words do. */
static int
pii_suffix(struct pii_in *in, size_t p, size_t end)
{
	size_t	i, k;
	int	strong = 2;

	for (i = 0; i < sizeof pii_suffixes / sizeof pii_suffixes[0]; i++) {
		k = strlen(pii_suffixes[i]);
		if (k == 0)
			strong = 1;
		else if (end - p >= k + 3 && (in->t[end - 1] | 0x20) ==
		    (pii_suffixes[i][k - 1] | 0x20) && pii_starts(in, end - k,
		    pii_suffixes[i]))
			return (strong);
	}
	return (0);
}

/* Read the next parts after p. Returns their number. */
static size_t
pii_parts(struct pii_in *in, size_t p, struct pii_part *part, size_t most)
{
	size_t		 n = 0, i = p, end;
	unsigned char	 c;
	int		 cut = 0, lines = 0;

	while (n < most && i - p < ADDRESS_SPAN) {
		c = pii_at(in, i);
		if (c == '\n' && (++lines > 5 || pii_at(in, i + 1) == '\n'))
			break;
		if (pii_is(c, B_SPACE) && c != 0) {
			i++;
			continue;
		}
		if (c == '-' && n > 0 && part[n - 1].end == i &&
		    !part[n - 1].digits && pii_is(pii_at(in, i + 1), B_DIGIT))
			break;
		if (c == ',' || c == '>' || c == '-' || c == '\'' ||
		    c == '/' || (c == '?' && lines > 0 && pii_at(in, i + 1) ==
		    '?') || (c == '?' && cut == 3)) {
			cut = c == '?' ? 3 : c == ',' ? 2 : cut;
			i++;
			continue;
		}
		if (c == '.') {
			if (n == 0 || part[n - 1].end != i)
				break;
			cut = (part[n - 1].end - part[n - 1].p <= 5 &&
			    !part[n - 1].digits) || pii_is(pii_at(in, i + 1),
			    B_DIGIT) || pii_at(in, i + 1) == ',' ? 0 : 1;
			if (cut && part[n - 1].digits && pii_at(in, i + 1) ==
			    ' ' && (pii_starts(in, i + 2, "apt") ||
			    pii_starts(in, i + 2, "suite")))
				cut = 0;
			i++;
			continue;
		}
		if (!pii_is(c, B_WORD))
			break;
		memset(&part[n], 0, sizeof part[n]);
		part[n].p = i;
		part[n].groups = pii_words_at(in, i, &end);
		if (in->more || end <= i)
			break;
		part[n].end = end;
		part[n].digits = pii_is(c, B_DIGIT);
		part[n].capital = pii_is(c, B_UPPER) || (c >= 0x80 &&
		    (pii_at(in, i + 1) < 0xa0 || c > 0xc4));
		while (i + part[n].number < end && pii_is((unsigned char)
		    in->t[i + part[n].number], B_DIGIT))
			part[n].number++;
		if (!part[n].digits) {
			part[n].suffix = (unsigned char)pii_suffix(in, i, end);
			part[n].unit = (unsigned char)pii_listed(in, i, end,
			    pii_units, sizeof pii_units / sizeof pii_units[0]);
		}
		part[n].cut = (unsigned char)cut;
		if (cut == 1)
			break;
		cut = cut == 3 ? 3 : 0;
		i = end;
		n++;
	}
	return (n);
}

/* Is the part a small word inside a name? */
static int
pii_particle(struct pii_in *in, const struct pii_part *x)
{
	return (pii_listed(in, x->p, x->end, pii_particles,
	    sizeof pii_particles / sizeof pii_particles[0]));
}

/* How far an address goes on after part k: flat, place, postcode. */
static size_t
pii_extend(struct pii_in *in, const struct pii_part *part, size_t n, size_t k,
    int *unit, int *zip)
{
	size_t	last = k, i;
	int	words = 0;

	for (i = k + 1; i < n; i++) {
		if (part[i].unit && i + 1 < n && part[i + 1].digits) {
			*unit = 1;
			last = ++i;
			words = 0;
		} else if (part[i].digits && words > 0 &&
		    (part[i].number == 5 || (part[i].number >= 3 &&
		    part[i].number <= 6 && (*unit || pii_near(in, W_ADDR,
		    part[0].p, 140))))) {
			*zip = 1;
			return (i);
		} else if (part[i].digits && part[i].number == 5) {
			*zip = 1;
			last = i;
		} else if (!part[i].digits && (part[i].capital ||
		    pii_particle(in, &part[i])) && words < 5)
			words++;
		else
			break;
	}
	return (last);
}

/* Report an address from p to the end of part k, and what belongs to it. */
static int
pii_address(struct pii_in *in, size_t p, const struct pii_part *part,
    size_t n, size_t k, double score)
{
	int	unit = 0, zip = 0;
	size_t	last = pii_extend(in, part, n, k, &unit, &zip);

	if (unit || zip)
		score = score < 0.9 ? 0.9 : score;
	return (pii_found(in, PII_ADDRESS, "pii/address", score, 0, p,
	    part[last].end));
}

/* APO, FPO or DPO, then AA, AE or AP, then a code? */
static int
pii_forces(struct pii_in *in, size_t p)
{
	return ((pii_starts(in, p, "apo a") || pii_starts(in, p, "fpo a") ||
	    pii_starts(in, p, "dpo a") || pii_starts(in, p, "apo, a") ||
	    pii_starts(in, p, "fpo, a")) &&
	    pii_is(pii_at(in, p + 7), B_DIGIT|B_SPACE) &&
	    pii_is(pii_at(in, p + 9), B_DIGIT));
}

/* Does a number, a flat or a comma stand in the next four parts after k? */
static int
pii_numbered(const struct pii_part *part, size_t n, size_t k)
{
	size_t	i;

	for (i = k + 2; i < n && i < k + 6; i++)
		if (part[i].digits || part[i].unit)
			return (1);
	return (0);
}

/* What follows a number that may begin an address. */
struct pii_street {
	struct pii_part	part[ADDRESS_PARTS];
	size_t		n;		/* of part */
	size_t		last;		/* after the street; 0: none */
	size_t		second;		/* a second number; 0: none */
	size_t		read;		/* parts that were looked at */
	size_t		words, caps;	/* of these, words; with a capital */
	int		context, near;	/* a word such as "address", how near */
	int		lower;		/* small letters will do */
	double		score;		/* of a street; 0: none */
};

/* Can an address begin with the number w? The first byte after it. */
static size_t
pii_street_begin(struct pii_in *in, const struct pii_token *w)
{
	unsigned char	before = pii_before(in, w->p), c = pii_at(in, w->end);

	if (w->end - w->p > 6 || (c != ' ' && c != ',') ||
	    (before != '\n' && strchr(" >(\"'\t:,#", before) == NULL) ||
	    before == 0)
		return (0);
	if (c == ',' && pii_at(in, w->end + 1) != ' ')
		return (0);
	return (w->end + 1 + (c == ','));
}

/* Does the word at k say what kind of street it is? Sets score and last. */
static void
pii_street_word(struct pii_in *in, struct pii_street *s, size_t k)
{
	const struct pii_part	*p = &s->part[k], *next = p + 1;
	const int		 more = k + 1 < s->n;

	if ((p->groups & 1u << W_STREET) && (s->words > 1 || p->suffix) &&
	    (s->caps > 0 || s->lower)) {
		s->score = 0.85;
		s->last = k + 1;
	} else if ((p->groups & 1u << W_BEFORE) && s->words <= 2 && more &&
	    (p->capital || s->near || pii_numbered(s->part, s->n, k) ||
	    !pii_listed(in, p->p, p->end, pii_common,
	    sizeof pii_common / sizeof pii_common[0])) && !next->digits &&
	    (next->capital || pii_particle(in, next) || s->lower)) {
		s->score = 0.85;
		s->last = k + 2;
	} else if (p->suffix && (p->capital || s->lower) &&
	    (p->suffix > 1 || s->near) &&
	    (s->near || (more && next->digits))) {
		s->score = 0.85;
		s->last = k + 1;
	} else if ((p->groups & 1u << W_AMBIGUOUS) && s->words > 1 &&
	    (s->caps > 1 || (s->lower && s->context)) &&
	    p[-1].end - p[-1].p > 2 && (s->context || (p->capital &&
	    s->caps == s->words && s->words < 5 &&
	    (!more || next->cut || next->unit)))) {
		s->score = s->near ? 0.85 : 0.7;
		s->last = k + 1;
	}
}

/* Read the parts after the number, up to the end of a street. */
static void
pii_street_read(struct pii_in *in, struct pii_street *s)
{
	const struct pii_part	*p;
	size_t			 k;

	for (k = 0; k < s->n && s->words < 7 && s->part[k].cut < 2; k++) {
		p = &s->part[k];
		if (p->groups & 1u << W_MONTH) {
			s->n = k;
			break;
		}
		if (p->unit && k + 1 < s->n && p[1].digits)
			break;
		if (p->digits && s->words > 0) {
			if (s->second == 0 && p->number <= 4) {
				s->second = k;
				s->last = s->last > 0 ? k : s->last;
			}
			break;
		}
		if (p->digits)
			continue;
		if (!p->capital && !s->lower && !pii_particle(in, p) &&
		    !(p->groups & (1u << W_STREET | 1u << W_BEFORE)))
			break;
		s->words++;
		s->caps += p->capital;
		pii_street_word(in, s, k);
	}
	s->read = k;
	if (s->last > s->n)
		s->last = s->n;
}

/* Without a word for a street: does what follows look like an address? */
static int
pii_street_other(struct pii_in *in, const struct pii_token *w,
    const struct pii_street *s)
{
	const struct pii_part	*second = &s->part[s->second];
	size_t			 last = s->second != 0 ? s->second :
				    s->read - 1;
	int			 unit = 0, zip = 0;
	double			 score = 0;

	if (s->second != 0 && s->caps > 0 && s->near && s->second <= 4 &&
	    (second->number < 4 || (in->t[second->p] != '1' &&
	    in->t[second->p] != '2')))
		score = 0.85;
	pii_extend(in, s->part, s->n, last, &unit, &zip);
	if (unit || (zip && (s->near || s->second != 0)) || (s->near &&
	    s->context && s->caps > 0 && zip))
		score = 0.85;
	if (score == 0 && s->context && s->caps > 0 && s->words <= 5 &&
	    s->part[0].digits && pii_near(in, W_LIVE, w->p, 40))
		score = 0.6;
	return (score > 0 && pii_address(in, w->p, s->part, s->n, last,
	    score));
}

/* An address that begins with the number w: "10 Downing Street"? */
int
pii_address_number(struct pii_in *in, const struct pii_token *w)
{
	struct pii_street	s = { .n = 0 };
	size_t			k = pii_street_begin(in, w), end = 0;
	unsigned char		c;

	if (k == 0 || !pii_is(c = pii_at(in, k), B_WORD))
		return (0);
	s.context = pii_near(in, W_ADDR, w->p, 40);
	s.near = pii_near(in, W_ADDR, w->p, 120);
	s.lower = s.context && pii_is(c, B_LOWER);
	if (!pii_is(c, B_UPPER|B_HIGH|B_DIGIT) && !s.near &&
	    !(pii_words_at(in, k, &end) & 1u << W_BEFORE))
		return (0);
	s.n = pii_parts(in, w->end, s.part, ADDRESS_PARTS);
	if (in->more)
		return (0);
	pii_street_read(in, &s);
	if (s.score > 0) {
		if (s.second != 0 && s.second + 1 > s.last &&
		    s.second <= s.last + 2)
			s.last = s.second + 1;
		return (pii_address(in, w->p, s.part, s.n, s.last - 1,
		    s.score));
	}
	if (s.words == 0 || s.read == 0 || s.n == 0)
		return (0);
	return (pii_street_other(in, w, &s));
}

/* A box: "P.O. Box 21", "Postbox 21", "PSC 3294, Box 9168". */
static int
pii_box(struct pii_in *in, const struct pii_token *w)
{
	static const char *const boxes[] = { "postbox", "postboks", "postfach",
		"postbus", "casilla", "apartado", "pobox", "box" };
	static const char *const forces[] = { "psc", "unit", "cmr" };
	struct pii_part	part[ADDRESS_PARTS];
	size_t		n, i, k;

	if (w->end - w->p == 3 && pii_forces(in, w->p))
		return (pii_found(in, PII_ADDRESS, "pii/address", 0.9, 0, w->p,
		    w->p + 7));
	if (w->end - w->p == 1 && (in->t[w->p] | 0x20) == 'p' &&
	    pii_starts(in, w->p, "p.o. box ")) {
		i = w->p + 9;
		goto number;
	}
	if (pii_listed(in, w->p, w->end, forces, 3) && pii_at(in, w->end) ==
	    ' ' && pii_is(pii_at(in, w->end + 1), B_DIGIT)) {
		n = pii_parts(in, w->end, part, 8);
		if (in->more)
			return (0);
		for (k = 1; k < n && k < 6; k++)
			if (pii_starts(in, part[k].p, "box") && k + 1 < n &&
			    part[k + 1].digits) {
				for (i = k + 2; i + 2 < n && i < k + 4; i++)
					if (pii_forces(in, part[i].p))
						k = i + 1;
				return (pii_found(in, PII_ADDRESS,
				    "pii/address", 0.9, 0, w->p,
				    part[k + 1].end));
			}
		return (0);
	}
	if (!pii_listed(in, w->p, w->end, boxes, 7) || pii_at(in, w->end) !=
	    ' ')
		return (0);
	i = w->end + 1;
number:
	for (k = i; k < i + 7 && pii_is(pii_at(in, k), B_DIGIT); k++)
		;
	return (k > i && pii_found(in, PII_ADDRESS, "pii/address", 0.8, 0,
	    w->p, k));
}

/* "the corner of X and Y": two names, one of a street or with a number. */
static int
pii_corner(struct pii_in *in, const struct pii_token *w)
{
	struct pii_part	part[ADDRESS_PARTS];
	size_t		n, k, last = 0;
	int		both = 0, street = 0, lower;

	n = pii_parts(in, w->end, part, 10);
	if (in->more || n < 4 || !pii_starts(in, part[0].p, "of"))
		return (0);
	lower = !part[1].capital && !part[1].digits;
	for (k = 1; k < n; k++) {
		if (pii_starts(in, part[k].p, "and") && part[k].end ==
		    part[k].p + 3) {
			if (both || k == 1)
				break;
			both = 1;
			continue;
		}
		if (part[k].cut > 1 || (!part[k].capital && !part[k].digits &&
		    !lower && !pii_particle(in, &part[k]) &&
		    !(part[k].groups & 1u << W_STREET)))
			break;
		street |= part[k].digits || part[k].suffix ||
		    (part[k].groups & (1u << W_STREET | 1u << W_AMBIGUOUS |
		    1u << W_BEFORE)) != 0;
		last = k;
	}
	if (!both || !street || last < 3)
		return (0);
	return (pii_found(in, PII_ADDRESS, "pii/address", 0.8, 0, part[1].p,
	    part[last].end));
}

/* An address that begins with a word: "Hauptstrasse 5", "Via Roma 131"? */
int
pii_address_word(struct pii_in *in, const struct pii_token *w,
    uint32_t groups)
{
	struct pii_part	part[ADDRESS_PARTS];
	unsigned char	c = pii_at(in, w->end);
	size_t		n, k, from = 0;
	int		context, before, suffix, capital, high, live;

	if (w->end - w->p == 1 && c == '.' && (in->t[w->p] | 0x20) == 'p')
		return (pii_box(in, w));
	if (c != ' ' && !(c == '.' && (pii_at(in, w->end + 1) == ' ' ||
	    pii_is(pii_at(in, w->end + 1), B_DIGIT))) && c != '-')
		return (0);
	if (w->end - w->p >= 3 && w->end - w->p <= 8 &&
	    strchr("abcdfpuABCDFPU", in->t[w->p]) != NULL && pii_box(in, w))
		return (1);
	if (w->end - w->p == 6 && pii_starts(in, w->p, "corner") &&
	    pii_corner(in, w))
		return (1);
	high = (unsigned char)in->t[w->p] >= 0x80;
	capital = pii_is((unsigned char)in->t[w->p], B_UPPER) || high;
	context = pii_near(in, W_ADDR, w->p, 40) && !(groups & 1u << W_ADDR);
	live = pii_near(in, W_LIVE, w->p, 24) && capital && c != '-';
	if (groups & 1u << W_MONTH)
		return (0);
	before = (groups & 1u << W_BEFORE) && (capital || context ||
	    (c == '.' && pii_starts(in, w->p, "ul")));
	suffix = capital || context ? pii_suffix(in, w->p, w->end) : 0;
	if (suffix == 1 && !context)
		suffix = 0;
	if (!before && !(suffix && (capital || context)) && !(context && live))
		return (0);
	n = pii_parts(in, w->end + (c == '.'), part, ADDRESS_PARTS);
	if (in->more || n == 0)
		return (0);
	if (suffix && part[0].digits && part[0].number <= 4 &&
	    part[0].end - part[0].p <= 5 && part[0].cut == 0)
		return (pii_address(in, w->p, part, n, 0, 0.85));
	for (k = 0; k < n && k < 8 && part[k].cut < 2; k++) {
		if (part[k].groups & 1u << W_MONTH)
			return (0);
		if (part[k].digits) {
			if (part[k].number > 4 || (k == 0 && !before &&
			    part[k].number == 4))
				break;
			if (k > 0 && (part[k - 1].groups & 1u << W_BEFORE) &&
			    k == 1 && !before)
				break;
			if (k + 1 < n && part[k + 1].cut == 0 && !before &&
			    from == 0 && (part[k + 1].groups & 1u <<
			    W_STREET) == 0 && !part[k + 1].unit &&
			    !part[k + 1].capital && !context)
				break;
			if (before && k > 0)
				return (pii_address(in, w->p, part, n, k,
				    0.85));
			if (from != 0)
				return (pii_address(in, w->p, part, n, k,
				    0.8));
			return (context && live && k < 4 && part[k].number
			    <= 3 && pii_address(in, w->p, part, n, k, 0.6));
		}
		if (!part[k].capital && !pii_particle(in, &part[k]) &&
		    !(part[k].groups & 1u << W_STREET))
			break;
		if ((part[k].groups & 1u << W_STREET) || part[k].suffix)
			from = k + 1;
	}
	if (context && from != 0 && live && part[from - 1].suffix != 1)
		return (pii_address(in, w->p, part, n, from - 1, 0.6));
	return (0);
}
