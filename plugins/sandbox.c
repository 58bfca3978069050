/*
 * The sandbox of chatd-filter: limits, Landlock and the two lists of system
 * calls.  A plugin's constructor runs before anything about the plugin can
 * be checked, so the first stage is on before it is loaded; the second comes
 * when every plugin is open.  What crashes inside is told by crash.c.
 */
#include "config.h"

#include "filter.h"

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "landlock.h"
#include "log.h"
#include "xmalloc.h"

#define SANDBOX_MEMORY	(1024UL * 1024 * 1024)	/* address space, bytes */
#define SANDBOX_FILES	256			/* descriptors */

#ifdef WITH_SANITIZER
#define SANITIZED	1	/* shadow memory and the run-time's threads */
#else
#define SANITIZED	0
#endif

struct sandbox {
	char	**paths;	/* owned: readable in the first stage */
	size_t	  n;
};

/* One line of a list of system calls. */
struct rule {
	const char		*name;
	uint32_t		 action;
	unsigned		 n;		/* conditions, all must hold */
	struct scmp_arg_cmp	 arg[2];
};

#ifdef __has_feature
#define CLANG_TSAN	__has_feature(thread_sanitizer)
#else
#define CLANG_TSAN	0
#endif
/* Forbidden: told by crash.c and fatal. The thread sanitizer holds signals
 * back, so there the kernel ends the process at once. */
#if defined(__SANITIZE_THREAD__) || CLANG_TSAN
#define TRAP		SCMP_ACT_KILL_PROCESS
#else
#define TRAP		SCMP_ACT_TRAP
#endif
#define ERR(e)		SCMP_ACT_ERRNO(e)
#define BITS(i, mask, value) { i, SCMP_CMP_MASKED_EQ, mask, value }

static void	sandbox_limit(int, rlim_t);
static void	sandbox_drop_capabilities(void);
static int	sandbox_signals(scmp_filter_ctx, uint32_t);
static int	sandbox_load(uint32_t, const struct rule *, size_t,
		    struct fault *);

/*
 * First stage: everything is allowed but this.  Names a kernel or libseccomp
 * doesn't know are passed over.  clone3 hides its flags in memory, so it is
 * answered as by an old kernel, and clone is then refused by name.
 */
