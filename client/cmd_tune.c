/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl tune: from ratings to a better model, in one command.
 *
 *   export   chatd writes what was rated to files that only this user can read
 *   train    chatd-tune trains a new model on it
 *   gate     chatd-tune measures both models, and may refuse the new one
 *   swap     chatd changes to the new model
 */
#include "tune_impl.h"

#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "json.h"
#include "path.h"
#include "vocabulary.h"
#include "xmalloc.h"
#include "yaml.h"

#define TUNE_PROGRAM	"chatd-tune"
#define TUNE_ARGUMENTS	24
#define TUNE_REFUSED	3	/* exit statuses of chatd-tune */
#define TUNE_NOTHING	4

extern char	**environ;

static const char *const tune_formats[] = { "sft", "preference", "kto" };

/* The rank of adapters in a preset; 0: a whole model is trained. chatd-tune
 * reports what is wrong with a preset. */
static int64_t
tune_rank(const char *preset)
{
	struct ynode	*root, *n;
	struct fault	 f;
	int64_t		 rank = 0;

	if (preset == NULL || yaml_load(preset, &root, &f) != 0)
		return (0);
	if ((n = ynode_get(root, "rank")) != NULL &&
	    ynode_int(preset, n, 0, INT_MAX, &rank, &f) != 0)
		rank = 0;
	ynode_free(root);
	return (rank);
}

/* Find the model that serves, unless another one was given. */
static int
tune_parent(struct tune *t)
{
	json_t		*end;
	const char	*path;
	int		 status = CTL_OK;

	if ((status = link_call(t->ctl, msg_op("status", -1), NULL, NULL,
	    &end)) != CTL_OK)
		return (status);
	/* Only operators get the path. */
	path = msg_string(json_object_get(end, "model"), "path");
	if (path == NULL) {
		term_error("denied: tune: for operators only");
		status = CTL_DENIED;
	} else {
		t->serves = xstrdup(path);
		t->parent = xstrdup(t->ctl->opt.parent != NULL ?
		    t->ctl->opt.parent : path);
	}
	json_decref(end);
	return (status);
}

/* The rows of an export, by its manifest. */
static int64_t
tune_rows(const json_t *end)
{
	return (msg_int(json_object_get(end, "manifest"), "rows", 0));
}

/* Export what was rated. */
static int
tune_export(struct tune *t)
{
	json_t	*end;
	char	*path;
	size_t	 i, bytes;
	int64_t	 n[nitems(tune_formats)];
	int	 status;

	t->exports = xasprintf("%s" TUNE_RATINGS "XXXXXX", t->out);
	if (mkdtemp(t->exports) == NULL) {
		term_error("tune: %s: %s", t->exports, strerror(errno));
		free(t->exports);
		t->exports = NULL;
		return (CTL_REFUSED);
	}
	t->ctl->opt.all = 1;
	for (i = 0; i < nitems(tune_formats); i++) {
		path = xasprintf("%s/%s.jsonl", t->exports, tune_formats[i]);
		status = exporting_run(t->ctl, tune_formats[i], path, &bytes,
		    &end);
		n[i] = tune_rows(end);
		json_decref(end);
		if (status == CTL_OK && bytes > 0)
			t->file[i] = path;
		else
			free(path);
		if (status != CTL_OK)
			return (status);
	}
	if (!t->ctl->opt.json) {
		tune_show_stage("export");
		printf("%lld good replies, %lld pairs, %lld labels\n",
		    (long long)n[0], (long long)n[1], (long long)n[2]);
		term_flush();
	}
	return (CTL_OK);
}

/* chatd-tune: beside this program, else that of PATH. Owned. */
static char *
tune_program(void)
{
	char	 self[PATH_MAX], *folder, *path;
	ssize_t	 n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (n > 0) {
		self[n] = '\0';
		folder = path_folder(self);
		path = path_join(folder, TUNE_PROGRAM);
		free(folder);
		if (access(path, X_OK) == 0)
			return (path);
		free(path);
	}
	return (xstrdup(TUNE_PROGRAM));
}

