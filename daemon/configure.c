/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration as the service uses it: chatd.yaml, the options of the
 * command line, which win, and the limits of the process.
 */
#include "chatd.h"

#include <sys/resource.h>

#include <stdlib.h>
#include <string.h>

#include "choice.h"
#include "log.h"
#include "xmalloc.h"

#define CONFIGURE_FILES	64	/* descriptors that are not clients */

/* Kept here for reloads. */
static struct configure_options	 configure_opt;

/* Remember the options. */
void
configure_init(const struct configure_options *opt)
{
	configure_opt = *opt;
}

/* Apply the command line's options to a configuration. */
static void
configure_override(struct config *cf)
{
	const struct { const char *value; char **to; } over[] = {
		{ configure_opt.socket, &cf->socket_path },
		{ configure_opt.state_dir, &cf->state_dir },
		{ configure_opt.model, &cf->model_path },
	};
	size_t	 i;

	for (i = 0; i < nitems(over); i++) {
		if (over[i].value == NULL)
			continue;
		free(*over[i].to);
		*over[i].to = xstrdup(over[i].value);
	}
	if (configure_opt.verbose)
		cf->log_level = LOG_LEVEL_DEBUG;
}

/* Raise the limit of descriptors to what limits.clients needs, if it is
 * allowed. */
static void
configure_limits(struct config *cf)
{
	struct rlimit	 rl;
	rlim_t		 want, own;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return;
	want = (rlim_t)(cf->clients + cf->operator_clients) + CONFIGURE_FILES;
	if (rl.rlim_cur < want) {
		rl.rlim_cur = want < rl.rlim_max ? want : rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	if (rl.rlim_cur < want) {
		own = rl.rlim_cur > 2 * CONFIGURE_FILES ? CONFIGURE_FILES :
		    rl.rlim_cur / 2;
		want = rl.rlim_cur - own;
		if ((rlim_t)cf->operator_clients > want / 4)
			cf->operator_clients = (int64_t)(want / 4);
		cf->clients = (int64_t)want - cf->operator_clients;
		log_warnx("limits.clients: lowered to %lld, since only %lld "
		    "files may be open", (long long)cf->clients,
		    (long long)rl.rlim_cur);
	}
	rl = (struct rlimit){ 0, 0 };	/* prompts must not end up in core
					 * files */
	setrlimit(RLIMIT_CORE, &rl);
}

/* Apply the choice that is remembered. If it can't be used, model.path
 * counts. */
static void
configure_remembered(struct config *cf)
{
	struct choice	 c;
	struct fault	 f;
	int		 r = choice_read(cf->state_dir, &c, &f);

	if (r == CHAT_ENOTFOUND)
		return;
	if (r != 0)
		log_warnx("%s; model.path counts", f.message);
	else if (c.chosen && strcmp(c.configured, cf->model_path) == 0) {
		if (config_check_model("model", c.current.path, &f) == 0)
			cf->model_chosen = xstrdup(c.current.path);
		else
			log_warnx("%s, which an operator has chosen; "
			    "model.path counts", f.message);
	}
	choice_clear(&c);
}

/* Log which model counts, and why. */
void
configure_explain(const struct config *cf)
{
	struct choice	 c;

	if (choice_read(cf->state_dir, &c, NULL) != 0)
		return;
	if (cf->model_chosen != NULL)
		log_info("model: %s counts, which an operator has chosen, not "
		    "model.path (%s)", cf->model_chosen, cf->model_path);
	else if (c.chosen && strcmp(c.configured, cf->model_path) != 0)
		log_info("model: model.path (%s) counts, since it was %s when "
		    "an operator chose %s", cf->model_path, c.configured,
		    c.current.path);
	choice_clear(&c);
}

/* Read and check the configuration, and apply the options. */
int
configure_load(const char *model, struct config **out, json_t *errors,
    struct fault *f)
{
	int	 r;

	if ((r = config_load(configure_opt.file, out, errors, f)) != 0)
		return (r);
	configure_override(*out);
	if (model == NULL)
		configure_remembered(*out);
	else if (strcmp(model, "default") != 0)
		(*out)->model_chosen = xstrdup(model);
	if ((r = config_check(*out, errors, f)) != 0 ||
	    (model != NULL && (*out)->model_chosen != NULL &&
	    (r = config_check_model("model", model, f)) != 0))
		config_free(*out);
	else
		configure_limits(*out);
	return (r);
}
