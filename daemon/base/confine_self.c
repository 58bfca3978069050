/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox of helpers that run only code of this project: the store and the
 * engine. An attacker who takes over such a process, for example by a crafted
 * model file, can start no program and open no other file.
 */
#include <config.h>

#include "confine.h"

#include <linux/capability.h>
#include <linux/sched.h>
#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "confine_list.h"
#include "log.h"
#include "xmalloc.h"

#ifdef WITH_SANITIZER
#define SANITIZED	1	/* the leak checker is a process of its own */
#else
#define SANITIZED	0
#endif

#define OK(name)	{ name, CONFINE_OK, 0, {} }

/* Calls of all helpers. The rules for sockets look at descriptors only. */
static const struct confine_rule confine_self_common[] = {
	OK("read"), OK("readv"), OK("pread64"), OK("write"), OK("writev"),
	OK("close"), OK("lseek"), OK("poll"), OK("ppoll"),
	{ "recvfrom", CONFINE_OK, 1, { CONFINE_IS(0, 0) } },
	{ "sendto", CONFINE_OK, 2, { CONFINE_IS(0, 1), CONFINE_IS(4, 0) } },
	/* files: Landlock limits them to the allowed paths */
	OK("fstat"), OK("stat"), OK("lstat"), OK("newfstatat"), OK("statx"),
	OK("access"), OK("faccessat"), OK("faccessat2"), OK("readlink"),
	OK("readlinkat"), OK("getcwd"), OK("getdents64"), OK("statfs"),
	OK("fstatfs"), OK("fadvise64"),
	{ "ioctl", CONFINE_ERR(ENOTTY), 0, {} },
	/* memory: never writable and executable, never executable later */
	{ "mmap", CONFINE_OK, 1, { CONFINE_BITS(2, PROT_EXEC, 0) } },
	{ "mprotect", CONFINE_OK, 1, { CONFINE_BITS(2, PROT_EXEC, 0) } },
	OK("munmap"), OK("mremap"), OK("madvise"), OK("brk"), OK("mincore"),
	OK("mlock"), OK("mlock2"), OK("munlock"), OK("msync"),
	/* the C library */
	OK("futex"), OK("set_robust_list"), OK("rseq"), OK("membarrier"),
	OK("sched_yield"), OK("sched_getaffinity"), OK("getcpu"),
	OK("getrandom"), OK("uname"), OK("sysinfo"), OK("getrusage"),
	OK("getrlimit"), OK("times"), OK("getpid"), OK("gettid"),
	OK("getppid"), OK("getuid"), OK("geteuid"), OK("getgid"),
	OK("getegid"), OK("clock_gettime"), OK("clock_getres"),
	OK("gettimeofday"), OK("time"), OK("nanosleep"),
	OK("clock_nanosleep"),
	{ "prlimit64", CONFINE_OK, 2, { CONFINE_IS(0, 0),
	    CONFINE_IS(2, 0) } },
	OK("rt_sigaction"), OK("rt_sigprocmask"), OK("rt_sigreturn"),
	OK("sigaltstack"), OK("restart_syscall"), OK("exit"),
	OK("exit_group"),
	{ "fcntl", CONFINE_OK, 1, { CONFINE_IS(1, F_GETFD) } },
	{ "fcntl", CONFINE_OK, 1, { CONFINE_IS(1, F_SETFD) } },
	{ "fcntl", CONFINE_OK, 1, { CONFINE_IS(1, F_GETFL) } },
	{ "fcntl", CONFINE_OK, 1, { CONFINE_IS(1, F_DUPFD_CLOEXEC) } },
	/* A list can't check their flags, which are in memory. ENOSYS, as
	 * from an old kernel, makes the C library use older calls. */
	{ "clone3", CONFINE_ERR(ENOSYS), 0, {} },
	{ "openat2", CONFINE_ERR(ENOSYS), 0, {} },
};

