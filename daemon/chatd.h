/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of chatd share, a section per file. One process, one event
 * loop, no threads: nothing here needs a lock.
 */
#ifndef DAEMON_CHATD_H
#define DAEMON_CHATD_H

#include <sys/queue.h>
#include <sys/types.h>

#include <event2/event.h>
#include <jansson.h>
#include <stdint.h>

#include "conn.h"
#include "err.h"
#include "helper.h"
#include "json.h"
#include "turns.h"
#include "vocabulary.h"

struct chatd;
struct client;
struct ahead;
struct budget;
struct exchange;
struct filters;
struct reload;
struct reload_old;
struct config_errors;

/* ---- config.c: chatd.yaml, the only reader */

/* From which score on a finding has which effect; above 1: never. */
struct threshold {
	double		 flag, redact, block;
};

/* Which process a plugin runs in; what happens to texts once it has been
 * switched off for its crashes. */
enum filter_process { FILTER_AUTO, FILTER_SHARED, FILTER_OWN };
enum filter_when_off { FILTER_BLOCKS, FILTER_PASSES };

struct config_filter {
	char		*name;		/* owned */
	char		*path;		/* owned: the plugin */
	json_t		*options;	/* owned: texts and lists */
	enum filter_process process;
	enum filter_when_off when_off;
};

struct config {
	char		*file;		/* owned: where it came from, or NULL */
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
	char		*precision, *kv_precision, *device, *isa; /* owned */
	int64_t		 threads, context, kv_tokens, batch_tokens;
	int		 pin;
	/* helpers */
	char		*engine_program, *filter_program, *store_program;
	int64_t		 engine_timeout, filter_timeout, store_timeout; /* ms */
	int64_t		 engine_attempts; /* engine deaths one exchange
					   * survives */
	int		 filter_sandbox;
	int64_t		 filter_hold;	/* bytes of a reply kept back at most */
	struct config_filter *filters;	/* owned */
	size_t		 nfilters;
	/* policy */
	struct threshold policy[DIRECTIONS][CATEGORIES];
	char		*words[CATEGORIES];	/* owned: to a blocked user */
	/* limits */
	int64_t		 clients, clients_per_uid;
	int64_t		 operator_clients;	/* above clients */
	int64_t		 requests, requests_per_uid;
	int64_t		 conversations_per_uid;	/* stored; 0: any number */
	int64_t		 bytes_per_uid;		/* the same */
	int64_t		 line, prompt;		/* bytes */
	int64_t		 output_high;		/* bytes */
	int64_t		 line_time, stall_time, drain_time; /* ms */
	/* defaults of sampling */
	double		 temperature, top_p, repetition_penalty;
	int64_t		 top_k, max_tokens;
	char		*preprompt;	/* owned */
};

/*
 * Read a file, or only the defaults where path is NULL. 0 and *out (owned),
 * or an error with *f filled: "file:line:column: key: why", and how many more
 * there are. Each of them is appended to errors (an array of strings, or
 * NULL).
 */
int	 config_load(const char *path, struct config **out, json_t *errors,
	    struct fault *f);
void	 config_free(struct config *c);

/* Does this plugin of c get a process of its own? If that is left to us: all
 * but those that lie in chatd's folder of plugins. */
int	 config_filter_own(const struct config *c,
	    const struct config_filter *f);

/* Check the files that a configuration names (programs, plugins, model) and
 * who may write to its state folder. 0, or an error, reported as by
 * config_load. */
int	 config_check(const struct config *c, json_t *errors,
	    struct fault *f);

/* Check that a file or folder, and the folder that holds it, belong to us or
 * to root, and that no other user can write to them. Links are followed. 0, or
 * an error with *f filled. */
int	 config_trust(const char *path, struct fault *f);

/* ---- config_errors.c: all errors of a file, not the first alone */

struct config_errors {
	json_t		*list;		/* borrowed: array, or NULL */
	struct fault	 first;
	int		 n;
};

/* Note a fault. */
void	 config_errors_add(struct config_errors *e, const struct fault *f);
/* 0 where there was none; else CHAT_EFORMAT, and *f says the first and how
 * many there are beside it. */
int	 config_errors_end(const struct config_errors *e, struct fault *f);

/* ---- config_test.c: chatd -t, what reading the file does not show */

