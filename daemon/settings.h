/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: struct config, and the functions that read and check
 * chatd.yaml. No other process reads that file.
 */
#ifndef DAEMON_SETTINGS_H
#define DAEMON_SETTINGS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "vocabulary.h"

struct config_errors;

/* The lowest score of a finding that has each effect; above 1: never. */
struct threshold {
	double		 flag, redact, block;
	int		 set;		/* chatd.yaml has it */
};

/* The process that a plugin runs in, and what happens to texts after the
 * plugin has been switched off because it crashed. */
enum filter_process { FILTER_AUTO, FILTER_SHARED, FILTER_OWN };
enum filter_when_off { FILTER_BLOCKS, FILTER_PASSES };

struct config_filter {
	char		*name;		/* owned */
	char		*path;		/* owned: the plugin */
	json_t		*options;	/* owned: texts and lists */
	enum filter_process process;
	enum filter_when_off when_off;
};

/* An adapter beside the model. */
struct config_adapter {
	char		*name;		/* owned */
	char		*path;		/* owned: its folder */
	double		 share;		/* of the conversations: model.ab */
};

/* A label of the judge. */
struct config_label {
	char		*name;		/* owned: what the model writes */
	int		 category;	/* -1: harmless */
};

/* The policy for the members of a group, or for the findings of a plugin or of
 * the rules whose names begin so. */
struct config_group {
	char		*name;		/* owned */
	struct threshold policy[DIRECTIONS][CATEGORIES];
};

struct config {
	char		*file;		/* owned: the file read, or NULL */
	struct config_errors *errors;	/* borrowed: while it is being read */
	/* socket */
	char		*socket_path;	/* owned */
	char		*socket_group;	/* owned, or NULL */
	int64_t		 socket_mode;	/* permission bits */
	char		*operators;	/* owned: group, or NULL */
	char		*state_dir;	/* owned */
	int64_t		 log_level;	/* enum log_level */
	/* model, as sent to the engine */
	char		*model_path;	/* owned */
	char		*model_chosen;	/* owned: an operator's choice, which
					 * counts instead; or NULL */
	char		*precision, *kv_precision, *device, *isa; /* owned */
	int64_t		 threads, context, kv_tokens, batch_tokens;
	int		 pin;
	struct config_adapter *adapters;	/* owned */
	size_t		 nadapters;
	struct config_adapter *shares;	/* owned: model.ab, as the file has
					 * it */
	size_t		 nshares;
	int		 ab;		/* model.ab is there */
	char		*ab_key;	/* owned: adapters.h */
	/* helpers */
	char		*engine_program, *filter_program, *store_program;
	int64_t		 engine_timeout, filter_timeout, store_timeout; /* ms */
	int64_t		 engine_load_timeout; /* ms of silence while a model
					       * loads */
	int64_t		 engine_attempts; /* engine deaths one exchange
					   * survives */
	int		 filter_sandbox;
	int64_t		 filter_hold;	/* most bytes of a reply held back */
	struct config_filter *filters;	/* owned */
	size_t		 nfilters;
	/* policy */
	struct threshold policy[DIRECTIONS][CATEGORIES];
	struct config_group *groups;	/* owned: the first that an account is
					 * in counts for it */
	size_t		 ngroups;
	struct config_group *plugins;	/* owned: what is set counts for these
					 * findings, before all else */
	size_t		 nplugins;
	char		*words[CATEGORIES];	/* owned: to a blocked user */
	/* judge */
	int		 judge_enabled, judge_required;
	char		*judge_model;	/* owned; "": the loaded one */
	char		*judge_precision, *judge_device, *judge_prompt;
	int64_t		 judge_threads, judge_timeout;	/* ms */
	double		 judge_low, judge_high;
	struct config_label *judge_labels;	/* owned */
	size_t		 njudge_labels;
	/* limits */
	int64_t		 clients, clients_per_uid;
	int64_t		 operator_clients;	/* in addition to clients */
	int64_t		 requests, requests_per_uid;
	int64_t		 conversations_per_uid;	/* stored; 0: no limit */
	int64_t		 bytes_per_uid;		/* stored; 0: no limit */
	int64_t		 keep_rated, keep_unrated; /* ms; 0: for ever */
	int64_t		 line, prompt;		/* bytes */
	int64_t		 output_high;		/* bytes */
	int64_t		 line_time, stall_time, drain_time; /* ms */
	/* defaults of sampling */
	double		 temperature, top_p, repetition_penalty;
	int64_t		 top_k, max_tokens;
	char		*preprompt;	/* owned */
};

/* ---- config.c: reading */

/*
 * Read the file at path; if path is NULL, *out holds the defaults. Returns 0
 * and sets *out (owned by the caller), or returns an error and fills *f:
 * "file:line:column: key: why" for the first fault, and the number of the
 * others. Each fault is also appended to errors, an array of strings or NULL.
 */
int	 config_load(const char *path, struct config **out, json_t *errors,
	    struct fault *f);
void	 config_free(struct config *c);

/* The model to load (borrowed): the operator's choice, or model.path. */
const char *config_model(const struct config *c);

/* Does this plugin of c get its own process? With FILTER_AUTO, every plugin
 * outside chatd's folder of plugins does. */
int	 config_filter_own(const struct config *c,
	    const struct config_filter *f);

/* ---- config_check.c: the files that a configuration names */

/* Check the programs, the plugins and the model that a configuration names,
 * and the permissions of its state folder. Returns and reports errors as
 * config_load does. */
int	 config_check(const struct config *c, json_t *errors,
	    struct fault *f);

/* Check that a model (name it as key in messages) is a file, or a folder with a
 * configuration, that we may read. Returns 0, or an error with *f filled. */
int	 config_check_model(const char *key, const char *model,
	    struct fault *f);

/* Check that we can read the folder of a model, which may still be empty, and
 * that only root and our account can write to it. Returns and reports as
 * config_check_model does. */
int	 config_check_folder(const char *key, const char *path,
	    struct fault *f);

/* Check that a file or folder, and the folder that holds it, belong to our
 * account or root, and that no other user can write to them. Links are
 * followed. Returns 0, or an error with *f filled. */
int	 config_trust(const char *path, struct fault *f);

/* ---- config_errors.c: all errors of a file, not only the first */

struct config_errors {
	json_t		*list;		/* borrowed: array, or NULL */
	struct fault	 first;
	int		 n;
};

/* Note a fault. */
void	 config_errors_add(struct config_errors *e, const struct fault *f);
/* Returns 0 if no fault was noted; else CHAT_EFORMAT, and *f holds the first
 * fault and the number of the others. */
int	 config_errors_end(const struct config_errors *e, struct fault *f);

/* ---- preflight.c: chatd -t, the checks that need more than the file */

/* Warn on standard error about everything that the configuration needs and
 * the systemd unit forbids. unit is a unit file; NULL is the installed unit,
 * if it starts chatd with that configuration file. preflight_start uses the
 * same unit. */
void	 preflight_unit(const char *file, const char *unit);
/* Start the filter as chatd would, and check that the model can hold the
 * sampling defaults. Returns 0, or an error with errors (an array of strings)
 * filled. */
int	 preflight_start(const struct config *c, json_t *errors);

#endif
