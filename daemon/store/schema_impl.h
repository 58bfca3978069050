/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the files schema*.c: the SQL of the steps that are not in
 * schema_steps.c.
 */
#ifndef DAEMON_STORE_SCHEMA_IMPL_H
#define DAEMON_STORE_SCHEMA_IMPL_H

extern const char	 schema_adapters[];	/* schema_adapters.c */

#endif
