/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox of chatd-filter: limits, Landlock and two lists of allowed system
 * calls.  A plugin's constructor runs before the plugin can be checked, so the
 * first stage is on before a plugin is loaded.  The second stage follows when
 * all plugins are open.  crash.c reports forbidden calls.
 *
 * The first list must allow the call that loads the second list, but a plugin
 * could use that call to load a list of its own, which makes calls fail.  So
 * the second list is made before the first one is loaded, and is stored at an
 * address below all other memory.  The first list allows seccomp with that
 * address only, and no call that could change the memory there.
 */
#include <config.h>

#include "filter.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "confine.h"
#include "confine_list.h"
#include "log.h"
#include "xmalloc.h"

#define SANDBOX_MEMORY	(1024UL * 1024 * 1024)	/* address space, bytes */
#define SANDBOX_FILES	256			/* descriptors */
#define SANDBOX_LOW	0x10000UL	/* the lowest address of most kernels */
#define SANDBOX_HIGH	0x200000UL	/* below every program */
#define SANDBOX_MARK	ECHRNG		/* no call returns it otherwise */

#ifdef WITH_SANITIZER
#define SANITIZED	1	/* its shadow memory and threads */
#else
#define SANITIZED	0
#endif

struct sandbox {
	struct landlock_path	*paths;	/* owned: readable in the first stage */
	size_t			 n;
	struct sock_fprog	*second; /* the second list; never released */
	uintptr_t		 floor;	/* lowest address that may be changed */
};

#ifdef __has_feature
#define CLANG_TSAN	__has_feature(thread_sanitizer)
#else
#define CLANG_TSAN	0
#endif
/* Forbidden: reported by crash.c, then the process ends. The thread sanitizer
 * delays signals, so with it the kernel ends the process at once. */
#if defined(__SANITIZE_THREAD__) || CLANG_TSAN
#define TRAP		SCMP_ACT_KILL_PROCESS
#else
#define TRAP		SCMP_ACT_TRAP
#endif
#define OK(name)	{ name, CONFINE_OK, 0, {} }
#define NO(name, e)	{ name, CONFINE_ERR(e), 0, {} }
/* Allowed on descriptor n only, or on those that a plugin opens, 3 to 255. */
#define ON(name, n)	{ name, CONFINE_OK, 1, { CONFINE_IS(0, n) } }
#define ON_OPENED(name) \
	ON(name, 3), \
	{ name, CONFINE_OK, 1, { CONFINE_BITS(0, ~3ull, 4) } }, \
	{ name, CONFINE_OK, 1, { CONFINE_BITS(0, ~7ull, 8) } }, \
	{ name, CONFINE_OK, 1, { CONFINE_BITS(0, ~15ull, 16) } }, \
	{ name, CONFINE_OK, 1, { CONFINE_BITS(0, ~31ull, 32) } }, \
	{ name, CONFINE_OK, 1, { CONFINE_BITS(0, ~63ull, 64) } }, \
	{ name, CONFINE_OK, 1, { CONFINE_BITS(0, ~127ull, 128) } }
#define WRITE_EXEC	(PROT_WRITE|PROT_EXEC)
#define READING		(O_ACCMODE|O_CREAT|O_TRUNC|(O_TMPFILE & ~O_DIRECTORY))

/* Both stages. */
static const struct confine_rule sandbox_both[] = {
	ON("read", 0), ON("recvfrom", 0),
	ON("write", 1), ON("write", 2), ON("writev", 2),
	{ "sendto", CONFINE_OK, 2, { CONFINE_IS(0, 1), CONFINE_IS(4, 0) } },
	OK("poll"), OK("ppoll"), OK("close"), OK("fstat"),
	ON_OPENED("lseek"),
	OK("brk"), OK("futex"), OK("rseq"), OK("membarrier"),
	OK("sched_yield"), OK("getrandom"), OK("clock_gettime"),
	OK("clock_getres"), OK("gettimeofday"), OK("time"),
	OK("getrusage"), OK("getpid"), OK("gettid"), OK("rt_sigreturn"),
	OK("sigaltstack"), OK("restart_syscall"), OK("exit"),
	OK("exit_group"),
	/* no SIG_BLOCK: the C library blocks all signals before a clone, and
	 * our handler could not report the clone */
	{ "rt_sigprocmask", CONFINE_OK, 1, { CONFINE_IS(0, SIG_UNBLOCK) } },
	{ "rt_sigprocmask", CONFINE_OK, 1, { CONFINE_IS(0, SIG_SETMASK) } },
	/* is this a terminal? no */
	{ "ioctl", CONFINE_ERR(ENOTTY), 1, { CONFINE_IS(1, TCGETS) } },
	{ "ioctl", CONFINE_ERR(ENOTTY), 1, { CONFINE_IS(1, 0x802c542a) } },
	/* naming memory (PR_SET_VMA) is not supported */
	{ "prctl", CONFINE_ERR(EINVAL), 1, { CONFINE_IS(0, 0x53564d41) } },
};

