/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers by which filter plugins know accounts. A plugin may come from a
 * stranger: it can tell texts of one account from those of another, but not
 * whose they are. So it does not get the uid.
 */
#ifndef DAEMON_ACCOUNT_H
#define DAEMON_ACCOUNT_H

#include <stdint.h>
#include <sys/types.h>

/* The number of an account, 1 to JSON_INT_MAX: the same one as long as chatd
 * runs, and another one after that. */
int64_t	 account_number(uid_t uid);

#endif
