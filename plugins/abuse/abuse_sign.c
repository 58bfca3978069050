/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signature of a prompt: a SimHash (Charikar 2002) of its folded words and
 * of its pairs of neighbours. Numbers, links and addresses count as one word
 * each, whatever they are, because they are what mass messages vary.
 */
#include "abuse.h"

#include <string.h>

#include "confusable.h"
#include "fold.h"

#define SIGN_PLANES	16	/* counts up to 65535: more than there are */

/* The sums of a SimHash: bit b of plane p is bit p of the count of b. */
struct sign_sums {
	uint64_t	 plane[SIGN_PLANES];
	uint32_t	 n;		/* of what was added */
};

/* Mix the bits of a number (the finalizer of MurmurHash3). */
static uint64_t
sign_mix(uint64_t h)
{
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64_C(0xc4ceb9fe1a85ec53);
	return (h ^ h >> 33);
}

/* Hash bytes, never to 0. */
static uint64_t
sign_hash(const char *s, size_t len)
{
	uint64_t	 h = UINT64_C(0xcbf29ce484222325);
	size_t		 i;

	for (i = 0; i < len; i++)
		h = (h ^ (unsigned char)s[i]) * UINT64_C(0x100000001b3);
	return (sign_mix(h) | 1);
}

/* Add a feature. */
static void
sign_add(struct sign_sums *sums, uint64_t h)
{
	uint64_t	 old;
	int		 i;

	for (i = 0; h != 0 && i < SIGN_PLANES; i++) {
		old = sums->plane[i];
		sums->plane[i] = old ^ h;
		h &= old;
	}
	sums->n++;
}

/* The bits that more than half of the features have. */
static uint64_t
sign_majority(const struct sign_sums *sums)
{
	uint64_t	 more = 0, equal = ~UINT64_C(0), bit;
	uint32_t	 half = sums->n / 2;
	int		 i;

	for (i = SIGN_PLANES - 1; i >= 0; i--) {
		bit = (half >> i & 1) ? ~UINT64_C(0) : 0;
		more |= equal & sums->plane[i] & ~bit;
		equal &= ~(sums->plane[i] ^ bit);
	}
	return (more);
}

/* Is it a byte of a word? Bytes of letters outside ASCII are. */
static int
sign_is_word(unsigned char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80);
}

/* Is it a byte of a link? */
static int
sign_is_link(unsigned char c)
{
	switch (c) {
	case '"': case '\'': case '<': case '>': case '(': case ')':
	case '[': case ']': case '{': case '}': case ',': case ';':
		return (0);
	default:
		return (c > ' ');
	}
}

/* Does a link begin here that says so? */
static int
sign_has_scheme(const char *s, size_t len)
{
	static const char *const begin[] = { "https://", "http://", "hxxps://",
		"hxxp://", "mailto:", "www." };
	size_t	 k, n;

	if (*s != 'h' && *s != 'm' && *s != 'w')
		return (0);
	for (k = 0; k < sizeof begin / sizeof begin[0]; k++) {
		n = strlen(begin[k]);
		if (len > n && memcmp(s, begin[k], n) == 0)
			return (1);
	}
	return (0);
}

/*
 * The end of the link or the address that begins at byte i, the start of a
 * word, or i if none does. Without a scheme, "host.tld/path" and
 * "name@host.tld" count, after a space or the like.
 */
static size_t
sign_link(const char *s, size_t len, size_t i)
{
	size_t		 end;
	int		 scheme = sign_has_scheme(s + i, len - i);
	int		 at = 0, dot = 0, path = 0;

	if (!scheme && i > 0 && sign_is_link((unsigned char)s[i - 1]))
		return (i);
	for (end = i; end < len && sign_is_link((unsigned char)s[end]);
	    end++) {
		at |= end > i && s[end] == '@';
		path |= dot && s[end] == '/';
		dot |= s[end] == '.' && end > i && end + 2 < len &&
		    s[end - 1] != '.' && s[end + 1] >= 'a' && s[end + 1] <= 'z';
	}
	while (end > i && strchr(".!?:/", s[end - 1]) != NULL)
		end--;
	return (scheme || path || (at && dot) ? end : i);
}

