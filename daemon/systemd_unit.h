/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of a systemd unit that limit chatd, as far as chatd -t checks
 * them.
 */
#ifndef DAEMON_SYSTEMD_UNIT_H
#define DAEMON_SYSTEMD_UNIT_H

struct systemd_unit {
	char	*name;		/* owned: the file */
	char	*user;		/* owned: User=, or NULL */
	char	*exec;		/* owned: ExecStart=, or NULL */
	char	*writable;	/* owned: folders, separated by spaces */
	int	 hides_home;	/* /home, /root and /run/user are hidden */
	int	 private_tmp;	/* it has its own /tmp and /var/tmp */
	int	 strict;	/* only the folders in writable can be
				 * written */
};

/* Read a unit file and the drop-ins beside it (FILE.d). Returns 0, or
 * CHAT_ESYSTEM with u empty if there is no such file. Clear u with
 * systemd_unit_clear. */
int	 systemd_unit_read(const char *file, struct systemd_unit *u);
/* The installed unit of chatd; as systemd_unit_read. */
int	 systemd_unit_installed(struct systemd_unit *u);
void	 systemd_unit_clear(struct systemd_unit *u);

/* Is path in one of the folders of list, which spaces separate? */
int	 systemd_unit_below(const char *path, const char *list);

#endif
