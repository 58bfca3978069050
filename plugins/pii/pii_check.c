/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check digits.
 */
#include "pii_impl.h"

/* ISO/IEC 7812-1, annex B: payment cards and others. */
int
pii_luhn(const char *digits, size_t n)
{
	size_t		i;
	int		d, sum = 0;

	for (i = 0; i < n; i++) {
		d = digits[n - 1 - i] - '0';
		if (i % 2 == 1)
			d = d * 2 - (d > 4 ? 9 : 0);
		sum += d;
	}
	return (sum % 10 == 0);
}

/* Verhoeff 1969, in the dihedral group of order 10: Aadhaar numbers. */
int
pii_verhoeff(const char *digits, size_t n)
{
	static const unsigned char	first[10] = {
		1, 5, 7, 6, 2, 8, 3, 0, 9, 4 };
	unsigned int			a, b, c = 0, k, m;
	size_t				i;

	for (i = 0; i < n; i++) {
		b = (unsigned int)(digits[n - 1 - i] - '0');
		for (k = 0; k < i % 8; k++)
			b = first[b];
		a = c;		/* c = a * b */
		m = b % 5;
		if (a < 5)
			c = (a + m) % 5 + (b < 5 ? 0 : 5);
		else
			c = (a - 5 + 5 - m) % 5 + (b < 5 ? 5 : 0);
	}
	return (c == 0);
}

/* Is the sum of digits times weights a multiple of the modulus? */
int
pii_weighted(const char *digits, size_t n, const signed char *weights,
    int modulus)
{
	size_t	i;
	int	sum = 0;

	for (i = 0; i < n; i++)
		sum += (digits[i] - '0') * weights[i];
	return (sum % modulus == 0);
}
