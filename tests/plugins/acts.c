/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acts that the sandbox must prevent, one system call each.
 */
#include "acts.h"

#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/ioprio.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define P(x)		((long)(uintptr_t)(x))
#define TARGET		(-4711)		/* stands for the other process */
#define HIGH		(1l << 32)	/* bits that the kernel ignores */

struct act {
	const char	*name;
	long		 nr;
	long		 arg[6];
};

static char			 acts_bytes[64];
static struct rlimit		 acts_limit = { 3, 3 };
static unsigned long		 acts_core = 1;
static struct iovec		 acts_here = { acts_bytes, 8 },
				 acts_there = { acts_bytes, 8 };
static struct itimerval		 acts_timer = { { 0, 0 }, { 1000, 0 } };
static struct rlimit		 acts_files = { 64, 64 };
static struct { uint32_t policy; int32_t nice; } acts_sched;

/* A filter that answers seccomp() with 0 and loads nothing. */
static struct sock_filter	 acts_code[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
static struct sock_fprog	 acts_filter = { 4, acts_code };

static const struct act	 acts[] = {
	/* other processes */
	{ "prlimit", SYS_prlimit64, { TARGET, RLIMIT_NOFILE, P(&acts_limit) } },
	{ "prlimit_self", SYS_prlimit64, { 0, RLIMIT_NOFILE, P(&acts_files) } },
	{ "prlimit_high", SYS_prlimit64, { HIGH, RLIMIT_NOFILE,
	    P(&acts_files) } },
	{ "affinity", SYS_sched_setaffinity, { TARGET, 8, P(&acts_core) } },
	{ "ioprio", SYS_ioprio_set, { IOPRIO_WHO_PROCESS, TARGET,
	    IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT } },
	{ "priority", SYS_setpriority, { PRIO_PROCESS, TARGET, 19 } },
	{ "scheduler", SYS_sched_setscheduler, { TARGET, SCHED_IDLE,
	    P(acts_bytes) } },
	{ "schedattr", SYS_sched_setattr, { TARGET, P(&acts_sched), 0 } },
	{ "setown", SYS_fcntl, { 2, F_SETOWN, TARGET } },
	{ "setsig", SYS_fcntl, { 2, F_SETSIG, SIGKILL } },
	{ "async", SYS_fcntl, { 2, F_SETFL, O_ASYNC|O_WRONLY } },
	{ "nonblock", SYS_fcntl, { 2, F_SETFL, O_NONBLOCK|O_WRONLY } },
	{ "vmread", SYS_process_vm_readv, { TARGET, P(&acts_here), 1,
	    P(&acts_there), 1 } },
	{ "vmwrite", SYS_process_vm_writev, { TARGET, P(&acts_here), 1,
	    P(&acts_there), 1 } },
	{ "ptrace", SYS_ptrace, { PTRACE_SEIZE, TARGET } },
	{ "kill", SYS_kill, { TARGET, SIGUSR1 } },
	{ "kill_all", SYS_kill, { -1, 0 } },
	{ "kill_group", SYS_kill, { 0, 0 } },
	{ "tkill", SYS_tkill, { TARGET, SIGUSR1 } },
	{ "tgkill", SYS_tgkill, { TARGET, TARGET, SIGUSR1 } },
	{ "sigqueue", SYS_rt_sigqueueinfo, { TARGET, SIGUSR1, P(acts_bytes) } },
	{ "pidfd", SYS_pidfd_open, { TARGET } },
	{ "pidfd_signal", SYS_pidfd_send_signal, { 2, SIGUSR1 } },
	{ "pidfd_getfd", SYS_pidfd_getfd, { 2, 0 } },
	{ "kcmp", SYS_kcmp, { TARGET, TARGET, 0, 0, 0 } },
	{ "setpgid", SYS_setpgid, { 0, 0 } },
	{ "setsid", SYS_setsid, { 0 } },
	/* the log, which is descriptor 2, and other files */
	{ "truncate", SYS_ftruncate, { 2, 0 } },
	{ "fallocate", SYS_fallocate, { 2, 0, 0, 1 << 20 } },
	{ "pwrite", SYS_pwrite64, { 2, P(acts_bytes), 8, 0 } },
	{ "lseek", SYS_lseek, { 2, 0, SEEK_SET } },
	{ "lseek_high", SYS_lseek, { HIGH + 2, 0, SEEK_SET } },
	{ "read_log", SYS_read, { 2, P(acts_bytes), 8 } },
	{ "map_log", SYS_mmap, { 0, 4096, PROT_READ|PROT_WRITE, MAP_SHARED,
	    2, 0 } },
	{ "dup", SYS_dup, { 2 } },
	{ "dup2", SYS_dup3, { 0, 2, 0 } },
	{ "dupfd", SYS_fcntl, { 2, F_DUPFD, 100 } },
	{ "lock", SYS_flock, { 2, 2 } },
	{ "chmod", SYS_fchmod, { 2, 0666 } },
	{ "chown", SYS_fchown, { 2, 65534, 65534 } },
	{ "splice", SYS_splice, { 2, 0, 1, 0, 8, 0 } },
	{ "tee", SYS_tee, { 0, 1, 8, 0 } },
	{ "vmsplice", SYS_vmsplice, { 1, P(&acts_here), 1, 0 } },
	{ "sendfile", SYS_sendfile, { 1, 2, 0, 8 } },
	{ "copy", SYS_copy_file_range, { 2, 0, 2, 0, 8, 0 } },
	{ "sync", SYS_sync, { 0 } },
	{ "terminal", SYS_ioctl, { 2, TIOCSTI, P("x") } },
	{ "unblocking", SYS_ioctl, { 2, FIONBIO, P(&acts_core) } },
	{ "write_other", SYS_write, { 0, P("x"), 1 } },
	{ "write_high", SYS_write, { HIGH, P("x"), 1 } },
	{ "mkdir", SYS_mkdirat, { AT_FDCWD, P("/tmp/chatd-zoo-dir"), 0700 } },
	{ "rename", SYS_renameat2, { AT_FDCWD, P("/tmp/chatd-zoo"), AT_FDCWD,
	    P("/tmp/chatd-zoo-2"), 0 } },
	{ "watch", SYS_inotify_init1, { 0 } },
	{ "memfd", SYS_memfd_create, { P("zoo"), 0 } },
	/* the sandbox itself */
	{ "seccomp", SYS_seccomp, { SECCOMP_SET_MODE_FILTER, 0,
	    P(&acts_filter) } },
	{ "seccomp_strict", SYS_seccomp, { SECCOMP_SET_MODE_STRICT, 0, 0 } },
	{ "seccomp_listen", SYS_seccomp, { SECCOMP_SET_MODE_FILTER, 8,
	    P(&acts_filter) } },
	{ "prctl_filter", SYS_prctl, { PR_SET_SECCOMP, SECCOMP_MODE_FILTER,
	    P(&acts_filter) } },
	{ "dumpable", SYS_prctl, { PR_SET_DUMPABLE, 1 } },
	{ "orphan", SYS_prctl, { PR_SET_PDEATHSIG, 0 } },
	{ "dispatch", SYS_prctl, { 59, 1, 0, 0, 0 } },
	{ "landlock", SYS_landlock_create_ruleset, { 0, 0, 1 } },
	{ "sigsys_high", SYS_rt_sigaction, { HIGH + SIGSYS, 0, 0, 8 } },
	{ "block", SYS_rt_sigprocmask, { SIG_BLOCK, P(acts_bytes), 0, 8 } },
	/* The page of the second list: 64 KiB is the lowest address of
	 * most kernels. */
	{ "unmap_list", SYS_munmap, { 0x10000, 0x1000 } },
	{ "open_list", SYS_mprotect, { 0x10000, 0x1000, PROT_WRITE } },
	{ "drop_list", SYS_madvise, { 0x10000, 0x1000, MADV_DONTNEED } },
	{ "over_list", SYS_mmap, { 0x10000, 0x1000, PROT_READ|PROT_WRITE,
	    MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0 } },
	{ "move_list", SYS_mremap, { 0x10000, 0x1000, 0x2000, 1, 0 } },
	/* the rest of the kernel */
	{ "userfaultfd", SYS_userfaultfd, { 0 } },
	{ "keyctl", SYS_keyctl, { 0, -3, 1 } },
	{ "add_key", SYS_add_key, { P("user"), P("zoo"), P("x"), 1, -4 } },
	{ "io_uring", SYS_io_uring_setup, { 1, P(acts_bytes) } },
	{ "aio", SYS_io_setup, { 1, P(acts_bytes) } },
	{ "mq", SYS_mq_open, { P("/zoo"), O_CREAT|O_RDWR, 0600, 0 } },
	{ "shm", SYS_shmget, { IPC_PRIVATE, 4096, IPC_CREAT|0600 } },
	{ "msg", SYS_msgget, { IPC_PRIVATE, IPC_CREAT|0600 } },
	{ "sem", SYS_semget, { IPC_PRIVATE, 1, IPC_CREAT|0600 } },
	{ "bpf", SYS_bpf, { 0, P(acts_bytes), 8 } },
	{ "perf", SYS_perf_event_open, { P(acts_bytes), 0, -1, -1, 0 } },
	{ "unshare", SYS_unshare, { 0x10000000 } },
	{ "setns", SYS_setns, { 2, 0 } },
	{ "mount", SYS_mount, { P("none"), P("/tmp"), P("tmpfs"), 0, 0 } },
	{ "chroot", SYS_chroot, { P("/") } },
	{ "setuid", SYS_setuid, { 0 } },
	{ "capset", SYS_capset, { P(acts_bytes), P(acts_bytes) } },
	{ "personality", SYS_personality, { 0x0400000 } },
	{ "timer", SYS_setitimer, { ITIMER_REAL, P(&acts_timer), 0 } },
	{ "timerfd", SYS_timerfd_create, { 1, 0 } },
	{ "pipe", SYS_pipe2, { P(acts_bytes), 0 } },
	{ "connect", SYS_connect, { 1, P(acts_bytes), 16 } },
	{ "sendmsg", SYS_sendmsg, { 1, P(acts_bytes), 0 } },
	{ "sendto", SYS_sendto, { 1, P("x"), 1, 0, P(acts_bytes), 16 } },
	{ "recvmsg", SYS_recvmsg, { 0, P(acts_bytes), 0 } },
	{ "vhangup", SYS_vhangup, { 0 } },
	{ "syslog", SYS_syslog, { 5, 0, 0 } },
	{ "acct", SYS_acct, { 0 } },
};

/* Do an act. */
long
acts_do(const char *act)
{
	const char	*s = getenv("CHATD_TEST_TARGET");
	long		 v[6], target = s != NULL ? atol(s) : 2;
	size_t		 i, k;

	for (i = 0; i < sizeof acts / sizeof *acts; i++) {
		if (strcmp(acts[i].name, act) != 0)
			continue;
		for (k = 0; k < 6; k++)
			v[k] = acts[i].arg[k] == TARGET ? target :
			    acts[i].arg[k];
		return (syscall(acts[i].nr, v[0], v[1], v[2], v[3], v[4],
		    v[5]));
	}
	return (-2);
}