static const struct rule sandbox_forbidden[] = {
	/* other programs and processes */
	{ "execve", TRAP, 0, {} }, { "execveat", TRAP, 0, {} },
	{ "fork", TRAP, 0, {} }, { "vfork", TRAP, 0, {} },
	{ "clone", TRAP, 0, {} }, { "clone3", ERR(ENOSYS), 0, {} },
	{ "ptrace", TRAP, 0, {} }, { "process_vm_readv", TRAP, 0, {} },
	{ "process_vm_writev", TRAP, 0, {} },
	{ "process_madvise", TRAP, 0, {} }, { "kcmp", TRAP, 0, {} },
	{ "pidfd_open", TRAP, 0, {} }, { "pidfd_getfd", TRAP, 0, {} },
	{ "pidfd_send_signal", TRAP, 0, {} },
	{ "rt_sigqueueinfo", TRAP, 0, {} },
	{ "rt_tgsigqueueinfo", TRAP, 0, {} }, { "tkill", TRAP, 0, {} },
	{ "setpriority", TRAP, 0, {} }, { "sched_setscheduler", TRAP, 0, {} },
	{ "sched_setattr", TRAP, 0, {} }, { "migrate_pages", TRAP, 0, {} },
	/* network and messages */
	{ "socket", TRAP, 0, {} }, { "socketpair", TRAP, 0, {} },
	{ "connect", TRAP, 0, {} }, { "bind", TRAP, 0, {} },
	{ "listen", TRAP, 0, {} }, { "accept", TRAP, 0, {} },
	{ "accept4", TRAP, 0, {} }, { "sendmsg", TRAP, 0, {} },
	{ "sendmmsg", TRAP, 0, {} }, { "recvmsg", TRAP, 0, {} },
	{ "recvmmsg", TRAP, 0, {} }, { "shmget", TRAP, 0, {} },
	{ "shmat", TRAP, 0, {} }, { "msgget", TRAP, 0, {} },
	{ "semget", TRAP, 0, {} }, { "mq_open", TRAP, 0, {} },
	/* changing files */
	{ "creat", TRAP, 0, {} }, { "openat2", ERR(ENOSYS), 0, {} },
	{ "open_by_handle_at", TRAP, 0, {} }, { "unlink", TRAP, 0, {} },
	{ "unlinkat", TRAP, 0, {} }, { "rename", TRAP, 0, {} },
	{ "renameat", TRAP, 0, {} }, { "renameat2", TRAP, 0, {} },
	{ "mkdir", TRAP, 0, {} }, { "mkdirat", TRAP, 0, {} },
	{ "rmdir", TRAP, 0, {} }, { "link", TRAP, 0, {} },
	{ "linkat", TRAP, 0, {} }, { "symlink", TRAP, 0, {} },
	{ "symlinkat", TRAP, 0, {} }, { "mknod", TRAP, 0, {} },
	{ "mknodat", TRAP, 0, {} }, { "truncate", TRAP, 0, {} },
	{ "chmod", TRAP, 0, {} }, { "fchmod", TRAP, 0, {} },
	{ "fchmodat", TRAP, 0, {} }, { "fchmodat2", TRAP, 0, {} },
	{ "chown", TRAP, 0, {} }, { "fchown", TRAP, 0, {} },
	{ "lchown", TRAP, 0, {} }, { "fchownat", TRAP, 0, {} },
	{ "utime", TRAP, 0, {} }, { "utimes", TRAP, 0, {} },
	{ "utimensat", TRAP, 0, {} }, { "futimesat", TRAP, 0, {} },
	{ "setxattr", TRAP, 0, {} }, { "lsetxattr", TRAP, 0, {} },
	{ "fsetxattr", TRAP, 0, {} }, { "removexattr", TRAP, 0, {} },
	{ "lremovexattr", TRAP, 0, {} }, { "fremovexattr", TRAP, 0, {} },
	{ "memfd_create", TRAP, 0, {} }, { "memfd_secret", TRAP, 0, {} },
	{ "fanotify_init", TRAP, 0, {} }, { "inotify_init1", TRAP, 0, {} },
	{ "io_uring_setup", TRAP, 0, {} }, { "io_setup", TRAP, 0, {} },
	/* who we are, and the machine */
	{ "setuid", TRAP, 0, {} }, { "setgid", TRAP, 0, {} },
	{ "setreuid", TRAP, 0, {} }, { "setregid", TRAP, 0, {} },
	{ "setresuid", TRAP, 0, {} }, { "setresgid", TRAP, 0, {} },
	{ "setgroups", TRAP, 0, {} }, { "setfsuid", TRAP, 0, {} },
	{ "setfsgid", TRAP, 0, {} }, { "capset", TRAP, 0, {} },
	{ "setsid", TRAP, 0, {} }, { "setpgid", TRAP, 0, {} },
	{ "mount", TRAP, 0, {} }, { "umount2", TRAP, 0, {} },
	{ "pivot_root", TRAP, 0, {} }, { "chroot", TRAP, 0, {} },
	{ "move_mount", TRAP, 0, {} }, { "open_tree", TRAP, 0, {} },
	{ "fsopen", TRAP, 0, {} }, { "fsmount", TRAP, 0, {} },
	{ "fspick", TRAP, 0, {} }, { "fsconfig", TRAP, 0, {} },
	{ "mount_setattr", TRAP, 0, {} }, { "unshare", TRAP, 0, {} },
	{ "setns", TRAP, 0, {} }, { "init_module", TRAP, 0, {} },
	{ "finit_module", TRAP, 0, {} }, { "delete_module", TRAP, 0, {} },
	{ "kexec_load", TRAP, 0, {} }, { "kexec_file_load", TRAP, 0, {} },
	{ "bpf", TRAP, 0, {} }, { "perf_event_open", TRAP, 0, {} },
	{ "userfaultfd", TRAP, 0, {} }, { "keyctl", TRAP, 0, {} },
	{ "add_key", TRAP, 0, {} }, { "request_key", TRAP, 0, {} },
	{ "reboot", TRAP, 0, {} }, { "swapon", TRAP, 0, {} },
	{ "swapoff", TRAP, 0, {} }, { "acct", TRAP, 0, {} },
	{ "quotactl", TRAP, 0, {} }, { "syslog", TRAP, 0, {} },
	{ "sethostname", TRAP, 0, {} }, { "setdomainname", TRAP, 0, {} },
	{ "settimeofday", TRAP, 0, {} }, { "clock_settime", TRAP, 0, {} },
	{ "clock_adjtime", TRAP, 0, {} }, { "adjtimex", TRAP, 0, {} },
	{ "personality", TRAP, 0, {} }, { "ioperm", TRAP, 0, {} },
	{ "iopl", TRAP, 0, {} }, { "modify_ldt", TRAP, 0, {} },
	{ "vhangup", TRAP, 0, {} }, { "setrlimit", TRAP, 0, {} },
	/* opening for anything but reading */
	{ "open", TRAP, 1, { BITS(1, O_ACCMODE, O_WRONLY) } },
	{ "open", TRAP, 1, { BITS(1, O_ACCMODE, O_RDWR) } },
	{ "open", TRAP, 1, { BITS(1, O_CREAT, O_CREAT) } },
	{ "open", TRAP, 1, { BITS(1, O_TRUNC, O_TRUNC) } },
	{ "openat", TRAP, 1, { BITS(2, O_ACCMODE, O_WRONLY) } },
	{ "openat", TRAP, 1, { BITS(2, O_ACCMODE, O_RDWR) } },
	{ "openat", TRAP, 1, { BITS(2, O_CREAT, O_CREAT) } },
	{ "openat", TRAP, 1, { BITS(2, O_TRUNC, O_TRUNC) } },
	/* writable code: refused, not fatal, since PCRE2 asks and goes on
	 * without its JIT */
	{ "mmap", ERR(EACCES), 1, { BITS(2, PROT_WRITE|PROT_EXEC,
	    PROT_WRITE|PROT_EXEC) } },
	{ "mprotect", ERR(EACCES), 1, { BITS(2, PROT_WRITE|PROT_EXEC,
	    PROT_WRITE|PROT_EXEC) } },
	{ "pkey_mprotect", ERR(EACCES), 0, {} },
	/* our own handler stays, and stays reachable: the C library blocks
	 * all signals before it clones, and the clone could not be named */
	{ "rt_sigaction", TRAP, 1, { { 0, SCMP_CMP_EQ, SIGSYS, 0 } } },
	{ "rt_sigprocmask", TRAP, 1, { { 0, SCMP_CMP_EQ, SIG_BLOCK, 0 } } },
};

