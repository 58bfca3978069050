/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For t_backend: a library that is not a module.  It is also the library that
 * is missing when another module needs it.
 */
int	module_other(void);

/* Something to export. */
int
module_other(void)
{
	return (1);
}