/* The end of a gap to fill in that begins at byte i, or i. */
static size_t
sign_gap(const char *s, size_t len, size_t i)
{
	char	 close = s[i] == '{' ? '}' : s[i] == '[' ? ']' :
		    s[i] == '<' ? '>' : s[i] == '%' ? '%' : '\0';
	size_t	 k, letters = 0;

	if (close == '\0')
		return (i);
	for (k = i + 1; k < len && k < i + 32; k++) {
		if (s[k] == close && (letters > 2 || s[k] != '%'))
			break;
		if (s[k] >= 'a' && s[k] <= 'z')
			letters++;
		else if (strchr(" _-{'", s[k]) == NULL || s[k] == '\0' ||
		    (s[k] == '{' && k > i + 1))
			return (i);
	}
	return (k < len && k < i + 32 && letters > 2 ? k + 1 : i);
}

/* Is a word one of those that are made in large numbers? */
static int
sign_is_made(const char *s, size_t len)
{
	static const char *const made[] = { "accounts", "addresses", "comments",
		"contacts", "copies", "customers", "dms", "emails", "followers",
		"invites", "letters", "mails", "members", "messages", "numbers",
		"people", "posts", "profiles", "ratings", "recipients",
		"replies", "reviews", "subscribers", "testimonials", "texts",
		"times", "tweets", "users", "variants", "variations",
		"versions" };
	size_t	 k;

	for (k = 0; k < sizeof made / sizeof made[0]; k++) {
		if (strlen(made[k]) == len && memcmp(made[k], s, len) == 0)
			return (1);
	}
	return (0);
}

/* Does a number of at least ten stand here? */
static int
sign_is_ten(const char *s, size_t len)
{
	size_t	 k;

	for (k = 0; k < len; k++) {
		if (s[k] < '0' || s[k] > '9')
			return (0);
	}
	return (len >= 2 && s[0] != '0');
}

/*
 * Fold a text that is as simple as most are: ASCII, without signs that stand
 * for letters. Returns 1 with the len folded bytes in out, as fold_init makes
 * them, or 0 if it is not so simple.
 */
static int
sign_plain(char *out, const char *text, size_t len)
{
	unsigned char	 c;
	size_t		 i;
	int		 letter = 0;	/* 1: before this byte stands a letter,
					 * 2: and then signs */

	for (i = 0; i < len; i++) {
		c = (unsigned char)text[i];
		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		if (c >= 'a' && c <= 'z') {
			if (letter == 2)
				return (0);
			letter = 1;
		} else if (c == ' ' || c == '\n' || c == '\t') {
			letter = 0;
			c = c == '\t' ? ' ' : c;
		} else if (c < ' ' || c > '~') {
			return (0);
		} else if (letter > 0) {
			letter = confusable_leet(c) != 0 ? 2 : 0;
		}
		out[i] = (char)c;
	}
	return (1);
}

/* Make the signature. */
void
abuse_sign(struct abuse_sign *sign, const char *text, size_t len)
{
	struct sign_sums	 sums = { .n = 0 };
	struct fold		 fold = { .text = NULL };
	char			 plain[ABUSE_TEXT_MAX];
	const char		*s = plain;
	uint64_t		 h, last = 0;
	unsigned		 ten = 0;	/* words since a number */
	size_t			 n, i, end;
	int			 digits;

	memset(sign, 0, sizeof *sign);
	if (len > ABUSE_TEXT_MAX) {
		len = ABUSE_TEXT_MAX;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	n = len;
	if (!sign_plain(plain, text, len)) {
		fold_init(&fold, text, len);
		s = fold.text;
		n = fold.len;
	}
	for (i = 0; i < n; i = end) {
		end = i + 1;
		if (!sign_is_word((unsigned char)s[i])) {
			end = sign_gap(s, n, i);
			if (end > i)
				sign->signs |= ABUSE_GAP;
			else
				end = i + 1;
			if (end == i + 1)
				continue;
			h = sign_hash("{", 1);
		} else if ((end = sign_link(s, n, i)) > i) {
			sign->signs |= ABUSE_LINK;
			if (sign->link == 0)
				sign->link = sign_hash(s + i, end - i);
			h = sign_hash("@", 1);
		} else {
			digits = 0;
			for (end = i; end < n &&
			    sign_is_word((unsigned char)s[end]); end++)
				digits |= s[end] >= '0' && s[end] <= '9';
			if (sign_is_ten(s + i, end - i))
				ten = 4;
			else if (ten > 0 && ten-- &&
			    sign_is_made(s + i, end - i))
				sign->signs |= ABUSE_MANY;
			h = digits ? sign_hash("0", 1) :
			    sign_hash(s + i, end - i);
		}
		sign->words++;
		sign_add(&sums, h);
		if (last != 0)
			sign_add(&sums, sign_mix(last * 3 + h));
		last = h;
	}
	sign->text = sign_majority(&sums);
	fold_clear(&fold);
}