/* Second stage: nothing is allowed but this. Questions about files that
 * libraries ask by habit are answered "no". */
static const struct rule sandbox_allowed[] = {
	{ "read", SCMP_ACT_ALLOW, 1, { { 0, SCMP_CMP_EQ, 0, 0 } } },
	{ "write", SCMP_ACT_ALLOW, 1, { { 0, SCMP_CMP_EQ, 1, 0 } } },
	{ "write", SCMP_ACT_ALLOW, 1, { { 0, SCMP_CMP_EQ, 2, 0 } } },
	{ "writev", SCMP_ACT_ALLOW, 1, { { 0, SCMP_CMP_EQ, 2, 0 } } },
	{ "sendto", SCMP_ACT_ALLOW, 2, { { 0, SCMP_CMP_EQ, 1, 0 },
	    { 4, SCMP_CMP_EQ, 0, 0 } } },
	{ "recvfrom", SCMP_ACT_ALLOW, 1, { { 0, SCMP_CMP_EQ, 0, 0 } } },
	{ "poll", SCMP_ACT_ALLOW, 0, {} },
	{ "ppoll", SCMP_ACT_ALLOW, 0, {} },
	{ "close", SCMP_ACT_ALLOW, 0, {} },
	{ "lseek", SCMP_ACT_ALLOW, 0, {} },
	{ "fstat", SCMP_ACT_ALLOW, 0, {} },
	{ "mmap", SCMP_ACT_ALLOW, 1, { BITS(2, PROT_EXEC, 0) } },
	{ "mprotect", SCMP_ACT_ALLOW, 1, { BITS(2, PROT_EXEC, 0) } },
	{ "munmap", SCMP_ACT_ALLOW, 0, {} },
	{ "mremap", SCMP_ACT_ALLOW, 0, {} },
	{ "madvise", SCMP_ACT_ALLOW, 0, {} },
	{ "brk", SCMP_ACT_ALLOW, 0, {} },
	{ "futex", SCMP_ACT_ALLOW, 0, {} },
	{ "rseq", SCMP_ACT_ALLOW, 0, {} },
	{ "membarrier", SCMP_ACT_ALLOW, 0, {} },
	{ "sched_yield", SCMP_ACT_ALLOW, 0, {} },
	{ "getrandom", SCMP_ACT_ALLOW, 0, {} },
	{ "clock_gettime", SCMP_ACT_ALLOW, 0, {} },
	{ "clock_getres", SCMP_ACT_ALLOW, 0, {} },
	{ "gettimeofday", SCMP_ACT_ALLOW, 0, {} },
	{ "time", SCMP_ACT_ALLOW, 0, {} },
	{ "getrusage", SCMP_ACT_ALLOW, 0, {} },
	{ "getpid", SCMP_ACT_ALLOW, 0, {} },
	{ "gettid", SCMP_ACT_ALLOW, 0, {} },
	{ "rt_sigprocmask", SCMP_ACT_ALLOW, 0, {} },
	{ "rt_sigreturn", SCMP_ACT_ALLOW, 0, {} },
	{ "sigaltstack", SCMP_ACT_ALLOW, 0, {} },
	{ "restart_syscall", SCMP_ACT_ALLOW, 0, {} },
	{ "exit", SCMP_ACT_ALLOW, 0, {} },
	{ "exit_group", SCMP_ACT_ALLOW, 0, {} },
	{ "stat", ERR(EACCES), 0, {} },
	{ "lstat", ERR(EACCES), 0, {} },
	{ "newfstatat", ERR(EACCES), 0, {} },
	{ "statx", ERR(EACCES), 0, {} },
	{ "access", ERR(EACCES), 0, {} },
	{ "faccessat", ERR(EACCES), 0, {} },
	{ "faccessat2", ERR(EACCES), 0, {} },
	{ "readlink", ERR(EACCES), 0, {} },
	{ "readlinkat", ERR(EACCES), 0, {} },
	{ "ioctl", ERR(ENOTTY), 0, {} },
	{ "fcntl", ERR(EACCES), 0, {} },
};