/* First stage: calls that the loader, the C library and a plugin that reads its
 * files need in addition. */
static const struct confine_rule sandbox_first[] = {
	{ "open", CONFINE_OK, 1, { CONFINE_BITS(1, READING, O_RDONLY) } },
	{ "openat", CONFINE_OK, 1, { CONFINE_BITS(2, READING, O_RDONLY) } },
	ON_OPENED("read"), ON_OPENED("pread64"), ON_OPENED("readv"),
	OK("getdents64"), OK("stat"), OK("lstat"), OK("newfstatat"),
	OK("statx"), OK("access"), OK("faccessat"), OK("faccessat2"),
	OK("readlink"), OK("readlinkat"), OK("getcwd"), OK("statfs"),
	OK("fstatfs"), OK("fadvise64"), OK("readahead"),
	{ "fcntl", CONFINE_OK, 1, { CONFINE_IS(1, F_GETFD) } },
	{ "fcntl", CONFINE_OK, 1, { CONFINE_IS(1, F_SETFD) } },
	{ "fcntl", CONFINE_OK, 1, { CONFINE_IS(1, F_GETFL) } },
	OK("uname"), OK("sysinfo"), OK("getuid"), OK("geteuid"),
	OK("getgid"), OK("getegid"), OK("getppid"), OK("times"),
	OK("getrlimit"), OK("sched_getaffinity"), OK("getcpu"),
	{ "prlimit64", CONFINE_OK, 2, { CONFINE_IS(0, 0),
	    CONFINE_IS(2, 0) } },
	OK("nanosleep"), OK("clock_nanosleep"), OK("set_robust_list"),
	/* handlers of all signals but SIGSYS (31) */
	{ "rt_sigaction", CONFINE_OK, 1, { CONFINE_BITS(0, ~15ull, 0) } },
	{ "rt_sigaction", CONFINE_OK, 1, { CONFINE_BITS(0, ~7ull, 16) } },
	{ "rt_sigaction", CONFINE_OK, 1, { CONFINE_BITS(0, ~3ull, 24) } },
	{ "rt_sigaction", CONFINE_OK, 1, { CONFINE_BITS(0, ~1ull, 28) } },
	{ "rt_sigaction", CONFINE_OK, 1, { CONFINE_IS(0, 30) } },
	{ "rt_sigaction", CONFINE_OK, 1, { CONFINE_BITS(0, ~31ull, 32) } },
	{ "rt_sigaction", CONFINE_OK, 1, { CONFINE_IS(0, 64) } },
	/* the arguments are in memory, which a list can't check; fail as in an
	 * old kernel */
	NO("clone3", ENOSYS), NO("openat2", ENOSYS), NO("arch_prctl", EINVAL),
	/* writable code: PCRE2 tries it and continues without its JIT */
	{ "mmap", CONFINE_ERR(EACCES), 1, { CONFINE_BITS(2, WRITE_EXEC,
	    WRITE_EXEC) } },
	{ "mprotect", CONFINE_ERR(EACCES), 1, { CONFINE_BITS(2, PROT_EXEC,
	    PROT_EXEC) } },
	NO("pkey_mprotect", EACCES),
	NO("mincore", SANDBOX_MARK),
};

/* Second stage. Calls that libraries use to look for files fail. */
static const struct confine_rule sandbox_second[] = {
	{ "mmap", CONFINE_OK, 1, { CONFINE_BITS(2, PROT_EXEC, 0) } },
	{ "mprotect", CONFINE_OK, 1, { CONFINE_BITS(2, PROT_EXEC, 0) } },
	OK("munmap"), OK("mremap"), OK("madvise"),
	NO("stat", EACCES), NO("lstat", EACCES), NO("newfstatat", EACCES),
	NO("statx", EACCES), NO("access", EACCES), NO("faccessat", EACCES),
	NO("faccessat2", EACCES), NO("readlink", EACCES),
	NO("readlinkat", EACCES),
	NO("uname", SANDBOX_MARK),
};

/* A sanitizer needs more; the tests of the sandbox run without one. */
static const struct confine_rule sandbox_sanitizer[] = {
	OK("nanosleep"), OK("clock_nanosleep"), OK("getppid"),
	OK("sched_getaffinity"),
};

