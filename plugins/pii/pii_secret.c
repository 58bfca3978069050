/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets that have no known format: what a name such as password or api_key is
 * given, what a sentence says a password is, and random strings.
 */
#include "pii_impl.h"

#include <string.h>

#define VALUE_MAX	200

/* What a value is made of. */
struct pii_made {
	size_t		n;
	unsigned int	digits, upper, lower, marks, under, high;
};

/* How the value was introduced. */
enum pii_intro {
	INTRO_NONE, INTRO_NEAR, INTRO_LEAD, INTRO_TOLD, INTRO_ASSIGNED
};

/* Words that follow "password is" and are none, and types and values of
 * programs. */
static const char *const pii_no_password[] = {
	"incorrect", "wrong", "required", "invalid", "too", "not", "expired",
	"being", "stored", "hashed", "encrypted", "the", "a", "an", "your",
	"my", "our", "his", "her", "their", "weak", "strong", "secure",
	"reset", "changed", "sent", "sensitive", "missing", "empty", "blank",
	"correct", "still", "in", "on", "at", "never", "always", "only",
	"needed", "protected", "compromised", "safe", "important", "like",
	"string", "str", "none", "null", "true", "false", "undefined", "text",
	"char", "varchar", "int", "bool", "boolean", "bytes", "optional",
	"input", "password", "passwd", "secret", "token", "user", "username",
	"admin", "key", "value", "enabled", "disabled", "manager", "managers",
	"reset", "policy", "policies", "field", "hash", "length", "and", "or",
	"to", "for", "of", "with", "from", "by", "that", "this", "which", "it",
	"set", "get", "new", "old", "current", "default", "hidden", "unknown",
	"generated", "rotated", "shared", "leaked", "stolen", "lost",
	"forgotten", "case", "alphanumeric", "unique", "valid", "accepted",
	"rejected", "displayed", "shown", "visible", "masked", "provided",
	"written", "typed", "entered", "checked", "verified", "about", "what",
	"something", "anything", "one", "just", "also", "very", "so", "as",
	"login", "email", "object", "number", "integer", "float", "const",
	"let", "var", "self", "config", "env", "settings", "process", "public",
	"private", "static", "final", "void", "return", "hunter", "here",
	"there", "inside", "outside", "no", "yes", "n/a", "na", "tbd", "please",
	"confidential", "restricted", "sixteen", "eight", "twelve", "short",
	"long", "simple", "complex", "easy", "hard", "updated", "saved",
	"cached", "revoked", "created", "issued", "signed", "used", "usually",
	"often", "sometimes", "probably", "now", "then", "based", "typed",
	"everything", "nothing", "nobody", "ready", "gone", "fine", "bad",
	"good", "okay", "correctly", "necessary", "mandatory", "readable"
};

/* Count what a value is made of. */
static struct pii_made
pii_made_of(const char *t, size_t n)
{
	struct pii_made	m = { .n = n };
	size_t		i;
	unsigned char	c;

	for (i = 0; i < n; i++) {
		c = (unsigned char)t[i];
		m.digits += pii_is(c, B_DIGIT);
		m.upper += pii_is(c, B_UPPER);
		m.lower += pii_is(c, B_LOWER);
		m.high += c >= 0x80;
		m.under += c == '_' || c == '-' || c == '.' || c == '/';
		m.marks += c < 0x80 && c != ' ' && !pii_is(c, B_ALNUM) &&
		    c != '_' && c != '-' && c != '.' && c != '/';
	}
	return (m);
}

/* Is it one of the words that are no password? */
static int
pii_no_secret_word(struct pii_in *in, size_t p, size_t n)
{
	size_t	i;

	for (i = 0; i < sizeof pii_no_password / sizeof pii_no_password[0]; i++)
		if (strlen(pii_no_password[i]) == n && pii_starts(in, p,
		    pii_no_password[i]))
			return (1);
	return (0);
}

/* Does the gap end with a lower-case word, before spaces and quotes? */
static int
pii_gap_ends(const char *g, size_t n, const char *word)
{
	size_t	k = strlen(word);

	while (n > 0 && strchr(" \t\n\"'`", g[n - 1]) != NULL)
		n--;
	return (n >= k && pii_contains(g + n - k, k, word) && (n == k ||
	    !pii_is((unsigned char)g[n - k - 1], B_ALNUM)));
}