/* Where a loader looks for libraries and what they read to start. */
static const char *const sandbox_system[] = {
	"/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64",
	"/usr/local/lib", "/usr/local/lib64", "/etc/ld.so.cache",
	"/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload",
	"/etc/localtime", "/usr/share/zoneinfo", "/sys/devices/system/cpu",
	"/proc/cpuinfo", "/proc/meminfo", "/dev/null", "/dev/urandom",
};

/* Begin a sandbox. */
struct sandbox *
sandbox_new(void)
{
	struct sandbox	*sb;
	char		*dirs, *s, *save;
	size_t		 i;

	sb = xcalloc(1, sizeof *sb);
	for (i = 0; i < nitems(sandbox_system); i++)
		sandbox_allow_read(sb, sandbox_system[i]);
	dirs = xstrdup(getenv("LD_LIBRARY_PATH"));
	for (s = dirs != NULL ? strtok_r(dirs, ":", &save) : NULL; s != NULL;
	    s = strtok_r(NULL, ":", &save))
		sandbox_allow_read(sb, s);
	free(dirs);
	return (sb);
}

/* Release it; what has been forbidden stays so. */
void
sandbox_free(struct sandbox *sb)
{
	size_t	 i;

	if (sb == NULL)
		return;
	for (i = 0; i < sb->n; i++)
		free(sb->paths[i]);
	free(sb->paths);
	free(sb);
}

/* Leave a path readable in the first stage. */
void
sandbox_allow_read(struct sandbox *sb, const char *path)
{
	sb->paths = xreallocarray(sb->paths, sb->n + 1, sizeof *sb->paths);
	sb->paths[sb->n++] = xstrdup(path);
}

/* Lower a limit, hard and soft, as far as it isn't lower already. */
static void
sandbox_limit(int what, rlim_t value)
{
	struct rlimit	 rl;

	if (getrlimit(what, &rl) == -1 || rl.rlim_max < value)
		return;
	rl.rlim_cur = rl.rlim_max = value;
	if (setrlimit(what, &rl) == -1)
		log_warn("sandbox: limit %d", what);
}

