/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a systemd unit allows chatd, as far as chatd -t has to know.
 */
#ifndef DAEMON_SYSTEMD_UNIT_H
#define DAEMON_SYSTEMD_UNIT_H

struct systemd_unit {
	char	*name;		/* owned: the file */
	char	*user;		/* owned: User=, or NULL */
	char	*exec;		/* owned: ExecStart=, or NULL */
	char	*writable;	/* owned: folders between spaces */
	int	 hides_home;	/* /home, /root and /run/user are not seen */
	int	 private_tmp;	/* /tmp and /var/tmp are its own */
	int	 strict;	/* nothing but writable can be written */
};

/* Read a unit file and the drop-ins beside it (FILE.d). 0, or CHAT_ESYSTEM
 * where there is no such file, with u empty. Clear it with systemd_unit_clear. */
int	 systemd_unit_read(const char *file, struct systemd_unit *u);
/* The installed unit of chatd; as systemd_unit_read. */
int	 systemd_unit_installed(struct systemd_unit *u);
void	 systemd_unit_clear(struct systemd_unit *u);

/* Is path in one of the folders (between spaces) of list? */
int	 systemd_unit_below(const char *path, const char *list);

#endif
