/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The account at the other end of a connection: its credentials from the
 * kernel, and its name. Names come from the sources of nsswitch.conf(5), which
 * may be slow (2 ms per connection were measured). Each new connection needs a
 * name, so names are cached for a while.
 */
#include "chatd.h"

#include <sys/socket.h>

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "xmalloc.h"

#define PEER_NAMES	256	/* cache size: indexed by the low bits of the
				 * uid */
#define PEER_CACHE	16	/* groups in a cache of the same kind */
#define PEER_MS		30000	/* a cached name is valid for this time */
#define PEER_GROUPS	65536	/* most groups of a process on Linux */

/* The name of an account. */
const char *
peer_name(uid_t uid)
{
	static struct {
		uid_t	 uid;
		int64_t	 until;		/* monotonic ms; 0: empty */
		char	 name[64];
	} names[PEER_NAMES], *n;
	struct passwd	*pw;

	n = &names[uid % PEER_NAMES];
	if (n->until > clock_monotonic() && n->uid == uid)
		return (n->name);
	n->uid = uid;
	if ((pw = getpwuid(uid)) != NULL)
		snprintf(n->name, sizeof n->name, "%s", pw->pw_name);
	else
		snprintf(n->name, sizeof n->name, "%u", (unsigned)uid);
	n->until = clock_monotonic() + PEER_MS;
	return (n->name);
}

/* Find a group's number, or -1 if there is no such group. */
static int64_t
peer_group(const char *name)
{
	static struct {
		char	 name[64];
		int64_t	 gid, until;	/* monotonic ms; 0: empty */
	} groups[PEER_CACHE], *g = groups;
	struct group	*gr;
	size_t		 i;

	/* Take its entry, or else the one that is out of date first. */
	for (i = 0; i < PEER_CACHE; i++) {
		if (groups[i].until > clock_monotonic() &&
		    strcmp(groups[i].name, name) == 0)
			return (groups[i].gid);
		if (groups[i].until < g->until)
			g = &groups[i];
	}
	gr = getgrnam(name);
	if (strlen(name) >= sizeof g->name)
		return (gr != NULL ? (int64_t)gr->gr_gid : -1);
	memcpy(g->name, name, strlen(name) + 1);
	g->gid = gr != NULL ? (int64_t)gr->gr_gid : -1;
	g->until = clock_monotonic() + PEER_MS;
	return (g->gid);
}

/* Is gid among the peer's groups, as the kernel reports them? */
static int
peer_in_group(int fd, gid_t gid, gid_t primary)
{
	gid_t		*gids, few[32];
	socklen_t	 len = sizeof few;
	size_t		 i;
	int		 found = gid == primary;

	gids = few;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids, &len) == -1) {
		len = PEER_GROUPS * sizeof *gids;
		gids = xmalloc(len);
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids,
		    &len) == -1)
			len = 0;
	}
	for (i = 0; i < len / sizeof *gids; i++)
		found |= gids[i] == gid;
	if (gids != few)
		free(gids);
	return (found);
}

/* Is the peer in the group? */
int
peer_is_in(const char *group, int fd, const struct ucred *cr)
{
	int64_t	 gid = peer_group(group);

	return (gid != -1 && peer_in_group(fd, (gid_t)gid, cr->gid));
}

/* Is the peer root, of the daemon's own account, or in the group? */
int
peer_is_operator(const char *group, int fd, const struct ucred *cr)
{
	if (cr->uid == 0 || cr->uid == geteuid())
		return (1);
	return (group != NULL && group[0] != '\0' &&
	    peer_is_in(group, fd, cr));
}