/* Root keeps its uid (files may be its own) but none of its powers. */
static void
sandbox_drop_capabilities(void)
{
	struct __user_cap_header_struct	 head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct	 none[2] = {}, have[2] = {};

	/* A service manager may have taken them, and the call, before us. */
	if (syscall(SYS_capget, &head, have) == 0 &&
	    (have[0].permitted | have[1].permitted) == 0)
		return;
	if (syscall(SYS_capset, &head, none) == -1)
		log_warn("sandbox: dropping capabilities");
}

/* Signals go to ourselves only: abort and the crash report need them. */
static int
sandbox_signals(scmp_filter_ctx ctx, uint32_t otherwise)
{
	struct scmp_arg_cmp	 who = { 0, SCMP_CMP_EQ,
				    (scmp_datum_t)getpid(), 0 };
	int			 r;

	if (otherwise != SCMP_ACT_ALLOW)
		return (seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW,
		    SCMP_SYS(tgkill), 1, &who));
	who.op = SCMP_CMP_NE;
	r = seccomp_rule_add_array(ctx, TRAP, SCMP_SYS(tgkill), 1, &who);
	return (r != 0 ? r : seccomp_rule_add_array(ctx, TRAP,
	    SCMP_SYS(kill), 1, &who));
}

/* Load one list. */
static int
sandbox_load(uint32_t otherwise, const struct rule *list, size_t n,
    struct fault *f)
{
	scmp_filter_ctx	 ctx;
	size_t		 i;
	int		 nr, r = -ENOMEM;

	if ((ctx = seccomp_init(otherwise)) == NULL)
		goto out;
	if ((r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
	    SCMP_ACT_KILL_PROCESS)) != 0)
		goto out;
	for (i = 0; i < n; i++) {
		nr = seccomp_syscall_resolve_name(list[i].name);
		if (nr < 0)
			continue;
		r = seccomp_rule_add_array(ctx, list[i].action, nr,
		    list[i].n, list[i].arg);
		if (r != 0)
			goto out;
	}
	if ((r = sandbox_signals(ctx, otherwise)) == 0)
		r = seccomp_load(ctx);
out:
	seccomp_release(ctx);
	if (r == 0)
		return (0);
	fault_set(f, "filter_unavailable", "sandbox", "sandbox: seccomp: %s "
	    "(\"sandbox: false\" runs plugins without one)", strerror(-r));
	return (CHAT_EUNSUPPORTED);
}

/* Is this descriptor a regular file, which a size limit would close? */
static int
sandbox_is_file(int fd)
{
	struct stat	 st;

	return (fstat(fd, &st) == 0 && S_ISREG(st.st_mode));
}

/* First stage. */
int
sandbox_enter(struct sandbox *sb, struct fault *f)
{
	int	 abi;

	sandbox_limit(RLIMIT_CORE, 0);
	sandbox_limit(RLIMIT_NPROC, 0);
	sandbox_limit(RLIMIT_NOFILE, SANDBOX_FILES);
	if (!sandbox_is_file(STDOUT_FILENO) && !sandbox_is_file(STDERR_FILENO))
		sandbox_limit(RLIMIT_FSIZE, 0);
	if (!SANITIZED) {
		sandbox_limit(RLIMIT_AS, SANDBOX_MEMORY);
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	}
	sandbox_drop_capabilities();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) {
		fault_set(f, "filter_unavailable", "sandbox",
		    "sandbox: no_new_privs: %s", strerror(errno));
		return (CHAT_EUNSUPPORTED);
	}
	abi = landlock_restrict((const char *const *)sb->paths, sb->n);
	if (abi > 0)
		log_debug("sandbox: Landlock ABI %d", abi);
	else
		log_warnx("sandbox: no Landlock here (%s): while plugins are "
		    "opened they can read what this user can",
		    strerror(-abi));
	return (sandbox_load(SCMP_ACT_ALLOW, sandbox_forbidden,
	    nitems(sandbox_forbidden), f));
}

/* Second stage. */
int
sandbox_tighten(struct fault *f)
{
	return (sandbox_load(TRAP, sandbox_allowed, nitems(sandbox_allowed),
	    f));
}
