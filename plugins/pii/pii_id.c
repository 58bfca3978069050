/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IBANs, numbers of persons in many countries, passports, and dates of birth.
 */
#include "pii_impl.h"

#include <stdlib.h>
#include <string.h>

/* Lengths of IBANs. Source: the IBAN registry of ISO 13616. */
static const char pii_iban_lengths[] =
	"AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22"
	"DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HR21"
	"HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27"
	"MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24"
	"RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22"
	"VG24XK20YE30";

/* Published examples. */
static const char *const pii_test_ibans[] = {
	"GB82WEST12345698765432", "GB29NWBK60161331926819",
	"GB33BUKB20201555555555", "DE89370400440532013000",
	"FR1420041010050500013M02606", "FR7630006000011234567890189",
	"NL91ABNA0417164300", "ES9121000418450200051332",
	"IT60X0542811101000000123456", "CH9300762011623852957",
	"BE68539007547034", "AT611904300234573201",
	"IE29AIBK93115212345678", "PL61109010140000071219812874",
	"SE4550000000058398257466", "NO9386011117947",
};

/* The remainder of an IBAN by 97, its first four characters last. */
static unsigned int
pii_mod97(const char *s, size_t n)
{
	size_t		i;
	unsigned int	r = 0;
	char		c;

	for (i = 0; i < n; i++) {
		c = s[(i + 4) % n];
		if (c >= 'A')
			r = (r * 100 + (unsigned int)(c - 'A') + 10) % 97;
		else
			r = (r * 10 + (unsigned int)(c - '0')) % 97;
	}
	return (r);
}

/* An IBAN that begins with the word, with or without spaces? */
int
pii_iban(struct pii_in *in, const struct pii_token *w)
{
	char		 s[40];
	const char	*at;
	size_t		 n = 0, i, want;
	unsigned char	 c;

	for (i = 0; i < 2; i++) {
		c = (unsigned char)in->t[w->p + i];
		s[i] = (char)(c & ~0x20);
		if (!pii_is(c, B_UPPER|B_LOWER))
			return (0);
	}
	if (w->end - w->p < 4 || !pii_is(pii_at(in, w->p + 2), B_DIGIT) ||
	    !pii_is(pii_at(in, w->p + 3), B_DIGIT))
		return (0);
	for (at = pii_iban_lengths; *at != '\0' && (at[0] != s[0] ||
	    at[1] != s[1]); at += 4)
		;
	if (*at == '\0')
		return (0);
	want = (size_t)(at[2] - '0') * 10 + (size_t)(at[3] - '0');
	for (i = w->p; n < want; i++) {
		c = pii_at(in, i);
		if (n > 0 && (c == ' ' || c == '-') &&
		    pii_is(pii_at(in, i + 1), B_ALNUM))
			continue;
		if (!pii_is(c, B_ALNUM))
			return (0);
		s[n++] = (char)(c >= 'a' ? c & ~0x20 : c);
	}
	if (pii_is(pii_at(in, i), B_WORD))
		return (0);
	s[n] = '\0';
	for (n = 0; n < sizeof pii_test_ibans / sizeof pii_test_ibans[0]; n++)
		if (strcmp(pii_test_ibans[n], s) == 0)
			return (0);
	if (pii_mod97(s, want) == 1)
		return (pii_found(in, PII_IBAN, "pii/iban", 1, 1, w->p, i));
	return (pii_near(in, W_BANK, w->p, 48) &&
	    pii_found(in, PII_IBAN, "pii/iban", 0.7, 0, w->p, i));
}

/* Does a word match a shape: 9 a digit, A a letter, X either? */
static int
pii_shape(const char *t, size_t n, const char *shape)
{
	size_t	i;

	if (strlen(shape) != n)
		return (0);
	for (i = 0; i < n; i++)
		if (!pii_is((unsigned char)t[i], shape[i] == '9' ? B_DIGIT :
		    shape[i] == 'A' ? B_UPPER|B_LOWER : B_ALNUM))
			return (0);
	return (1);
}

/* The check letter of an Italian codice fiscale (decree of 23 Dec 1976). */
static int
pii_fiscal(const char *t)
{
	static const unsigned char odd[] = { 1, 0, 5, 7, 9, 13, 15, 17, 19, 21,
		2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23 };
	int	i, c, sum = 0;

	for (i = 0; i < 15; i++) {
		c = pii_is((unsigned char)t[i], B_DIGIT) ? t[i] - '0' :
		    (t[i] & ~0x20) - 'A';
		sum += i % 2 == 0 ? odd[c] : c;
	}
	return (sum % 26 == (t[15] & ~0x20) - 'A');
}