/* Warn on standard error of what the unit (NULL: the installed one, where it
 * starts chatd with that file) will not let chatd do. Remembers the unit for
 * config_test_start. */
void	 config_test_unit(const char *file, const char *unit);
/* Start the filter as chatd would, and hold the defaults against the model. 0,
 * or an error with errors (array of strings) filled. */
int	 config_test_start(const struct config *c, json_t *errors);

/* ---- policy.c: from findings to an action */

/* A piece of text, [start..end) in bytes. */
struct span {
	size_t	 start, end;
};

/* What is to be done about a text. */
struct judgement {
	enum action	 action;	/* the strongest of all findings */
	int		 category;	/* of the strongest; -1 if none */
	double		 score;
	struct span	*spans;		/* owned: nspans to be redacted, in
					 * their order, apart */
	size_t		 nspans;
	json_t		*verdicts;	/* owned: array of findings that reach
					 * a threshold, each with "direction"
					 * and "action" */
};

/* Are these the findings about a text of len bytes, each with all that a
 * finding has? */
int	 policy_sound(const json_t *findings, size_t len);

/*
 * Judge the "findings" array of a filter's answer (borrowed) about a text of
 * len bytes. 0 with *j filled (clear it with judgement_clear), or
 * CHAT_EPROTOCOL where the answer is not sound.
 */
int	 policy_judge(const struct config *c, enum direction d,
	    const json_t *findings, size_t len, struct judgement *j);
void	 judgement_clear(struct judgement *j);

/* What a finding of that category and score leads to. */
enum action policy_action(const struct config *c, enum direction d,
	    int category, double score);

/* The words for a user whose text was blocked for that category. */
const char *policy_words(const struct config *c, int category);

/*
 * Copy text[from..to) with every span that is to be redacted replaced. *to
 * moves down to the start of a redacted span that reaches over it, so that
 * the rest is replaced as a whole later. Returns a new string of *n bytes
 * (owned by the caller).
 */
char	*policy_redact(const struct judgement *j, const char *text,
	    size_t from, size_t *to, size_t *n);

/* ---- notify.c: systemd, by hand */

/* Send state lines such as "READY=1", made of words of the program and of
 * numbers: no names, no reasons. Nothing is sent where nobody listens. */
void	 notify_send(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));
/* Send a text for people, whatever is in it, as one line of STATUS. */
void	 notify_status(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));

/*
 * The listening socket systemd passed, or -1 where there is none. The
 * environment's LISTEN_* are taken out either way. CHAT_EFORMAT (with *f)
 * where what was passed is not a listening Unix stream socket.
 */
int	 notify_listen_fd(int *fd, struct fault *f);

/* Half of WATCHDOG_USEC in milliseconds, 0 where none is set for us. */
int	 notify_watchdog_ms(void);

/* Remove the variables, so that helpers do not see them. */
void	 notify_forget_environment(void);

/* ---- listener.c: the listening socket */

struct listener;

/*
 * Listen as the configuration says, or on fd where that is not -1 (taken).
 * Every new connection goes to client_accept. 0, or an error with *f filled.
 */
int	 listener_new(struct chatd *d, int fd, struct listener **out,
	    struct fault *f);
/* Stop listening; removes the socket file if we made it. */
void	 listener_free(struct listener *l);

/* ---- peer.c: who is at the other end of a connection */

struct ucred;

/* The account's name for a uid, digits if it has none. Lives until the next
 * call. */
const char *peer_name(uid_t uid);
/* Is the peer on fd, with these credentials, root, of our own account, or in
 * the group (NULL or "": none)? */
int	 peer_is_operator(const char *group, int fd, const struct ucred *cr);

/* ---- client.c: connections of clients */

TAILQ_HEAD(clients, client);

/*
 * A request that is being answered. It belongs to the operation that answers
 * it, which ends it by request_done or one of its sisters; it outlives its
 * client.
 */