/* How do the n bytes between a word and a value introduce it? */
static enum pii_intro
pii_introduce(const char *g, size_t n)
{
	static const char *const told[] = { "is", "was", "are", "it's", "ist",
		"lautet", "est", "es", "\xe2\x86\x92", "->", "=>", "=", ":" };
	static const char *const lead[] = { "be", "to", "use", "with", "code",
		"number", "called", "like", "try", "key", "value" };
	size_t	i;
	int	op = 0, other = 0;

	for (i = 0; i < n; i++) {
		if (g[i] == '=' || g[i] == ':')
			op = 1;
		else if (strchr(" \t\"'`>])|*-,{[\\\n", g[i]) == NULL)
			other = 1;
		if (g[i] == '\n' && i + 1 < n && !op)
			return (INTRO_NONE);
	}
	if (!other && op && n <= 12)
		return (INTRO_ASSIGNED);
	for (i = 0; i + 1 < n; i++)
		if ((g[i] == '.' && g[i + 1] == ' ') || g[i] == ';' ||
		    g[i] == '\n')
			return (INTRO_NONE);
	for (i = 0; i < n; i++)
		if (g[i] == '?')
			return (n <= 3 ? INTRO_LEAD : INTRO_NONE);
	if (pii_contains(g, n, "not ") || pii_contains(g, n, "n't ") ||
	    pii_contains(g, n, "must ") || pii_contains(g, n, "should ") ||
	    pii_contains(g, n, "least ") || pii_contains(g, n, "forgot"))
		return (INTRO_NONE);
	for (i = 0; i < sizeof told / sizeof told[0]; i++)
		if (pii_gap_ends(g, n, told[i]))
			return (INTRO_TOLD);
	for (i = 0; i < sizeof lead / sizeof lead[0]; i++)
		if (pii_gap_ends(g, n, lead[i]))
			return (INTRO_LEAD);
	return (n <= 2 && !other ? INTRO_LEAD : INTRO_NEAR);
}

/* Read a value from p: to its quote, or to a space, without the marks at its
 * end. Returns its end. */
static size_t
pii_value_end(struct pii_in *in, size_t p, enum pii_intro intro)
{
	unsigned char	quote = pii_before(in, p), c;
	size_t		i;

	if (quote != '"' && quote != '\'' && quote != '`')
		quote = 0;
	for (i = p; i - p < VALUE_MAX; i++) {
		c = pii_at(in, i);
		if (c == 0 || c == '\n' || c == '\r' || c == '\t' ||
		    (quote != 0 && c == quote))
			break;
		if (quote == 0 && (c == ' ' || c == '"' || c == '<' ||
		    c == '`'))
			break;
		if (quote == 0 && intro == INTRO_ASSIGNED && (c == '&' ||
		    c == ';') && i > p + 2)
			break;
	}
	if (i - p == VALUE_MAX)
		while (i > p && ((unsigned char)in->t[i] & 0xc0) == 0x80)
			i--;
	if (quote != 0 && i < in->len && (unsigned char)in->t[i] == quote)
		return (i);
	while (i > p && strchr(".,;:!?)]}'>\\|", in->t[i - 1]) != NULL)
		i--;
	return (i);
}