/* Start chatd-tune; its events come from *from. Returns its process, or -1,
 * reported. */
static pid_t
tune_start(const struct tune *t, FILE **from)
{
	const struct options		*o = &t->ctl->opt;
	posix_spawn_file_actions_t	 fa;
	char	*argv[TUNE_ARGUMENTS], *program = tune_program();
	int	 n = 0, fd[2], r;
	size_t	 i;
	pid_t	 pid;
	const char *const option[] = { "--out", t->out, "--preset", o->preset,
		"--templates", o->templates, "--corpus", o->corpus };

	argv[n++] = program;
	argv[n++] = xstrdup("feedback");
	argv[n++] = xstrdup("--json");
	if (o->dry_run)
		argv[n++] = xstrdup("--dry-run");
	if (o->again)
		argv[n++] = xstrdup("--again");
	for (i = 0; i < nitems(option); i += 2)
		if (option[i + 1] != NULL) {
			argv[n++] = xstrdup(option[i]);
			argv[n++] = xstrdup(option[i + 1]);
		}
	argv[n++] = xstrdup("--");
	argv[n++] = xstrdup(t->parent);
	for (i = 0; i < nitems(t->file); i++)
		if (t->file[i] != NULL)
			argv[n++] = xstrdup(t->file[i]);
	argv[n] = NULL;
	if (pipe2(fd, O_CLOEXEC) == -1)
		r = errno;
	else {
		posix_spawn_file_actions_init(&fa);
		posix_spawn_file_actions_adddup2(&fa, fd[1], STDOUT_FILENO);
		r = posix_spawnp(&pid, program, &fa, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&fa);
		close(fd[1]);
		if (r != 0)
			close(fd[0]);
	}
	if (r != 0) {
		term_error("tune: %s: %s", program, strerror(r));
		pid = -1;
	} else if ((*from = fdopen(fd[0], "r")) == NULL) {
		term_error("tune: %s", strerror(errno));
		exit(CTL_REFUSED);
	}
	while (n > 0)
		free(argv[--n]);
	return (pid);
}

/* An event of chatd-tune. */
static void
tune_event(struct tune *t, json_t *o)
{
	const char	*event = msg_string(o, "event");
	const char	*text = msg_string(o, "text");
	char		**to;

	if (event == NULL)
		return;
	if (strcmp(event, "done") == 0 && msg_string(o, "path") != NULL) {
		to = json_is_true(json_object_get(o, "published")) ?
		    &t->made : &t->refused;
		free(*to);
		*to = xstrdup(msg_string(o, "path"));
	}
	if (msg_string(o, "stage") != NULL &&
	    strcmp(msg_string(o, "stage"), "end") == 0)
		t->told = 1;
	if (t->ctl->opt.json) {
		term_json(o);
		term_flush();
	} else if (strcmp(event, "stage") == 0 && text != NULL) {
		tune_show_stage(msg_string(o, "stage") != NULL ?
		    msg_string(o, "stage") : "");
		puts(text);
		term_flush();
	} else if (strcmp(event, "step") == 0)
		tune_show_step(t, o);
	else if (strcmp(event, "gate") == 0)
		tune_show_gate(t, json_object_get(o, "gate"));
}

/* Read a line. A change of the terminal's size is no end. 0: the end, or a
 * signal that ends this program. */
static int
tune_line(FILE *from, char **line, size_t *size)
{
	while (getline(line, size, from) == -1) {
		if (!ferror(from) || errno != EINTR || intr_ended())
			return (0);
		clearerr(from);
	}
	return (1);
}

