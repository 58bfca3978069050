/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without libFuzzer, for "make check": every seed, every
 * seed cut short, and mutations that are the same each time.  The target runs
 * in a child.  A crash, a leak, a hang or too much memory ends only its phase,
 * and the input is stored in the build folder.  With files as arguments, the
 * driver runs these instead.
 */
#include <config.h>

#include "driver.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "fuzz.h"
#include "path.h"
#include "xmalloc.h"

#define DRIVER_MUTATIONS	50000	/* rounds, at most */
#define DRIVER_CUTS		4096	/* of one seed, at most */
#define DRIVER_PHASE_MS		2000	/* no round starts after this */
#define DRIVER_HANG_S		20	/* of one round; sanitizers are slow */
#define DRIVER_MEMORY		(512 * 1024 * 1024)
#define DRIVER_FILE_MAX		(64 * 1024 * 1024)

/* The current round of a child; shared with its parent. */
struct driver_now {
	size_t		 round;
	struct input	 in;
};

/* A phase: the number of rounds, and the input of each. */
struct driver_phase {
	const char	*what;
	size_t		 (*rounds)(const struct corpus *);
	void		 (*make)(const struct corpus *, size_t, struct input *);
};

static size_t	driver_seeds(const struct corpus *);
static void	driver_seed(const struct corpus *, size_t, struct input *);
static size_t	driver_cuts(const struct corpus *);
static void	driver_cut(const struct corpus *, size_t, struct input *);
static size_t	driver_mutations(const struct corpus *);

static const struct driver_phase driver_phases[] = {
	{ "seeds", driver_seeds, driver_seed },
	{ "cut seeds", driver_cuts, driver_cut },
	{ "mutations", driver_mutations, mutate }
};

static struct driver_now	*driver_now;	/* shared with the child */

/* Run the target on an input in memory of exactly its size. */
static void
driver_run(const void *bytes, size_t n)
{
	uint8_t	*copy = xmalloc(n > 0 ? n : 1);

	memcpy(copy, bytes, n);
	alarm(DRIVER_HANG_S);
	LLVMFuzzerTestOneInput(copy, n);
	alarm(0);
	free(copy);
}

/* In the child: run the rounds of a phase until the time is over. Exits. */
static void __attribute__((noreturn))
driver_child(const struct driver_phase *p, const struct corpus *c)
{
#ifndef WITH_SANITIZER
	const struct rlimit	 memory = { DRIVER_MEMORY, DRIVER_MEMORY };

	setrlimit(RLIMIT_AS, &memory);
#endif
	const struct rlimit	 core = { 0, 0 };
	const int64_t		 end = clock_monotonic() + DRIVER_PHASE_MS;
	const size_t		 rounds = p->rounds(c);

	setrlimit(RLIMIT_CORE, &core);
	for (; driver_now->round < rounds && clock_monotonic() < end;
	    driver_now->round++) {
		p->make(c, driver_now->round, &driver_now->in);
		driver_run(driver_now->in.b, driver_now->in.n);
	}
	exit(0);	/* a sanitizer looks for leaks here */
}

/* Store the input of the failed round, and report it. */
static void
driver_keep(const struct corpus *c, int phase, int status)
{
	const char	*build = getenv("CHATD_BUILD");
	char		*path;
	FILE		*fp;

	path = xasprintf("%s/tests/fuzz/found-%s-%d-%zu", build != NULL ?
	    build : ".", c->name, phase + 1, driver_now->round);
	if ((fp = fopen(path, "w")) != NULL) {
		fwrite(driver_now->in.b, 1, driver_now->in.n, fp);
		fclose(fp);
	}
	printf("# %s, round %zu: %s %d%s; the last input, of %zu bytes, is in "
	    "%s\n", driver_phases[phase].what, driver_now->round,
	    WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) :
	    "exit status", WIFSIGNALED(status) ? WTERMSIG(status) :
	    WEXITSTATUS(status), WIFSIGNALED(status) && WTERMSIG(status) ==
	    SIGALRM ? " (a hang)" : "", driver_now->in.n, path);
	free(path);
}

/* Run one phase in a child. Returns 1 if it succeeded. */
static int
driver_phase(const struct corpus *c, int phase)
{
	const struct driver_phase	*p = &driver_phases[phase];
	pid_t				 pid;
	int				 status;

	driver_now->round = 0;
	driver_now->in.n = 0;
	fflush(stdout);
	if ((pid = fork()) == 0)
		driver_child(p, c);
	if (pid == -1 || waitpid(pid, &status, 0) != pid) {
		perror("fork");
		exit(2);
	}
	if (status != 0)
		driver_keep(c, phase, status);
	printf("# %zu of %zu rounds\n%s %d - %s: %s\n", driver_now->round,
	    p->rounds(c), status == 0 ? "ok" : "not ok", phase + 1, c->name,
	    p->what);
	return (status == 0);
}

/* Run the files of the command line. */
static int
driver_files(char **files)
{
	char	*text;
	size_t	 n;

	for (; *files != NULL; files++) {
		if (path_read(*files, DRIVER_FILE_MAX, &text, &n) != 0) {
			fprintf(stderr, "%s: can't be read\n", *files);
			return (2);
		}
		driver_run(text, n);
		printf("%s: %zu bytes\n", *files, n);
		free(text);
	}
	return (0);
}

/* The number of rounds of each phase: one for each seed, */
static size_t
driver_seeds(const struct corpus *c)
{
	return (c->nseeds);
}

/* one for each cut of each seed, */
static size_t
driver_cuts(const struct corpus *c)
{
	size_t	 i, n = 0;

	for (i = 0; i < c->nseeds; i++)
		n += c->seeds[i].n < DRIVER_CUTS ? c->seeds[i].n : DRIVER_CUTS;
	return (n);
}

/* and a fixed number of mutations. */
static size_t
driver_mutations(const struct corpus *c)
{
	(void)c;
	return (DRIVER_MUTATIONS);
}

/* An unchanged seed. */
static void
driver_seed(const struct corpus *c, size_t round, struct input *out)
{
	out->n = c->seeds[round].n;
	memcpy(out->b, c->seeds[round].b, out->n);
}

/* A seed cut at a byte. Each seed is cut at every byte, a long one at
 * DRIVER_CUTS evenly spaced bytes. */
static void
driver_cut(const struct corpus *c, size_t round, struct input *out)
{
	size_t	 i = 0, cuts;

	while (round >= (cuts = c->seeds[i].n < DRIVER_CUTS ? c->seeds[i].n :
	    DRIVER_CUTS)) {
		round -= cuts;
		i++;
	}
	driver_seed(c, i, out);
	out->n = round * c->seeds[i].n / cuts;
}

int
main(int argc, char **argv)
{
	struct corpus	 c;
	int		 phase, bad = 0;

	driver_now = mmap(NULL, sizeof *driver_now, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (driver_now == MAP_FAILED) {
		perror("mmap");
		return (2);
	}
	if (argc > 1)
		return (driver_files(argv + 1));
	corpus_load(&c, argv[0]);
	printf("1..%d\n", (int)nitems(driver_phases));
	for (phase = 0; phase < (int)nitems(driver_phases); phase++)
		bad += !driver_phase(&c, phase);
	corpus_clear(&c);
	return (bad != 0);
}