/* Is it a name, a call, a path, a date or the like, and no secret? */
static int
pii_harmless(struct pii_in *in, size_t p, size_t n, const struct pii_made *m,
    int password)
{
	const char	*t = in->t + p;
	size_t		 i, colons = 0;
	static const char *const ends[] = { ".pem", ".key", ".json", ".txt",
		".py", ".js", ".yaml", ".yml", ".com", ".html", ".md", ".pdf",
		".png", ".env", ".org", ".crt", ".conf", ".c", ".sh", ".go" };

	if (strchr("$<{(%&*/[@", t[0]) != NULL && (t[0] != '@' &&
	    t[0] != '$' && t[0] != '*' && t[0] != '&' && t[0] != '%'))
		return (1);
	if ((t[0] == '$' || t[0] == '%' || t[0] == '&' || t[0] == '*' ||
	    t[0] == '@') && m->digits == 0)
		return (1);
	if (t[0] == '$' && (t[1] == '{' || t[1] == '(' || pii_is((unsigned
	    char)t[1], B_UPPER)))
		return (1);
	if (pii_at(in, p + n) == '(' || pii_at(in, p + n) == '[')
		return (1);
	for (i = 0; i < n; i++) {
		if (t[i] == '(' && i > 0 && pii_is((unsigned char)t[i - 1],
		    B_ALNUM) && i + 1 < n)
			return (memchr(t, ')', n) != NULL || m->digits == 0);
		colons += t[i] == ':';
	}
	if (!password && memchr(t, '\\', n) != NULL)
		return (1);
	if (n > 3 && (memmem(t, n, "://", 3) != NULL || (t[0] == '.' &&
	    t[1] == '/') || (t[0] == '~' && t[1] == '/')))
		return (1);
	for (i = 0; i < sizeof ends / sizeof ends[0]; i++)
		if (n > strlen(ends[i]) && pii_contains(t + n -
		    strlen(ends[i]), strlen(ends[i]), ends[i]))
			return (1);
	if (m->digits <= 2 && m->marks == 0 && m->under > 0 &&
	    (!password || memchr(t, '-', n) == NULL) &&
	    (m->upper == 0 || m->lower == 0) && !pii_random(t, n))
		return (1);		/* a name of a program */
	if (m->digits == 0 && m->marks == 0 && memchr(t, '.', n) != NULL)
		return (1);
	return (colons == 2 && m->digits >= 4 && m->upper + m->lower == 0);
}

/* Is it a UUID? */
static int
pii_uuid(const char *t, size_t n)
{
	size_t	i;

	if (n != 36)
		return (0);
	for (i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? t[i] != '-' :
		    !pii_is((unsigned char)t[i], B_HEX) && !(t[i] >= 'A' &&
		    t[i] <= 'F'))
			return (0);
	return (1);
}

/* Only hexadecimal digits, as hashes have? */
static int
pii_hex(const char *t, size_t n)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if (!pii_is((unsigned char)t[i], B_HEX))
			return (0);
	return (1);
}

/* Do capitals and small letters change too often for words? */
static int
pii_mixed(const char *t, size_t n)
{
	size_t	i, changes = 0, upper = 0;

	for (i = 0; i < n; i++) {
		upper += pii_is((unsigned char)t[i], B_UPPER);
		changes += i > 0 && pii_is((unsigned char)t[i], B_UPPER) !=
		    pii_is((unsigned char)t[i - 1], B_UPPER);
	}
	return (changes >= 3 || (upper >= 3 && upper + 3 >= n && changes > 0));
}

/* A value that was introduced as a password? */
static int
pii_password(struct pii_in *in, size_t p, size_t n, enum pii_intro intro)
{
	struct pii_made	m = pii_made_of(in->t + p, n);
	unsigned char	quote = pii_before(in, p), next = pii_at(in, p + n);
	int		quoted = (quote == '"' || quote == '\'' ||
			    quote == '`') && next == quote;
	int		strong = m.digits > 0 && m.upper + m.lower > 0;

	if (n < 4 || intro < INTRO_LEAD || pii_harmless(in, p, n, &m, 1) ||
	    pii_no_secret_word(in, p, n))
		return (0);
	if (m.marks > 0 && m.upper + m.lower + m.digits >= 3 &&
	    strpbrk("!@#$%^&*+~?", "!") != NULL) {
		size_t	i;

		for (i = 0; i < n; i++)
			strong |= strchr("!@#$%^&*+~?", in->t[p + i]) != NULL;
	}
	if (strong && n >= 5) {
		if (intro != INTRO_ASSIGNED && m.digits + m.lower == n &&
		    m.digits < 3 && n < 6)
			return (0);
		if (intro < INTRO_ASSIGNED && m.upper == 0 && m.marks == 0 &&
		    in->t[p] <= '9' && m.digits >= m.lower && n < 8 &&
		    m.lower == 2)
			return (0);		/* 10th, 24px */
		return (pii_found(in, PII_PASSWORD, "pii/password",
		    intro == INTRO_ASSIGNED ? 0.9 : 0.85, 0, p, p + n));
	}
	if (m.digits == n && n >= 4 && n <= 12 && intro >= INTRO_TOLD)
		return (pii_found(in, PII_PASSWORD, "pii/password", 0.8, 0, p,
		    p + n));
	if (m.digits == n || m.marks > 2 || (intro < INTRO_TOLD && !quoted))
		return (0);
	if (quoted && n >= 5 && n <= 64 && intro >= INTRO_LEAD && (m.upper == 0
	    || m.lower > 0 || m.under == 0) && (m.under == 0 || m.marks > 0 ||
	    memchr(in->t + p, '-', n) != NULL))
		return (pii_found(in, PII_PASSWORD, "pii/password", 0.8, 0, p,
		    p + n));
	if ((n >= 6 && m.upper > 0 && m.lower > 0 && m.upper + m.lower == n &&
	    pii_mixed(in->t + p, n)) || (m.under > 1 && m.lower >= 10 &&
	    memchr(in->t + p, '-', n) != NULL))
		return (pii_found(in, PII_PASSWORD, "pii/password", 0.8, 0, p,
		    p + n));
	if (n >= 6 && m.lower + m.upper == n && m.lower >= n - 1 &&
	    (next == 0 || next == '\n' || next == '.' || next == ',' ||
	    next == '!') && !pii_contains(in->t + p + n - 2, 2, "ed") &&
	    !pii_contains(in->t + p + n - 2, 2, "ly") &&
	    !pii_contains(in->t + p + n - 3, 3, "ing"))
		return (pii_found(in, PII_PASSWORD, "pii/password", 0.6, 0, p,
		    p + n));
	return (0);
}

