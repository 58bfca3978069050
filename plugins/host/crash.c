/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crash reports of chatd-filter: the plugin and the call that were running when
 * the process crashed or made a system call that the sandbox forbids.  The
 * handler copies bytes and writes once; then the signal ends the process.
 */
#include <config.h>

#include "filter.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "xmalloc.h"

#define CRASH_CALLS	600		/* system calls whose names are kept */
#define CRASH_STACK	(64 * 1024)	/* bytes; the other may be full */

struct crash_line {
	char	 text[512];
	size_t	 n;
};

static const char	*crash_plugin, *crash_call;	/* for the signal */
static char		*crash_names[CRASH_CALLS];	/* owned, for ever */
static volatile unsigned crash_seconds;	/* limit of the start; 0: over */

static const struct crash_signal {
	int		 number;
	const char	*words;
} crash_signals[] = {
	{ SIGSEGV, "crashed (SIGSEGV)" },
	{ SIGBUS, "crashed (SIGBUS)" },
	{ SIGILL, "crashed (SIGILL)" },
	{ SIGFPE, "crashed (SIGFPE)" },
	{ SIGABRT, "aborted (SIGABRT)" },
	{ SIGSYS, "made a forbidden system call" },
};

/* Set the plugin and the call that run. */
void
crash_mark(const char *plugin, const char *call)
{
	crash_call = call;
	crash_plugin = plugin;
}

/* Append a string. */
static void
crash_add(struct crash_line *l, const char *s)
{
	while (*s != '\0' && l->n < sizeof l->text - 1)
		l->text[l->n++] = *s++;
}

/* Append a small number. */
static void
crash_add_number(struct crash_line *l, unsigned v)
{
	char	 digits[12], *p = digits + sizeof digits - 1;

	*p = '\0';
	do
		*--p = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	crash_add(l, p);
}

/* Report the crash and end by the same signal. */
static void
crash_handler(int sig, siginfo_t *info, void *context)
{
	struct crash_line	 l = { .n = 0 };
	size_t			 i;
	unsigned		 nr;
	ssize_t			 unused;

	(void)context;
	crash_add(&l, "chatd-filter: ");
	if (crash_plugin != NULL) {
		crash_add(&l, "plugin ");
		crash_add(&l, crash_plugin);
		crash_add(&l, ": ");
	}
	for (i = 0; i < nitems(crash_signals); i++) {
		if (crash_signals[i].number == sig)
			crash_add(&l, crash_signals[i].words);
	}
	if (sig == SIGSYS) {
		nr = (unsigned)info->si_syscall;
		crash_add(&l, ": ");
		if (nr < CRASH_CALLS && crash_names[nr] != NULL)
			crash_add(&l, crash_names[nr]);
		else
			crash_add_number(&l, nr);
	}
	if (crash_call != NULL) {
		crash_add(&l, " in ");
		crash_add(&l, crash_call);
	}
	l.text[l.n++] = '\n';
	unused = write(STDERR_FILENO, l.text, l.n);
	(void)unused;
	/* The handler is reset (SA_RESETHAND) and the signal not blocked
	 * (SA_NODEFER), so this ends the process; but not the first of a
	 * namespace, which can't be killed from inside. That one ends without
	 * _exit, before which a sanitizer would read files. */
	syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), sig);
	syscall(SYS_exit_group, NEST_SIGNAL + sig);
}

/* The start takes too long: say so to chatd, and end. Only letters of the
 * plugin's name are used that need no escape. */
static void
crash_late(int sig)
{
	struct crash_line	 l = { .n = 0 };
	size_t			 i;
	ssize_t			 unused;

	(void)sig;
	if (crash_seconds == 0)
		return;
	crash_add(&l, "{\"event\":\"error\",\"code\":\"bad_plugin\","
	    "\"message\":\"plugin ");
	i = l.n;
	crash_add(&l, crash_plugin != NULL ? crash_plugin : "?");
	for (; i < l.n; i++) {
		if (l.text[i] == '"' || l.text[i] == '\\' ||
		    (unsigned char)l.text[i] < ' ')
			l.text[i] = '?';
	}
	crash_add(&l, ": has not started within ");
	crash_add_number(&l, crash_seconds);
	crash_add(&l, " s, in ");
	crash_add(&l, crash_call != NULL ? crash_call : "?");
	crash_add(&l, "\"}\n");
	unused = write(STDOUT_FILENO, l.text, l.n);
	(void)unused;
	syscall(SYS_exit_group, 1);
}

/* Limit the start. The alarm is not taken back, since the sandbox has no
 * timers: it finds that the start is over. */
void
crash_limit(unsigned seconds)
{
	crash_seconds = seconds;
	if (seconds == 0)
		return;
	signal(SIGALRM, crash_late);
	alarm(seconds);
}

/* Set the handlers; a sanitizer keeps its own for crashes. */
void
crash_watch(void)
{
	struct sigaction	 sa;
	stack_t			 ss = { .ss_size = CRASH_STACK };
	size_t			 i;

	for (i = 0; i < CRASH_CALLS; i++)
		crash_names[i] = seccomp_syscall_resolve_num_arch(
		    SCMP_ARCH_NATIVE, (int)i);
	ss.ss_sp = mmap(NULL, CRASH_STACK, PROT_READ|PROT_WRITE,
	    MAP_PRIVATE|MAP_ANONYMOUS, -1, 0);
	if (ss.ss_sp == MAP_FAILED || sigaltstack(&ss, NULL) == -1)
		log_warn("stack for signals");
	memset(&sa, 0, sizeof sa);
	sa.sa_sigaction = crash_handler;
	sa.sa_flags = SA_SIGINFO|SA_ONSTACK|SA_RESETHAND|SA_NODEFER;
	sigemptyset(&sa.sa_mask);
	for (i = 0; i < nitems(crash_signals); i++) {
#ifdef WITH_SANITIZER
		if (crash_signals[i].number != SIGSYS)
			continue;
#endif
		sigaction(crash_signals[i].number, &sa, NULL);
	}
}