/* A number of a person that has letters? */
int
pii_lettered_id(struct pii_in *in, const struct pii_token *w)
{
	const char	*t = in->t + w->p;
	size_t		 n = w->end - w->p;
	unsigned int	 v = 0, i;
	unsigned char	 next = pii_at(in, w->end);

	if (n > 18 || next == '_' || (next == '-' && n < 10))
		return (0);
	if (pii_shape(t, n, "AAAAAA99A99A999A") && pii_fiscal(t))
		return (pii_found(in, PII_ID, "pii/it-codice-fiscale", 1, 1,
		    w->p, w->end));
	if (pii_shape(t, n, "AA999999A") && strchr("ABCD", t[8] & ~0x20) &&
	    strchr("DFIQUV", t[0] & ~0x20) == NULL &&
	    strchr("DFIOQUV", t[1] & ~0x20) == NULL && w->uppers == 3 &&
	    !pii_near(in, W_NUMBER, w->p, 24) &&
	    !pii_near(in, W_HASH, w->p, 16))
		return (pii_found(in, PII_ID, "pii/uk-nino", pii_near(in,
		    W_NATIONAL, w->p, 48) ? 0.95 : 0.8, 0, w->p, w->end));
	if (pii_shape(t, n, "99999999A") || pii_shape(t, n, "A9999999A")) {
		if (pii_is((unsigned char)t[0], B_LETTER)) {
			if (strchr("XYZ", t[0] & ~0x20) == NULL)
				goto passport;
			v = (unsigned int)((t[0] & ~0x20) - 'X');
		}
		for (i = t[0] > '9'; i < 8; i++)
			v = v * 10 + (unsigned int)(t[i] - '0');
		if ("TRWAGMYFPDXBNJZSQVHLCKE"[v % 23] == (t[8] & ~0x20) &&
		    !pii_near(in, W_NUMBER, w->p, 24))
			return (pii_found(in, PII_ID, "pii/es-dni", 0.9, 0,
			    w->p, w->end));
	}
passport:
	if (n < 6 || w->digits < 4 || w->high > 0)
		return (0);
	if (pii_near(in, W_PASSPORT, w->p, 40))
		return (pii_found(in, PII_ID, "pii/passport", 0.85, 0, w->p,
		    w->end));
	if (pii_near(in, W_LICENSE, w->p, 40) && !pii_near(in, W_SECRET, w->p,
	    40))
		return (pii_found(in, PII_ID, "pii/driving-license", 0.8, 0,
		    w->p, w->end));
	if (pii_near(in, W_NATIONAL, w->p, 32) && n <= 14 && !pii_near(in,
	    W_NUMBER, w->p, 12))
		return (pii_found(in, PII_ID, "pii/national-id", 0.8, 0, w->p,
		    w->end));
	return (0);
}

/* The two check digits of a Brazilian CPF. */
static int
pii_cpf(const char *d)
{
	int	i, a = 0, b = 0;

	for (i = 0; i < 9; i++) {
		a += (10 - i) * (d[i] - '0');
		b += (11 - i) * (d[i] - '0');
	}
	a = a * 10 % 11 % 10;
	b = (b + 2 * a) * 10 % 11 % 10;
	return (a == d[9] - '0' && b == d[10] - '0');
}

/* A Chinese resident number (GB 11643): 17 digits and a check character. */
static int
pii_resident(const char *d, size_t n, unsigned char next)
{
	static const signed char w[] = { 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9,
		10, 5, 8, 4, 2 };
	int	i, sum = 0;

	if (n < 17 || (memcmp(d + 6, "19", 2) != 0 && memcmp(d + 6, "20", 2)))
		return (0);
	for (i = 0; i < 17; i++)
		sum += (d[i] - '0') * w[i];
	return ("10X98765432"[sum % 11] == (n == 18 ? d[17] : (char)(next &
	    ~0x20)));
}

/* The key of a French number (15 digits: 13, and 97 less the remainder). */
static int
pii_insee(const char *d)
{
	unsigned long long	v = 0;
	int			i;

	for (i = 0; i < 13; i++)
		v = v * 10 + (unsigned int)(d[i] - '0');
	return (97 - v % 97 == (unsigned int)(d[13] - '0') * 10 +
	    (unsigned int)(d[14] - '0'));
}

/* Numbers whose check digit needs a word near to be believed. */
static int
pii_checked_id(const char *d, size_t n)
{
	static const signed char pesel[] = { 1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1 };
	static const signed char bsn[] = { 9, 8, 7, 6, 5, 4, 3, 2, -1 };
	static const signed char nhs[] = { 10, 9, 8, 7, 6, 5, 4, 3, 2, 1 };
	static const signed char tfn[] = { 1, 4, 3, 7, 5, 8, 6, 9, 10 };

	switch (n) {
	case 9:
		return (pii_luhn(d, n) || pii_weighted(d, n, bsn, 11) ||
		    pii_weighted(d, n, tfn, 11));
	case 10:
		return (pii_weighted(d, n, nhs, 11) || pii_luhn(d, n));
	case 11:
		return (pii_weighted(d, n, pesel, 10) || pii_cpf(d));
	case 12:
		return (pii_verhoeff(d, n) || pii_luhn(d + 2, 10));
	default:
		return (0);
	}
}