/* The store changes files and locks them. */
static const struct confine_rule confine_self_store[] = {
	OK("open"), OK("openat"), OK("pwrite64"), OK("ftruncate"),
	OK("fallocate"), OK("fsync"), OK("fdatasync"), OK("flock"),
	OK("unlink"), OK("unlinkat"), OK("fchmod"), OK("fchown"),
	OK("rename"), OK("renameat"), OK("renameat2"),
	{ "fcntl", CONFINE_OK, 1, { CONFINE_IS(1, F_GETLK) } },
	{ "fcntl", CONFINE_OK, 1, { CONFINE_IS(1, F_SETLK) } },
	{ "fcntl", CONFINE_OK, 1, { CONFINE_IS(1, F_SETLKW) } },
	{ "fcntl", CONFINE_OK, 1, { CONFINE_IS(1, F_OFD_GETLK) } },
	{ "fcntl", CONFINE_OK, 1, { CONFINE_IS(1, F_OFD_SETLK) } },
	{ "fcntl", CONFINE_OK, 1, { CONFINE_IS(1, F_OFD_SETLKW) } },
};

/* The engine reads files, and starts threads. */
#define READING		(O_ACCMODE|O_CREAT|O_TRUNC|(O_TMPFILE & ~O_DIRECTORY))
static const struct confine_rule confine_self_engine[] = {
	{ "open", CONFINE_OK, 1, { CONFINE_BITS(1, READING, O_RDONLY) } },
	{ "openat", CONFINE_OK, 1, { CONFINE_BITS(2, READING, O_RDONLY) } },
	{ "clone", CONFINE_OK, 1, { CONFINE_BITS(0, CLONE_VM|CLONE_THREAD,
	    CLONE_VM|CLONE_THREAD) } },
	OK("arch_prctl"),		/* permission to use AMX tiles */
	OK("readahead"), OK("get_mempolicy"),
};

static const struct confine_rule confine_self_pin[] = {
	OK("sched_setaffinity"),
};

/* A sanitizer's run-time. */
static const struct confine_rule confine_self_sanitizer[] = {
	OK("clone"), OK("ptrace"), OK("wait4"), OK("prctl"), OK("fork"),
	OK("arch_prctl"), OK("tgkill"), OK("kill"), OK("set_tid_address"),
	OK("pipe2"), OK("process_vm_readv"), OK("getdents"),
};

/* With a GPU the libraries of its driver run too, so this lists only calls
 * that nothing needs. */
#define NO(name)	{ name, CONFINE_ERR(EPERM), 0, {} }
#define NO_SOCKET(mask, value) \
	{ "socket", CONFINE_ERR(EPERM), 1, { CONFINE_BITS(0, mask, value) } }
static const struct confine_rule confine_self_gpu[] = {
	NO("execve"), NO("execveat"),
	/* all kinds of socket but 1 and 16, AF_UNIX and AF_NETLINK */
	NO_SOCKET(0xffffffff, 0), NO_SOCKET(0xfffffffe, 2),
	NO_SOCKET(0xfffffffc, 4), NO_SOCKET(0xfffffff8, 8),
	NO_SOCKET(0xffffffff, 17), NO_SOCKET(0xfffffffe, 18),
	NO_SOCKET(0xfffffffc, 20), NO_SOCKET(0xfffffff8, 24),
	NO_SOCKET(0xffffffe0, 32), NO_SOCKET(0xffffffc0, 64),
	NO("listen"), NO("accept"), NO("accept4"), NO("ptrace"),
	NO("process_vm_writev"), NO("setuid"), NO("setgid"),
	NO("setreuid"), NO("setregid"), NO("setresuid"), NO("setresgid"),
	NO("setgroups"), NO("mount"), NO("umount2"), NO("move_mount"),
	NO("pivot_root"), NO("chroot"), NO("unshare"), NO("setns"),
	NO("init_module"), NO("finit_module"), NO("delete_module"),
	NO("kexec_load"), NO("kexec_file_load"), NO("bpf"),
	NO("perf_event_open"), NO("userfaultfd"), NO("keyctl"),
	NO("add_key"), NO("request_key"), NO("io_uring_setup"),
	NO("open_by_handle_at"), NO("reboot"), NO("swapon"), NO("swapoff"),
	NO("acct"), NO("quotactl"), NO("settimeofday"),
	NO("clock_settime"), NO("truncate"), NO("ftruncate"), NO("chmod"),
	NO("chown"), NO("lchown"),
};

/* Files that the C library reads, also to find the memory and cores. */
static const struct landlock_path confine_self_system[] = {
	{ (char *)(uintptr_t)"/proc/self", 0 },
	{ (char *)(uintptr_t)"/proc/meminfo", 0 },
	{ (char *)(uintptr_t)"/proc/cpuinfo", 0 },
	{ (char *)(uintptr_t)"/proc/stat", 0 },
	{ (char *)(uintptr_t)"/sys/devices/system", 0 },
	{ (char *)(uintptr_t)"/sys/fs/cgroup", 0 },
	{ (char *)(uintptr_t)"/sys/kernel/mm", 0 },
	{ (char *)(uintptr_t)"/dev/urandom", 0 },
	{ (char *)(uintptr_t)"/dev/null", 0 },
	{ (char *)(uintptr_t)"/etc/localtime", 0 },
	{ (char *)(uintptr_t)"/usr/share/zoneinfo", 0 },
};