struct request {
	TAILQ_ENTRY(request)	 entry;
	struct chatd		*d;		/* borrowed */
	struct client		*client;	/* borrowed; NULL: it has gone */
	uid_t			 uid;		/* whose it is */
	int			 operator;
	int64_t			 id;		/* the client's */
	size_t			 size;		/* bytes of its line, while it
						 * counts among those that stop
						 * the reading */
	/* Set by operations that run for long; both may be NULL.
	 * stop: the client asked to cancel, or has gone (client is NULL).
	 * pressure: its output queue is above (1) or below (0) its marks. */
	void			(*stop)(struct request *);
	void			(*pressure)(struct request *, int high);
	void			*arg;		/* the operation's own */
};

/* Take a new connection (fd taken). */
void	 client_accept(struct chatd *d, int fd);
/* After a reload: give each open connection the rights that the new
 * configuration gives it. Requests that run keep theirs. */
void	 client_configure(struct chatd *d);
/* Close all connections (shutdown). */
void	 client_close_all(struct chatd *d);
/* Clients connected in all, without those turned away. */
int	 client_count(const struct chatd *d);
/* Bytes that wait to be written to clients, in all. */
size_t	 client_unwritten(const struct chatd *d);
/* Find one of the client's running requests, NULL if there is none. */
struct request *client_find(struct client *c, int64_t id);
/* Is its output queue above the high mark? */
int	 client_pressed(const struct client *c);

/*
 * Answer a request. request_send takes msg and adds the id; nothing is sent
 * where the client has gone. The others end the request and free it; msg of
 * request_done may be NULL for an empty done.
 */
void	 request_send(struct request *r, json_t *msg);
/* Its answer may be large: no other is read before it has ended. */
void	 request_weighs(struct request *r);
/* It runs for long, under a limit of its own: others are read meanwhile. */
void	 request_lasts(struct request *r);
void	 request_done(struct request *r, json_t *msg);
void	 request_fail(struct request *r, const char *code, const char *fmt,
	    ...) __attribute__((format(printf, 3, 4)));
void	 request_fault(struct request *r, const struct fault *f);
/* End with an error event made by the caller (taken). */
void	 request_error(struct request *r, json_t *msg);

/* ---- refusal_log.c: whom limits turn away, for the log */

enum refusal { REFUSAL_CLIENTS, REFUSAL_CLIENTS_PER_UID, REFUSAL_REQUESTS,
	REFUSAL_REQUESTS_PER_UID, REFUSALS };

/* A limit has turned somebody away. The first time is logged at once, what
 * comes within the next ten seconds in one line after them. */
void	 refusal_log_note(struct chatd *d, enum refusal which, uid_t uid);
/* Release the timers. */
void	 refusal_log_clear(void);

/* ---- ops.c: the operations */

/* Carry out one parsed request; r is then the operation's to end. */
void	 ops_dispatch(struct request *r, json_t *msg);

/* ---- sampling.c: sampling parameters */

/*
 * Check the parameters given (borrowed, or NULL) and complete them: *out is a
 * new object with defaults and a seed. 0, or CHAT_EFORMAT with *f filled.
 */
int	 sampling_read(const struct config *cf, json_t *given, json_t **out,
	    struct fault *f);

/* Lower those of params that are defaults and more than the model can hold, so
 * that no request is refused for a value that it did not give. Here and below
 * model is the member of that name of the engine's "ready" (borrowed). */
void	 sampling_fit(const struct config *cf, const json_t *model,
	    json_t *params);
/* Log which defaults that concerns. */
void	 sampling_warn(const struct config *cf, const json_t *model);
/* Can the model hold these parameters (complete, after sampling_fit)? 0, or
 * CHAT_EFORMAT with *f filled. */
int	 sampling_check(const json_t *model, const json_t *params,
	    struct fault *f);

/* ---- moderate.c: a verdict without an exchange */

/* Have text judged; prompt is what a reply answers, or NULL. Ends r. */
void	 moderate_new(struct request *r, enum direction d, const char *text,
	    const char *prompt);

/* ---- tokenize.c: ids of a text */

/* Answer r with the ids of text, when its account's turn comes. Ends r. */
void	 tokenize_new(struct request *r, const char *text);

/* ---- health.c: how the service is */

/* From well to badly: all is answered; all is answered, but look at it; not
 * yet; not. */
enum health { HEALTH_OK, HEALTH_DEGRADED, HEALTH_STARTING, HEALTH_DOWN };

/* The answer to health, with what concerns all users where an operator asks;
 * a new reference. */
json_t	*health_message(const struct chatd *d, int operator);