/* Train and measure. */
static int
tune_train(struct tune *t)
{
	FILE	*from = NULL;
	char	*line = NULL;
	size_t	 size = 0;
	json_t	*o;
	pid_t	 pid;
	int	 status, stopped;

	term_flush();
	if ((pid = tune_start(t, &from)) == -1)
		return (CTL_REFUSED);
	while (tune_line(from, &line, &size))
		if ((o = json_loads(line, 0, NULL)) != NULL) {
			tune_event(t, o);
			json_decref(o);
		}
	tune_show_erase(t);
	free(line);
	fclose(from);
	if ((stopped = intr_take() || intr_ended()) != 0)
		kill(pid, SIGTERM);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	if (stopped)
		return (CTL_INTERRUPTED);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return (CTL_OK);
	if (WIFEXITED(status) && WEXITSTATUS(status) == TUNE_NOTHING) {
		t->nothing = 1;
		if (!t->told)
			term_note("[nothing to learn that %s was not made "
			    "with]", t->parent);
		return (CTL_OK);
	}
	if (WIFSIGNALED(status))
		term_error("tune: chatd-tune ended by signal %d",
		    WTERMSIG(status));
	else if (WEXITSTATUS(status) == TUNE_REFUSED && t->refused != NULL)
		term_error("tune: the gate has refused the new model; it is "
		    "in %s, and %s serves", t->refused, t->serves);
	return (CTL_REFUSED);
}

/* Say how to go back, and what that costs. */
static void
tune_back(const struct tune *t, const json_t *end, double seconds)
{
	json_t	*row = json_array_get(json_object_get(t->gate, "learnt"), 0);
	int64_t	 ms = msg_int(end, "ms", (int64_t)(1000 * seconds));
	const char *before = msg_string(json_object_get(end, "before"),
		    "path");

	tune_show_stage("back");
	printf("chatctl rollback changes back to %s in about %.2f s, and "
	    "running replies end undisturbed", before != NULL ? before :
	    t->serves, (double)ms / 1000);
	if (row != NULL)
		printf("; of the corrected replies %.0f %% would be right, "
		    "not %.0f %%", msg_real(row, "before", 0),
		    msg_real(row, "after", 0));
	puts("");
}

/* The new model does not serve, though it could. */
static void
tune_complete(const struct tune *t, const char *path)
{
	term_error("tune: %s is complete, but %s still serves; to use it: "
	    "chatctl reload --model %s", t->made, t->serves,
	    path != NULL ? path : t->made);
}

/* Change to the new model. */
static int
tune_swap(struct tune *t)
{
	char		*path = realpath(t->made, NULL);
	json_t		*m = msg_op("reload", -1), *end = NULL;
	const char	*code;
	double		 begin = clock_seconds();
	int		 status;

	msg_set_string(m, "model", path != NULL ? path : t->made);
	/* The connection may have ended during the training. */
	link_close(t->ctl);
	if ((status = link_open(t->ctl)) != CTL_OK) {
		term_error("tune: %s is complete; to use it when chatd is up: "
		    "chatctl reload --model %s", t->made,
		    path != NULL ? path : t->made);
		json_decref(m);
		free(path);
		return (status);
	}
	status = link_run(t->ctl, m, 1, NULL, NULL, &end);
	code = msg_string(end, "code");
	if (msg_string(end, "stop") != NULL)
		status = CTL_INTERRUPTED;
	if (status == CTL_INTERRUPTED)
		tune_complete(t, path);
	else if (status == CTL_OK && t->ctl->opt.json)
		term_json(end);
	else if (status == CTL_OK) {
		tune_show_stage("swap");
		printf("%s serves\n", path != NULL ? path : t->made);
		tune_back(t, end, clock_seconds() - begin);
	} else if (code != NULL && strcmp(code, "bad_field") == 0 &&
	    msg_string(end, "field") != NULL &&
	    strcmp(msg_string(end, "field"), "model") == 0)
		term_error("tune: this chatd can't change its model while it "
		    "runs: set model.path to %s in chatd.yaml, and restart "
		    "it", path != NULL ? path : t->made);
	else {
		link_report(t->ctl, end);
		tune_complete(t, path);
	}
	json_decref(end);
	free(path);
	return (status);
}