/* What each kind adds to confine_self_common; a kind without lists allows all
 * that confine_gpu does not refuse. */
static const struct {
	const struct confine_rule	*rules[2];
	size_t				 n[2];
	uint32_t			 keep;	/* capabilities, for files */
} confine_lists[] = {
	[CONFINE_STORE] = { { confine_self_store },
	    { nitems(confine_self_store) },
	    1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER },
	[CONFINE_ENGINE] = { { confine_self_engine },
	    { nitems(confine_self_engine) }, 1u << CAP_DAC_READ_SEARCH },
	[CONFINE_ENGINE_PIN] = { { confine_self_engine, confine_self_pin },
	    { nitems(confine_self_engine), nitems(confine_self_pin) },
	    1u << CAP_DAC_READ_SEARCH },
	[CONFINE_ENGINE_GPU] = { { NULL }, { 0 },
	    1u << CAP_DAC_READ_SEARCH },
};

static int	confine_self_load(enum confine_kind);
static int	confine_self_files(const struct landlock_path *, size_t);

/* Allow signals to the process itself only. */
static int
confine_self_signals(scmp_filter_ctx ctx)
{
	struct scmp_arg_cmp	 us = CONFINE_IS(0, 0);

	us.datum_a = (scmp_datum_t)getpid();
	return (seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill),
	    1, &us));
}

/* Load the list of a kind. 0, or -errno. */
static int
confine_self_load(enum confine_kind kind)
{
	scmp_filter_ctx	 ctx = NULL;
	int		 r, i, gpu = kind == CONFINE_ENGINE_GPU;

	if ((r = confine_begin(gpu ? SCMP_ACT_ALLOW : CONFINE_ERR(EPERM),
	    &ctx)) != 0)
		return (r);
	if (gpu)
		r = confine_add(ctx, confine_self_gpu,
		    nitems(confine_self_gpu));
	else if ((r = confine_add(ctx, confine_self_common,
	    nitems(confine_self_common))) == 0 && !SANITIZED)
		r = confine_self_signals(ctx);
	for (i = 0; r == 0 && !gpu && i < 2; i++)
		r = confine_add(ctx, confine_lists[kind].rules[i],
		    confine_lists[kind].n[i]);
	if (r == 0 && SANITIZED && !gpu)
		r = confine_add(ctx, confine_self_sanitizer,
		    nitems(confine_self_sanitizer));
	/* Turn off the guard against speculative execution: this process
	 * runs no foreign code, and the guard makes it slower. Kernels
	 * without it ignore the call. */
	if (r == 0)
		(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return (r);
}

/* Forbid all files except the paths and those of the system. Returns the
 * ABI, or -errno. */
static int
confine_self_files(const struct landlock_path *paths, size_t n)
{
	struct landlock_path	*all;
	size_t			 k = nitems(confine_self_system);
	int			 abi;

	all = xcalloc(n + k, sizeof *all);
	memcpy(all, confine_self_system, sizeof confine_self_system);
	if (n > 0)
		memcpy(all + k, paths, n * sizeof *all);
	abi = landlock_restrict(all, n + k);
	free(all);
	return (abi);
}

/* Confine this process. */
void
confine_self(enum confine_kind kind, const struct landlock_path *paths,
    size_t n)
{
	int	 r;

	if ((r = confine_privileges(confine_lists[kind].keep)) != 0) {
		log_info("sandbox: no_new_privs: %s: going on without a "
		    "sandbox", strerror(-r));
		return;
	}
	if (kind == CONFINE_ENGINE_GPU)
		log_info("sandbox: with a GPU only other programs, the "
		    "network and changes to the system are refused");
	else if ((r = confine_self_files(paths, n)) < 0)
		log_info("sandbox: no Landlock here (%s): files are not shut "
		    "out", strerror(-r));
	if ((r = confine_self_load(kind)) != 0)
		log_info("sandbox: seccomp: %s: system calls are not "
		    "limited", strerror(-r));
}
