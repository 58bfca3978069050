/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandboxes of the store and the engine.  A child enters a sandbox and does
 * one act in it.
 */
#include <config.h>

#include "confine.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "xmalloc.h"

#define NO_SECCOMP	200	/* status: the kernel has no seccomp */
#define ANY		(-1)	/* fails, whatever the error */

static char	 inside[] = "/tmp/t_confine-in-XXXXXX",
		 outside[] = "/tmp/t_confine-out-XXXXXX";
static pid_t	 parent;

/* Turn a result of a system call into 0 or an error number. */
static int
result(long r)
{
	return (r == -1 ? errno : 0);
}

static int
do_exec(void)
{
	char	*argv[] = { (char *)(uintptr_t)"true", NULL };

	return (result(execv("/bin/true", argv)));
}

static int
do_fork(void)
{
	pid_t	 pid = fork();

	if (pid == 0)
		_exit(0);
	return (result(pid));
}

static int
do_unix_socket(void)
{
	return (result(socket(AF_UNIX, SOCK_STREAM, 0)));
}

static int
do_socket(void)
{
	return (result(socket(AF_INET, SOCK_STREAM, 0)));
}

static int
do_socket6(void)
{
	return (result(socket(AF_INET6, SOCK_DGRAM, 0)));
}

static int
do_packet(void)
{
	return (result(socket(AF_PACKET, SOCK_DGRAM, 0)));
}

static int
do_kill(void)
{
	return (result(kill(parent, 0)));
}

static int
do_ptrace(void)
{
	return (result(ptrace(PTRACE_SEIZE, parent, NULL, NULL)));
}

static int
do_prlimit(void)
{
	struct rlimit	 rl = { 1 << 20, 1 << 20 };

	return (result(prlimit(parent, RLIMIT_CORE, &rl, NULL)));
}

static int
do_affinity(void)
{
	cpu_set_t	 set;

	sched_getaffinity(0, sizeof set, &set);
	return (result(sched_setaffinity(0, sizeof set, &set)));
}

static int
do_own(void)
{
	return (result(fcntl(STDERR_FILENO, F_SETOWN, parent)));
}