/* The folders of libraries, and the files that libraries read at start. */
static const char *const sandbox_system[] = {
	"/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64",
	"/usr/local/lib", "/usr/local/lib64", "/etc/ld.so.cache",
	"/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload",
	"/etc/localtime", "/usr/share/zoneinfo", "/sys/devices/system/cpu",
	"/proc/cpuinfo", "/proc/meminfo", "/dev/null", "/dev/urandom",
};

static int	sandbox_seal(struct sandbox *);
static int	sandbox_memory(scmp_filter_ctx, const struct sandbox *);

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

/* Release the memory; the process stays in the sandbox. */
void
sandbox_free(struct sandbox *sb)
{
	size_t	 i;

	if (sb == NULL)
		return;
	for (i = 0; i < sb->n; i++)
		free(sb->paths[i].path);
	free(sb->paths);
	free(sb);
}

/* Leave a path readable in the first stage. */
void
sandbox_allow_read(struct sandbox *sb, const char *path)
{
	sb->paths = xreallocarray(sb->paths, sb->n + 1, sizeof *sb->paths);
	sb->paths[sb->n++] = (struct landlock_path){ xstrdup(path), 0 };
}

/* Signals go to ourselves only: abort and the crash report need them. */
static int
sandbox_signals(scmp_filter_ctx ctx)
{
	struct scmp_arg_cmp	 us = CONFINE_IS(0, 0);

	us.datum_a = (scmp_datum_t)getpid();
	return (seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill),
	    1, &us));
}

/* Begin a list with the calls of both stages. */
static int
sandbox_begin(scmp_filter_ctx *ctx)
{
	int	 r;

	if ((r = confine_begin(TRAP, ctx)) == 0 &&
	    (r = confine_add(*ctx, sandbox_both, nitems(sandbox_both))) == 0 &&
	    (r = sandbox_signals(*ctx)) == 0 && SANITIZED)
		r = confine_add(*ctx, sandbox_sanitizer,
		    nitems(sandbox_sanitizer));
	return (r);
}

/*
 * Allow calls that change mappings, with these limits.  The address is not
 * below the floor.  Nothing is both writable and executable.  Only files are
 * mapped as code (by the loader).  Writable mappings are private (MAP_PRIVATE),
 * so that a log file that is open as descriptor 2 can't be changed through one.
 */
static int
sandbox_memory(scmp_filter_ctx ctx, const struct sandbox *sb)
{
	const struct scmp_arg_cmp	 above = { 0, SCMP_CMP_GE,
					    sb->floor, 0 };
	const struct scmp_arg_cmp	 code = CONFINE_BITS(2, WRITE_EXEC,
	    PROT_EXEC), data = CONFINE_BITS(2, WRITE_EXEC, PROT_WRITE),
	    constant = CONFINE_BITS(2, WRITE_EXEC, 0),
	    file = CONFINE_BITS(3, MAP_ANONYMOUS|MAP_TYPE, MAP_PRIVATE),
	    file_anywhere = CONFINE_BITS(3, MAP_ANONYMOUS|MAP_TYPE|MAP_FIXED,
	    MAP_PRIVATE),
	    own = CONFINE_BITS(3, MAP_TYPE, MAP_PRIVATE),
	    own_anywhere = CONFINE_BITS(3, MAP_TYPE|MAP_FIXED, MAP_PRIVATE),
	    anywhere = CONFINE_BITS(3, MAP_FIXED, 0);
	const struct scmp_arg_cmp	 none = CONFINE_IS(0, 0);
	const struct confine_rule	 rules[] = {
		{ "mmap", CONFINE_OK, 3, { above, code, file } },
		{ "mmap", CONFINE_OK, 3, { above, data, own } },
		{ "mmap", CONFINE_OK, 2, { above, constant } },
		{ "mmap", CONFINE_OK, 3, { none, code, file_anywhere } },
		{ "mmap", CONFINE_OK, 3, { none, data, own_anywhere } },
		{ "mmap", CONFINE_OK, 3, { none, constant, anywhere } },
		{ "mprotect", CONFINE_OK, 2, { above,
		    CONFINE_BITS(2, PROT_EXEC, 0) } },
		{ "munmap", CONFINE_OK, 1, { above } },
		{ "madvise", CONFINE_OK, 1, { above } },
		{ "mremap", CONFINE_OK, 2, { above, CONFINE_BITS(3,
		    MREMAP_FIXED|MREMAP_DONTUNMAP, 0) } },
		/* the second list, and no other */
		{ "seccomp", CONFINE_OK, 3, {
		    CONFINE_IS(0, SECCOMP_SET_MODE_FILTER), CONFINE_IS(1, 0),
		    CONFINE_IS(2, (uintptr_t)sb->second) } },
	};

	return (confine_add(ctx, rules, nitems(rules)));
}

