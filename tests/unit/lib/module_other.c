/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For t_backend: a library that is no module; as another one's dependency,
 * a library that goes missing.
 */
int	module_other(void);

/* Something to export. */
int
module_other(void)
{
	return (1);
}
