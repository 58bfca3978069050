/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program chatd-store: its ways to run.
 */
#ifndef DAEMON_STORED_H
#define DAEMON_STORED_H

#include <stdio.h>

/* ---- stored_export.c */

/* Does the command line ask for an export? */
int	 stored_export_wanted(int argc, char **argv);

/* Carry it out. Returns the exit status. */
int	 stored_export(int argc, char **argv);

/* Print the usage. */
void	 stored_usage(FILE *to);

/* Report a wrong command line; why may be NULL. Returns the exit status. */
int	 stored_misuse(const char *why);

/* ---- stored_backup.c */

/* Does the command line ask for a backup, or to restore one? */
int	 stored_backup_wanted(int argc, char **argv);

/* Carry it out. Returns the exit status. */
int	 stored_backup(int argc, char **argv);

#endif