/* Map a program of n bytes from file fd below all other memory. */
static int
sandbox_keep(struct sandbox *sb, int fd, size_t n)
{
	size_t		 size = n + sizeof *sb->second;
	uintptr_t	 at;
	void		*p = MAP_FAILED;
	long		 page = sysconf(_SC_PAGESIZE);

	size = (size + (size_t)page - 1) / (size_t)page * (size_t)page;
	for (at = SANDBOX_LOW; at < SANDBOX_HIGH && p == MAP_FAILED;
	    at += SANDBOX_LOW) {
		p = mmap((void *)at, size, PROT_READ|PROT_WRITE,
		    MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE, -1, 0);
		if (p != MAP_FAILED && p != (void *)at) {
			munmap(p, size);	/* an old kernel */
			p = MAP_FAILED;
		}
	}
	if (p == MAP_FAILED)
		return (-errno);
	sb->second = p;
	sb->floor = (uintptr_t)p + size;
	sb->second->filter = (struct sock_filter *)(sb->second + 1);
	sb->second->len = (unsigned short)(n / sizeof *sb->second->filter);
	if (pread(fd, sb->second->filter, n, 0) != (ssize_t)n)
		return (-EIO);
	return (mprotect(p, size, PROT_READ) == -1 ? -errno : 0);
}

/* Make the second list. 0, or -errno. */
static int
sandbox_seal(struct sandbox *sb)
{
	scmp_filter_ctx	 ctx = NULL;
	struct stat	 st;
	int		 fd = -1, r;

	if ((r = sandbox_begin(&ctx)) == 0 &&
	    (r = confine_add(ctx, sandbox_second,
	    nitems(sandbox_second))) == 0) {
		fd = memfd_create("chatd-filter", MFD_CLOEXEC);
		if (fd == -1)
			r = -errno;
		else if ((r = seccomp_export_bpf(ctx, fd)) == 0 &&
		    fstat(fd, &st) == 0)
			r = sandbox_keep(sb, fd, (size_t)st.st_size);
	}
	if (fd != -1)
		close(fd);
	seccomp_release(ctx);
	return (r);
}

/* Load the first list. 0, or -errno. */
static int
sandbox_load(const struct sandbox *sb)
{
	scmp_filter_ctx	 ctx = NULL;
	int		 r;

	if ((r = sandbox_begin(&ctx)) == 0 &&
	    (r = confine_add(ctx, sandbox_first,
	    nitems(sandbox_first))) == 0 &&
	    (r = sandbox_memory(ctx, sb)) == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return (r);
}

/* Fill f: the sandbox could not be set up. */
static int
sandbox_failed(const char *what, const char *why, struct fault *f)
{
	fault_set(f, "filter_unavailable", "sandbox", "sandbox: %s: %s "
	    "(\"sandbox: false\" runs plugins without one)", what, why);
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
	int	 abi, r;

	/* Before the limit on files, because the list is written to a file. */
	if ((r = sandbox_seal(sb)) != 0)
		return (sandbox_failed("the second list", strerror(-r), f));
	confine_limit(RLIMIT_NPROC, 0);
	confine_limit(RLIMIT_NOFILE, SANDBOX_FILES);
	if (!sandbox_is_file(STDOUT_FILENO) && !sandbox_is_file(STDERR_FILENO))
		confine_limit(RLIMIT_FSIZE, 0);
	if (!SANITIZED)
		confine_limit(RLIMIT_AS, SANDBOX_MEMORY);
	if ((r = confine_privileges(0)) != 0)
		return (sandbox_failed("no_new_privs", strerror(-r), f));
	abi = landlock_restrict(sb->paths, sb->n);
	if (abi > 0)
		log_debug("sandbox: Landlock ABI %d", abi);
	else
		log_warnx("sandbox: no Landlock here (%s): while plugins are "
		    "opened they can read what this user can",
		    strerror(-abi));
	if ((r = sandbox_load(sb)) != 0)
		return (sandbox_failed("seccomp", strerror(-r), f));
	/* The kernel allows this call, our list does not. */
	if (syscall(SYS_mincore, NULL, (size_t)0, NULL) != -1 ||
	    errno != SANDBOX_MARK)
		return (sandbox_failed("seccomp", "the first list was taken "
		    "but is not in force", f));
	return (0);
}

/* Second stage. */
int
sandbox_tighten(const struct sandbox *sb, struct fault *f)
{
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, sb->second) != 0)
		return (sandbox_failed("seccomp", strerror(errno), f));
	if (syscall(SYS_uname, NULL) != -1 || errno != SANDBOX_MARK)
		return (sandbox_failed("seccomp", "the second list was taken "
		    "but is not in force", f));
	return (0);
}