/* The name for adapters in a folder: that of the folder, if chatd.yaml allows
 * it. Borrowed. */
static const char *
tune_name(const char *path)
{
	const char	*slash = strrchr(path, '/');
	const char	*name = slash == NULL ? path : slash + 1;

	if (strlen(name) > ADAPTER_NAME_MAX || name[strspn(name,
	    ADAPTER_NAME_CHARS)] != '\0' ||
	    strcmp(name, ADAPTER_BASE_NAME) == 0)
		return ("tuned");
	return (name);
}

/* Say how to use what was made. */
static void
tune_made(const struct tune *t)
{
	char	*real = realpath(t->made, NULL), *quoted;
	char	*path = real != NULL ? real : t->made;
	json_t	*v = json_string_nocheck(path);

	if (!t->ctl->opt.json) {
		tune_show_stage("made");
		quoted = json_dumps(v, JSON_ENCODE_ANY);
		if (t->adapters)
			printf("%s; to use it, add to chatd.yaml, and then: "
			    "chatctl reload\nmodel:\n  adapters:\n"
			    "    - {name: %s, path: %s}\n", path,
			    tune_name(path), quoted != NULL ? quoted : path);
		else
			printf("%s; to use it: chatctl reload --model %s\n",
			    path, path);
		free(quoted);
	}
	json_decref(v);
	free(real);
}

/* Remove the exports: they have the texts of users. */
static void
tune_forget(struct tune *t)
{
	if (t->exports != NULL)
		path_remove(t->exports);
	free(t->exports);
	t->exports = NULL;
}

/* All stages. */
static int
tune_run(struct tune *t)
{
	size_t	 i;
	int	 status;

	t->adapters = tune_rank(t->ctl->opt.preset) > 0;
	if ((status = link_open(t->ctl)) != CTL_OK ||
	    (status = tune_parent(t)) != CTL_OK ||
	    (status = tune_place_check(t->ctl, t->out, t->parent,
	    !t->adapters && !t->ctl->opt.no_swap)) != CTL_OK ||
	    (status = tune_export(t)) != CTL_OK)
		return (status);
	for (i = 0; i < nitems(t->file) && t->file[i] == NULL; i++)
		;
	if (i == nitems(t->file)) {
		term_note("[nothing to learn: no reply was rated]");
		return (CTL_OK);
	}
	status = tune_train(t);
	tune_forget(t);
	if (status != CTL_OK || t->nothing || t->ctl->opt.dry_run)
		return (status);
	if (t->made == NULL) {
		term_error("tune: chatd-tune ended without an error, but "
		    "named no model; expected an event \"done\" with a path");
		return (CTL_REFUSED);
	}
	if (t->adapters || t->ctl->opt.no_swap) {
		tune_made(t);
		return (CTL_OK);
	}
	return (tune_swap(t));
}

/* chatctl tune */
int
cmd_tune(struct ctl *ctl, int argc, char **argv)
{
	struct tune	 t = { .ctl = ctl };
	size_t		 i;
	int		 status, lock;

	(void)argc;
	(void)argv;
	if ((status = tune_place(&ctl->opt, &t.out, &lock)) != CTL_OK)
		return (status);
	t.live = term_is(1) && !ctl->opt.plain && !ctl->opt.json &&
	    !ctl->opt.quiet;
	intr_hold(1);		/* Ctrl-C ends a stage, and we tidy up */
	status = tune_run(&t);
	tune_forget(&t);
	intr_hold(0);
	close(lock);
	for (i = 0; i < nitems(t.file); i++)
		free(t.file[i]);
	curve_clear(&t.loss);
	json_decref(t.gate);
	free(t.made);
	free(t.refused);
	free(t.parent);
	free(t.serves);
	free(t.out);
	return (status);
}
