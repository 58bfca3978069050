/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sandboxes: the parts that all helpers use.
 */
#include <config.h>

#include "confine.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "confine_list.h"
#include "log.h"
#include "xmalloc.h"

/* Begin a list. */
int
confine_begin(uint32_t otherwise, scmp_filter_ctx *out)
{
	scmp_filter_ctx	 ctx;
	int		 r;

	if ((ctx = seccomp_init(otherwise)) == NULL)
		return (-ENOMEM);
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
	    SCMP_ACT_KILL_PROCESS);
	if (r != 0)
		seccomp_release(ctx);
	else
		*out = ctx;
	return (r);
}

/* Add rules. */
int
confine_add(scmp_filter_ctx ctx, const struct confine_rule *rules, size_t n)
{
	size_t	 i;
	int	 nr, r = 0;

	for (i = 0; r == 0 && i < n; i++) {
		nr = seccomp_syscall_resolve_name(rules[i].name);
		if (nr >= 0)
			r = seccomp_rule_add_array(ctx, rules[i].action, nr,
			    rules[i].n, rules[i].arg);
	}
	return (r);
}

/* Lower a limit. */
void
confine_limit(int what, rlim_t value)
{
	struct rlimit	 rl;

	if (getrlimit(what, &rl) == -1 || rl.rlim_max < value)
		return;
	rl.rlim_cur = rl.rlim_max = value;
	if (setrlimit(what, &rl) == -1)
		log_warn("sandbox: limit %d", what);
}

/* Reduce capabilities to a set. Root keeps its uid, since the files may
 * belong to root. */
static void
confine_capabilities(uint32_t keep)
{
	struct __user_cap_header_struct	 head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct	 few[2] = {}, have[2] = {};

	/* A service manager may have removed the capabilities, and forbidden
	 * the call, before us. */
	if (syscall(SYS_capget, &head, have) == 0 &&
	    (have[0].permitted | have[1].permitted) == 0)
		return;
	few[0].permitted = few[0].effective = have[0].permitted & keep;
	if (syscall(SYS_capset, &head, few) == -1)
		log_warn("sandbox: dropping capabilities");
}

/* Give up privileges. */
int
confine_privileges(uint32_t keep)
{
	confine_limit(RLIMIT_CORE, 0);
#ifndef WITH_SANITIZER			/* the leak checker must look in */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	confine_capabilities(keep);
	return (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ? -errno : 0);
}