/* ---- readiness.c: what an exchange needs to begin */

/* 0, or an error with *f filled if no exchange can begin, since a helper that
 * it needs does not start. */
int	 readiness_missing(const struct chatd *d, struct fault *f);

/* Take note of an answer of the store (borrowed) to a request that writes. To
 * be called for each of them. */
void	 readiness_store(struct chatd *d, const json_t *msg);

/* ---- refuse.c: a chatd that can't start */

/* Tell the clients that wait on a listening socket why, and those that come
 * within two seconds. Returns at once where nobody waits, or fd is -1. */
void	 refuse_clients(int fd, const struct fault *f);

/* ---- state_dir.c: the state folder */

/* Make the state folder and lock it, if that has not been done. 0; CHAT_EBUSY
 * where another chatd has it; CHAT_ESYSTEM. *f is filled on errors. */
int	 state_dir_lock(struct chatd *d, struct fault *f);

/* ---- status.c: what chatd says of itself; new references */

/* The "model" member of hello and status. Who is no operator is told what
 * may be asked of it, no paths and no reasons. */
json_t	*status_model(const struct chatd *d, int operator);
/* The answer to status. Who is no operator learns of others only how much is
 * running and waiting. */
json_t	*status_message(const struct chatd *d, int operator);

/* ---- relay.c: requests that the store answers */

/* Send msg (taken) to the store; its done or error ends r. */
void	 relay_store(struct request *r, json_t *msg);
/* The same for a deletion, which is logged where r is not the owner's. */
void	 relay_delete(struct request *r, json_t *msg);
/* The same for list and show: their items are passed on as the client reads
 * them, by turns of accounts. */
void	 relay_read(struct request *r, json_t *msg);
/* Go on with reads that wait: there is room, or budget, again. */
void	 relay_next(struct chatd *d);

/* Add to a request for the store how much r's user may have there. */
void	 relay_quota(const struct request *r, json_t *msg);
/* Send the notice quota_near, if the store's answer asks for it. */
void	 relay_near(struct request *r, const json_t *answer);

/* ---- exchange.c: say, regenerate and complete, start to end */

TAILQ_HEAD(exchanges, exchange);

enum exchange_kind { EXCHANGE_SAY, EXCHANGE_COMPLETE, EXCHANGE_REGENERATE };

/* What a client asked for; strings borrowed until exchange_new returns. */
struct exchange_ask {
	enum exchange_kind	 kind;
	const char		*text;		/* say, complete */
	const char		*preprompt;	/* or NULL */
	int64_t			 conversation;	/* 0: a new one */
	int64_t			 exchange;	/* regenerate */
	json_t			*params;	/* taken: checked, with defaults
						 * and seed */
};

/* Begin an exchange; it ends r. */
void	 exchange_new(struct chatd *d, struct request *r,
	    const struct exchange_ask *ask);
/* The engine is up (again): send what waits for it. changed: it is not the
 * model it was, so that a reply half written can't go on. */
void	 exchange_engine_ready(struct chatd *d, int changed);
/* The engine failed to start: end what has waited too long. */
void	 exchange_engine_down(struct chatd *d);
/* The store is up again: resend what it has not acknowledged. */
void	 exchange_store_ready(struct chatd *d);
/* Cancel all of them (shutdown). */
void	 exchange_cancel_all(struct chatd *d);
/* Forget all of them: the process ends, and the store took them not. */
void	 exchange_drop_all(struct chatd *d);
/* Is one of that user running in this conversation? */
int	 exchange_in(const struct chatd *d, uid_t uid, int64_t conversation);
/* Is a reply being written in this conversation, or (conversation 0) to this
 * exchange, as far as r's user may know? */
int	 exchange_busy(const struct request *r, int64_t conversation,
	    int64_t exchange);
/* {"running","waiting","total"} for status (a new reference). */
json_t	*exchange_status(const struct chatd *d);

/* ---- exporter.c: a read-only process per export */

/* Run an export for request r; it ends r. */
void	 exporter_new(struct request *r, const char *format, int all);

/* ---- roles.c: engine, filter and store */

/* Start all three, or end them at once. */
void	 roles_start(struct chatd *d);
void	 roles_stop(struct chatd *d);
/* Report to systemd in one line how the service is, and once that it is
 * ready. */