/* A value that was introduced as a key or a token? */
static int
pii_secret(struct pii_in *in, size_t p, size_t n, enum pii_intro intro)
{
	const char	*t = in->t + p;
	struct pii_made	 m = pii_made_of(t, n);
	int		 random, weak;

	if (n < 8 || m.high > 0 || (m.digits == n && (intro < INTRO_ASSIGNED ||
	    n < 10)) || pii_harmless(in, p, n, &m, 0))
		return (0);
	if (memchr(t, ' ', n) != NULL)
		return (0);
	weak = in->scan->word[W_KEY] == in->scan->word[W_SECRET] &&
	    !pii_near(in, W_QUALIFIER, p, 64) && !pii_near(in, W_PASS, p, 64);
	if (pii_near(in, W_HASH, p, 24) && in->scan->word[W_HASH] >
	    in->scan->word[W_SECRET] && (pii_hex(t, n) || pii_uuid(t, n)))
		return (0);
	if (pii_uuid(t, n))
		return (intro >= INTRO_LEAD && !weak &&
		    !pii_near(in, W_HASH, p, 40) && pii_found(in, PII_SECRET,
		    "pii/secret", 0.85, 0, p, p + n));
	random = pii_random(t, n);
	if (intro == INTRO_ASSIGNED && (random || (!weak && n >= 10 &&
	    m.digits >= 2 && m.upper + m.lower >= 2 && m.marks < n / 3)))
		return (pii_found(in, PII_SECRET, "pii/secret", 0.9, 0, p,
		    p + n));
	if (intro >= INTRO_LEAD && ((random && n >= 12) || (!weak && n >= 16 &&
	    m.digits >= 2 && m.upper + m.lower >= 2 && m.under < 4 &&
	    m.marks < 3)))
		return (pii_found(in, PII_SECRET, "pii/secret", 0.85, 0, p,
		    p + n));
	return (intro == INTRO_NEAR && random && n >= 16 && m.under <= 3 &&
	    !(pii_hex(t, n) && weak) && pii_found(in, PII_SECRET,
	    "pii/secret", 0.8, 0, p, p + n));
}

/* A value after a word such as password or token? */
int
pii_value(struct pii_in *in, size_t p)
{
	uint64_t	pass = pii_near(in, W_PASS, p, 72) ?
			    in->scan->word[W_PASS] : 0;
	uint64_t	secret = pii_near(in, W_SECRET, p, 72) ?
			    in->scan->word[W_SECRET] : 0;
	uint64_t	pin = pii_near(in, W_PIN, p, 40) ?
			    in->scan->word[W_PIN] : 0;
	size_t		from, end, n;
	enum pii_intro	intro;

	if ((pass | secret | pin) == 0)
		return (0);
	from = (size_t)((pass > secret ? pass > pin ? pass : pin : secret > pin
	    ? secret : pin) - in->offset);
	if (pii_is((unsigned char)in->t[from], B_ALNUM) || from > p)
		return (0);
	intro = pii_introduce(in->t + from, p - from);
	if (intro == INTRO_NONE && pass != 0 && pass < secret) {
		from = (size_t)(pass - in->offset);
		intro = pii_introduce(in->t + from, p - from);
	}
	if (intro == INTRO_NONE)
		return (0);
	end = pii_value_end(in, p, intro);
	n = end - p;
	if (n < 4 || in->more || pii_placeholder(in, p, n))
		return (0);
	if (pin > pass && pin > secret) {
		struct pii_made	m = pii_made_of(in->t + p, n);

		return (m.digits == n && n <= 8 && intro >= INTRO_TOLD &&
		    pii_found(in, PII_PASSWORD, "pii/pin", 0.8, 0, p, end));
	}
	if (pass != 0 && pass >= secret)
		return (pii_password(in, p, n, intro));
	return (pii_secret(in, p, n, intro));
}