static int
do_writable_code(void)
{
	return (mmap(NULL, 4096, PROT_READ|PROT_WRITE|PROT_EXEC,
	    MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0);
}

static int
do_make_code(void)
{
	void	*p = mmap(NULL, 4096, PROT_READ|PROT_WRITE,
		    MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);

	return (result(mprotect(p, 4096, PROT_READ|PROT_EXEC)));
}

static void *
thread(void *arg)
{
	return (arg);
}

static int
do_thread(void)
{
	pthread_t	 t;
	int		 r;

	if ((r = pthread_create(&t, NULL, thread, NULL)) == 0)
		r = pthread_join(t, NULL);
	return (r);
}

/* Open a file of a folder. */
static int
open_in(const char *folder, const char *name, int flags)
{
	char	 path[128];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return (result(open(path, flags, 0600)));
}

static int
do_read(void)
{
	return (open_in(inside, "file", O_RDONLY));
}

static int
do_write(void)
{
	return (open_in(inside, "file", O_RDWR));
}

static int
do_create(void)
{
	return (open_in(inside, "new", O_RDWR|O_CREAT|O_EXCL));
}

static int
do_remove(void)
{
	char	 path[128];

	snprintf(path, sizeof path, "%s/other", inside);
	return (result(unlink(path)));
}

static int
do_read_outside(void)
{
	return (open_in(outside, "file", O_RDONLY));
}

static int
do_create_outside(void)
{
	return (open_in(outside, "new", O_RDWR|O_CREAT));
}

static int
do_remove_outside(void)
{
	char	 path[128];

	snprintf(path, sizeof path, "%s/file", outside);
	return (result(unlink(path)));
}

static int
do_lock(void)
{
	char		 path[128];
	struct flock	 fl = { .l_type = F_WRLCK };
	int		 fd;

	snprintf(path, sizeof path, "%s/file", inside);
	if ((fd = open(path, O_RDWR)) == -1)
		return (errno);
	return (result(fcntl(fd, F_SETLK, &fl)));
}

static int
do_look_in(void)
{
	return (prctl(PR_GET_DUMPABLE) == 0 ? 0 : EINVAL);
}

static const struct act {
	const char	*name;
	int		(*run)(void);
	int		 files;		/* only Landlock can refuse it */
	int		 expected[4];	/* by kind: 0, an error, ANY */
} acts[] = {
	/*				 store  engine pinned GPU */
	{ "exec", do_exec, 0,		{ EPERM, EPERM, EPERM, EPERM } },
	{ "fork", do_fork, 0,		{ EPERM, EPERM, EPERM, 0 } },
	{ "unix socket", do_unix_socket, 0, { EPERM, EPERM, EPERM, 0 } },
	{ "socket", do_socket, 0,	{ EPERM, EPERM, EPERM, EPERM } },
	{ "IPv6 socket", do_socket6, 0,	{ EPERM, EPERM, EPERM, EPERM } },
	{ "packet socket", do_packet, 0, { EPERM, EPERM, EPERM, EPERM } },
	{ "kill", do_kill, 0,		{ EPERM, EPERM, EPERM, 0 } },
	{ "ptrace", do_ptrace, 0,	{ EPERM, EPERM, EPERM, EPERM } },
	{ "prlimit", do_prlimit, 0,	{ EPERM, EPERM, EPERM, ANY } },
	{ "affinity", do_affinity, 0,	{ EPERM, EPERM, 0, 0 } },
	{ "F_SETOWN", do_own, 0,	{ EPERM, EPERM, EPERM, 0 } },
	{ "code", do_writable_code, 0,	{ EPERM, EPERM, EPERM, 0 } },
	{ "new code", do_make_code, 0,	{ EPERM, EPERM, EPERM, 0 } },
	{ "thread", do_thread, 0,	{ EPERM, 0, 0, 0 } },
	{ "read", do_read, 0,		{ 0, 0, 0, 0 } },
	{ "write", do_write, 0,		{ 0, EPERM, EPERM, 0 } },
	{ "create", do_create, 0,	{ 0, EPERM, EPERM, 0 } },
	{ "remove", do_remove, 0,	{ 0, EPERM, EPERM, 0 } },
	{ "lock", do_lock, 0,		{ 0, EPERM, EPERM, 0 } },
	{ "read outside", do_read_outside, 1, { EACCES, EACCES, EACCES, 0 } },
	{ "create outside", do_create_outside, 1, { EACCES, EPERM, EPERM, 0 } },
	{ "remove outside", do_remove_outside, 1, { EACCES, EPERM, EPERM, 0 } },
	{ "looked at", do_look_in, 0,	{ ANY, ANY, ANY, 0 } },
};

/* Make an empty file. */
static void
make_file(const char *folder, const char *name)
{
	char	 path[128];
	int	 fd;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	fd = open(path, O_WRONLY|O_CREAT|O_TRUNC, 0600);
	assert_true(fd != -1);
	close(fd);
}

/* Make the files that the acts expect. */
static void
make_files(void)
{
	char	 path[128];

	make_file(inside, "file");
	make_file(inside, "other");
	make_file(outside, "file");
	snprintf(path, sizeof path, "%s/new", inside);
	unlink(path);
}

/* Do one act in a sandbox. Returns its result, or NO_SECCOMP. */
static int
run_inside(enum confine_kind kind, const struct act *act)
{
	struct landlock_path	 path = { inside, kind == CONFINE_STORE };
	pid_t			 pid;
	int			 status;

	make_files();
	assert_true((pid = fork()) != -1);
	if (pid == 0) {
		confine_self(kind, &path, 1);
		/* Without our list this is another error. */
		if (result(setns(-1, 0)) != EPERM)
			_exit(NO_SECCOMP);
		_exit(act->run());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return (WEXITSTATUS(status));
}

/* Does the kernel have Landlock? */
static int
have_landlock(void)
{
	return (syscall(444, NULL, 0, 1u) > 0);
}

/* All acts in one kind of sandbox. */
static void
check_kind(enum confine_kind kind)
{
	size_t	 i;
	int	 r, want;

	for (i = 0; i < nitems(acts); i++) {
		want = acts[i].expected[kind];
		if (acts[i].files && !have_landlock())
			continue;
#ifdef WITH_SANITIZER
		if (want == EPERM && kind != CONFINE_ENGINE_GPU)
			want = ANY;
		if (acts[i].run == do_fork || acts[i].run == do_ptrace ||
		    acts[i].run == do_thread || acts[i].run == do_kill ||
		    acts[i].run == do_look_in)
			continue;	/* the run-time's own needs */
#endif
		r = run_inside(kind, &acts[i]);
		if (r == NO_SECCOMP)
			skip();
		if (want == ANY ? r == 0 && acts[i].run != do_prlimit :
		    r != want)
			fail_msg("%s: got \"%s\", expected \"%s\"",
			    acts[i].name, strerror(r), strerror(want));
	}
}

static void
test_the_store_changes_files_of_its_folder_only(void **state)
{
	(void)state;
	check_kind(CONFINE_STORE);
}

static void
test_the_engine_reads_its_files_and_starts_threads(void **state)
{
	(void)state;
	check_kind(CONFINE_ENGINE);
}

static void
test_a_pinned_engine_may_place_its_threads(void **state)
{
	(void)state;
	check_kind(CONFINE_ENGINE_PIN);
}

static void
test_with_a_gpu_programs_and_the_network_are_refused(void **state)
{
	(void)state;
	check_kind(CONFINE_ENGINE_GPU);
}

/* Make the folders. */
static int
set_up(void **state)
{
	(void)state;
	parent = getpid();
	return (mkdtemp(inside) == NULL || mkdtemp(outside) == NULL);
}

/* Remove them. */
static int
tear_down(void **state)
{
	static const char *const names[] = { "file", "other", "new" };
	char			 path[128];
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(names); i++) {
		snprintf(path, sizeof path, "%s/%s", inside, names[i]);
		unlink(path);
		snprintf(path, sizeof path, "%s/%s", outside, names[i]);
		unlink(path);
	}
	return (rmdir(inside) != 0 || rmdir(outside) != 0);
}

/* Run them. */
int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(
		    test_the_store_changes_files_of_its_folder_only),
		cmocka_unit_test(
		    test_the_engine_reads_its_files_and_starts_threads),
		cmocka_unit_test(test_a_pinned_engine_may_place_its_threads),
		cmocka_unit_test(
		    test_with_a_gpu_programs_and_the_network_are_refused),
	};

	return (cmocka_run_group_tests(tests, set_up, tear_down));
}