void	 roles_report(const struct chatd *d);
/* The configuration has changed: their next start is by the new one. */
void	 roles_configure(struct chatd *d);

/* Who hears of the filters that count. */
const struct filters_ops *roles_filters_ops(void);

/* ---- reload.c: a new configuration, whole or not at all */

/* Read it again; r (or NULL, where a signal asked) is ended when the new one
 * counts, or the old one stays. */
void	 reload_new(struct chatd *d, struct request *r);
/* Drop a reload that is on its way. */
void	 reload_stop(struct chatd *d);
/* SIGCHLD came. */
void	 reload_reap(struct chatd *d);

/* ---- configure.c: the configuration, with the command line above it */

/* What the command line says. Strings are borrowed from argv; NULL: not
 * given. */
struct configure_options {
	const char	*file, *socket, *state_dir, *model;
	int		 verbose;
};

/* Remember these options for each call of configure_load. */
void	 configure_init(const struct configure_options *opt);
/* Read and check the configuration, with the options above it. Returns and
 * reports errors as config_load does. */
int	 configure_load(struct config **out, json_t *errors,
	    struct fault *f);

/* ---- drain.c: the end of the service */

/* Prepare timers. */
void	 drain_init(struct chatd *d);
/* Take nothing new, let running replies end, then end the store and the loop.
 * The second call ends running replies at once. sig is for the log. */
void	 drain_begin(struct chatd *d, int sig);
/* Is every exchange over? Then end the store; when the store has ended, end
 * the loop. To be called when one of the two may have changed. */
void	 drain_check(struct chatd *d);
/* Release timers. */
void	 drain_clear(void);

/* ---- chatd.c: the process */

/* What the files call above them. chatd.c fills the table at start, so that
 * calls point one way: from chatd.c down. */
struct chatd_hooks {
	/* Carry out a parsed request; r is then the operation's to end. msg
	 * is borrowed. */
	void	(*dispatch)(struct request *r, json_t *msg);
	/* The "model" member of hello: a new reference. */
	json_t	*(*model)(const struct chatd *d, int operator);
	/* A helper, or what the store can do, has changed. */
	void	(*changed)(const struct chatd *d);
	/* The store has ended, as it was asked to. */
	void	(*store_ended)(struct chatd *d);
};

/* What of each account is ahead at most, see ahead.h. */
#define WRITES_AHEAD	65536	/* bytes: others wait until they are written */
#define TOKENIZES_AHEAD	2	/* texts: their ids take memory */
#define MODERATES_AHEAD	8	/* texts: what is found takes memory */

struct chatd {
	const struct chatd_hooks *hooks;	/* borrowed: static */
	struct event_base	*base;		/* owned */
	struct config		*config;	/* owned */
	struct helper		*engine, *store;	/* owned */
	struct filters		*filters;	/* owned */
	struct reload		*reload;	/* owned: on its way, or NULL */
	struct reload_old	*reload_old;	/* owned: draining, or NULL */
	int			 reload_again;	/* a signal came meanwhile */
	struct listener		*listener;	/* owned, NULL once draining */
	struct clients		 clients;
	struct budget		*budget;	/* owned: of accounts */
	struct turns		*turns;		/* owned: of accounts */
	struct exchanges	 exchanges;
	struct ahead		*writes;	/* owned: for the store to write */
	struct ahead		*tokenizes;	/* owned: for the engine */
	struct ahead		*moderates;	/* owned: for the filters */
	int64_t			 total;		/* exchanges ever */
	json_t			*model;		/* owned: the engine's "ready",
						 * NULL before */
	json_t			*progress;	/* owned: last "progress" */
	int			 draining;
	int			 lock;		/* owned: of state_dir, or -1 */
	int64_t			 last_commit;	/* wall ms, 0: none yet */
	int64_t			 store_since;	/* wall ms: since then it can't
						 * write; 0: it can */
	char			 store_error[400]; /* what it said last */
	int			 store_probing;	/* asked whether it can again */
	int			 store_failing;	/* a finish waits for the store */
	int64_t			 started;	/* monotonic ms */
	char			 boot[33];	/* random hex: this process */
	int64_t			 next_key;	/* counts store keys */
};

#endif