/* Is a word one of the parts of a head such as "acme_live_"? */
static int
pii_head(const char *t, size_t n, const char *word)
{
	size_t	i, k = strlen(word);

	for (i = 0; i + k < n; i++)
		if ((i == 0 || !pii_is((unsigned char)t[i - 1], B_ALNUM)) &&
		    !pii_is((unsigned char)t[i + k], B_ALNUM) &&
		    pii_contains(t + i, k, word))
			return (1);
	return (0);
}

/* A random string without a name: a prefix and characters, or long? */
int
pii_generic(struct pii_in *in, const struct pii_token *w)
{
	static const char *const heads[] = { "live", "prod", "key", "token",
		"sk", "pat", "secret", "api", "test", "tok", "priv", "auth",
		"access", "sec", "rk" };
	size_t		p = w->p, end, tail, n, i, slashes = 0, dots = 0;
	const char	*t = in->t;
	struct pii_made	m;
	int		named = 0;

	for (end = p; end - p < VALUE_MAX && pii_is(pii_at(in, end), B_RUN);
	    end++) {
		slashes += t[end] == '/';
		dots += t[end] == '.';
	}
	while (end > p && (t[end - 1] == '.' || t[end - 1] == '-' ||
	    t[end - 1] == '/'))
		end--;
	if (end - p < 20 || end - p > 160)
		return (0);
	if (pii_at(in, end) == '@' || pii_at(in, end) == ':' ||
	    pii_at(in, end) == '(')
		return (0);
	if (in->more || pii_before(in, p) == '#' || pii_before(in, p) == '?' ||
	    pii_before(in, p) == '&' || pii_before(in, p) == '@' ||
	    pii_before(in, p) == ',' || pii_before(in, p) == ':' ||
	    pii_uuid(t + p, end - p) || pii_near(in, W_HASH, p, 24) ||
	    pii_near(in, W_NUMBER, p, 16))
		return (0);
	for (tail = end; tail > p && pii_is((unsigned char)t[tail - 1],
	    B_ALNUM); tail--)
		;
	n = end - tail;
	m = pii_made_of(t + tail, n);
	if (tail > p && tail - p <= 32 && n >= 16 && pii_random(t + tail, n) &&
	    slashes == 0 && dots <= 2 && !pii_starts(in, p, "sha") &&
	    !pii_placeholder(in, p, end - p)) {
		for (i = 0; i < sizeof heads / sizeof heads[0]; i++)
			named |= pii_head(t + p, tail - p, heads[i]);
		if (pii_is((unsigned char)t[p], B_LETTER) && (named ||
		    (m.upper > 1 && m.lower > 1 && n >= 20 && m.digits > 1) ||
		    (n >= 24 && !pii_hex(t + tail, n))))
			return (pii_found(in, PII_SECRET, "pii/secret",
			    named || m.upper > 1 ? 0.85 : 0.7, 0, p, end));
	}
	m = pii_made_of(t + p, end - p);
	while (pii_at(in, end) == '=' && end - p < VALUE_MAX + 2)
		end++;
	n = end - p;
	if (n >= 24 && n <= 90 && m.upper > 2 && m.lower > 2 && m.digits > 2 &&
	    m.under <= 5 && slashes <= 4 && dots <= 2 && pii_random(t + p, n) &&
	    !pii_starts(in, p, "sha") && !pii_starts(in, p, "AAAA") &&
	    !pii_placeholder(in, p, n))
		return (pii_found(in, PII_SECRET, "pii/secret", 0.6, 0, p,
		    end));
	return (0);
}