/* A number of a person that has only digits? */
int
pii_numbered_id(struct pii_in *in, const struct pii_token *w, const char *d,
    size_t n, const char *shape, size_t end)
{
	unsigned char	next = pii_at(in, end);
	size_t		p = w->p;
	int		word = pii_near(in, W_NATIONAL, p, 48) ||
			    pii_near(in, W_SOCIAL, p, 48);

	if (n == 8 && shape[1] == '\0' && pii_is(next, B_UPPER) &&
	    !pii_is(pii_at(in, end + 1), B_WORD) && "TRWAGMYFPDXBNJZSQVHLCKE"
	    [strtoul(d, NULL, 10) % 23] == next)
		return (pii_found(in, PII_ID, "pii/es-dni", 0.9, 0, p,
		    end + 1));
	if (((n == 18 && strchr(" -./", shape[1]) == NULL) || shape[1] == '\0')
	    && pii_resident(d, n, next) && (n == 18 ||
	    (n == 17 && (next | 0x20) == 'x')))
		return (pii_found(in, PII_ID, "pii/cn-resident", 1, 1, p,
		    end + (n == 17)));
	if (pii_is(next, B_WORD))
		return (0);
	if (strcmp(shape, "3.3.3-2") == 0 && pii_cpf(d))
		return (pii_found(in, PII_ID, "pii/br-cpf", 1, 1, p, end));
	if (strcmp(shape, "4 4 4") == 0 && d[0] >= '2' && pii_verhoeff(d, n) &&
	    !pii_near(in, W_NUMBER, p, 24))
		return (pii_found(in, PII_ID, "pii/in-aadhaar", word ? 1 : 0.8,
		    word, p, end));
	if (n == 15 && (d[0] == '1' || d[0] == '2') && pii_insee(d) &&
	    (word || strncmp(shape, "1 2 2 2 3 3 2", 13) == 0))
		return (pii_found(in, PII_ID, "pii/fr-insee", 1, 1, p, end));
	if ((strcmp(shape, "6-4") == 0 || strcmp(shape, "8-4") == 0) &&
	    pii_luhn(d + n - 10, 10) && d[n - 8] <= '1' && d[n - 6] <= '6' &&
	    (word || strcmp(shape, "8-4") == 0))
		return (pii_found(in, PII_ID, "pii/se-personnummer", 0.85, 0, p,
		    end));
	if (word && pii_checked_id(d, n) && !pii_near(in, W_PHONE, p, 24))
		return (pii_found(in, PII_ID, "pii/national-id", 0.9, 0, p,
		    end));
	if (n < 6 || n > 14)
		return (0);
	if (pii_near(in, W_PASSPORT, p, 40))
		return (pii_found(in, PII_ID, "pii/passport", 0.85, 0, p, end));
	if (pii_near(in, W_LICENSE, p, 32))
		return (pii_found(in, PII_ID, "pii/driving-license", 0.8, 0, p,
		    end));
	if (pii_near(in, W_NATIONAL, p, 24) && n >= 8 && !pii_near(in, W_NUMBER,
	    p, 12))
		return (pii_found(in, PII_ID, "pii/national-id", 0.7, 0, p,
		    end));
	return (0);
}

/* A date after a word such as "birth"? Only "born" alone says little. */
int
pii_birth(struct pii_in *in, const struct pii_token *w)
{
	static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	char		m[4] = "";
	size_t		p = w->p, i = w->end, k;
	unsigned char	c;

	if (!pii_near(in, W_BIRTH, p, 24) || w->end - p > 4)
		return (0);
	c = pii_at(in, i);
	if (c == '.' || c == '-' || c == '/') {
		for (k = 0; i < w->end + 10 && pii_at(in, i) != 0 &&
		    (pii_is(pii_at(in, i), B_DIGIT) || (strchr("-./ ",
		    pii_at(in, i)) != NULL && pii_is(pii_at(in, i + 1),
		    B_DIGIT))); i++)
			k += pii_is(pii_at(in, i), B_DIGIT);
		if (k < 3 || k > 6)
			return (0);
		return (pii_found(in, PII_BIRTH, "pii/birth-date", 0.8, 0, p,
		    i));
	}
	if (w->end - p > 2)
		return (0);
	for (i += pii_starts(in, i, "st") || pii_starts(in, i, "nd") ||
	    pii_starts(in, i, "rd") || pii_starts(in, i, "th") ? 2 : 0;
	    pii_at(in, i) == ' ' || pii_at(in, i) == '.'; i++)
		;
	for (k = 0; k < 3; k++)
		m[k] = (char)(pii_at(in, i + k) | 0x20);
	if (strlen(m) < 3 || strstr(months, m) == NULL)
		return (0);
	while (pii_is(pii_at(in, i), B_LETTER) && i < p + 30)
		i++;
	while (strchr(" .,", pii_at(in, i)) != NULL && pii_at(in, i) != 0 &&
	    i < p + 34)
		i++;
	for (k = 0; pii_is(pii_at(in, i), B_DIGIT) && k < 4; k++)
		i++;
	return (k == 4 && pii_found(in, PII_BIRTH, "pii/birth-date", 0.8, 0, p,
	    i));
}
