/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatd: the command line, the start, the signals, and the order of release at
 * the end.
 */
#include <config.h>
#include "chatd.h"

#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ahead.h"
#include "budget.h"
#include "clock.h"
#include "filters.h"
#include "log.h"
#include "retention.h"
#include "stdfds.h"
#include "xmalloc.h"

#define EXIT_USAGE	2
#define EXIT_CONFIG	78	/* EX_CONFIG: systemd does not restart it */
#define CHATD_TURN	65536	/* bytes of lines that an account may send
				 * before the next account's turn */

/* Signals and timers of the process. */
struct chatd_events {
	struct event	*term, *intr, *hup, *chld;	/* owned */
	struct event	*watchdog;	/* owned, or NULL */
};

/* The options of the command line. */
struct chatd_options {
	struct configure_options configure;
	const char	*unit;
	int		 test;
};

static const struct chatd_hooks	 chatd_hooks = {
	.dispatch = ops_dispatch,
	.model = status_model,
	.defaults = sampling_stated,
	.changed = roles_report,
	.model_loaded = reload_first,
	.model_ended = reload_model_ended,
	.store_ended = drain_check,
};
static struct chatd_events	 chatd_events;

/* ---- signals */

/* SIGTERM, SIGINT: end the service. */
static void
chatd_terminate(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	drain_begin(arg, (int)sig);
}

/* SIGHUP: reload. */
static void
chatd_hangup(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	reload_new(arg, NULL, NULL);
}

/* SIGCHLD: a helper has ended. */
static void
chatd_child(evutil_socket_t sig, short what, void *arg)
{
	struct chatd	*d = arg;

	(void)sig;
	(void)what;
	helper_reap(d->engine->helper);
	if (d->beside != NULL)
		helper_reap(d->beside->helper);
	filters_reap(d->filters);
	helper_reap(d->store);
	helper_reap(d->judge);
	reload_reap(d);
}

/* Continue the work that waited for an account's budget. */
static void
chatd_budget(void *arg)
{
	struct chatd	*d = arg;

	relay_next(d);
	ahead_more(d->tokenizes);
}

/* The loop is alive: report it to systemd. */
static void
chatd_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	notify_send("WATCHDOG=1");
}

/* Set up signals and timers. */
static void
chatd_events_init(struct chatd *d, int watchdog_ms)
{
	struct chatd_events	*e = &chatd_events;
	struct timeval		 tv = { watchdog_ms / 1000,
	    watchdog_ms % 1000 * 1000 };

	e->term = evsignal_new(d->base, SIGTERM, chatd_terminate, d);
	e->intr = evsignal_new(d->base, SIGINT, chatd_terminate, d);
	e->hup = evsignal_new(d->base, SIGHUP, chatd_hangup, d);
	e->chld = evsignal_new(d->base, SIGCHLD, chatd_child, d);
	event_add(e->term, NULL);
	event_add(e->intr, NULL);
	event_add(e->hup, NULL);
	event_add(e->chld, NULL);
	if (watchdog_ms > 0) {
		e->watchdog = event_new(d->base, -1, EV_PERSIST,
		    chatd_watchdog, d);
		event_add(e->watchdog, &tv);
	}
}

/* Release signals and timers. */
static void
chatd_events_clear(void)
{
	struct event	**all[] = { &chatd_events.term, &chatd_events.intr,
	    &chatd_events.hup, &chatd_events.chld, &chatd_events.watchdog };
	size_t		  i;

	for (i = 0; i < nitems(all); i++) {
		if (*all[i] != NULL)
			event_free(*all[i]);
		*all[i] = NULL;
	}
}

/* ---- the start */

/* Print the options. */
static void
chatd_usage(FILE *out)
{
	fputs("usage: chatd [-dhtVv] [-f FILE] [-m MODEL] [-S FOLDER] "
	    "[-s SOCKET]\n\n"
	    "Keep a chat language model loaded and serve it to local users.\n"
	    "\n"
	    "  -d, --foreground         stay in the foreground (it always "
	    "does) and log\n"
	    "                           plain lines to standard error\n"
	    "  -f, --config FILE        configuration (default " CONFDIR
	    "/chatd.yaml)\n"
	    "  -m, --model MODEL        model to load, over model.path\n"
	    "  -S, --state-dir FOLDER   where the store is, over state_dir\n"
	    "  -s, --socket SOCKET      where to listen, over socket.path\n"
	    "  -t, --test               check the configuration and exit\n"
	    "  -v, --verbose            log everything\n"
	    "  -u, --unit FILE          with -t: the unit that will start it "
	    "(default: the\n"
	    "                           installed one)\n"
	    "  -h, --help               print this\n"
	    "  -V, --version            print the version\n\n"
	    "SIGTERM finishes running replies and exits, SIGHUP reads the "
	    "configuration\nagain.  See chatd(8) and chatd.yaml(5).\n", out);
}

/* Read the command line. */
static void
chatd_options(struct chatd_options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "foreground", no_argument, NULL, 'd' },
		{ "config", required_argument, NULL, 'f' },
		{ "model", required_argument, NULL, 'm' },
		{ "state-dir", required_argument, NULL, 'S' },
		{ "socket", required_argument, NULL, 's' },
		{ "unit", required_argument, NULL, 'u' },
		{ "test", no_argument, NULL, 't' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int	 c;

	while ((c = getopt_long(argc, argv, "df:hm:S:s:tu:Vv", longs, NULL)) !=
	    -1) {
		switch (c) {
		case 'd':
			unsetenv("JOURNAL_STREAM");
			break;
		case 'f':
			o->configure.file = optarg;
			break;
		case 'm':
			o->configure.model = optarg;
			break;
		case 'S':
			o->configure.state_dir = optarg;
			break;
		case 's':
			o->configure.socket = optarg;
			break;
		case 'u':
			o->unit = optarg;
			break;
		case 't':
			o->test = 1;
			break;
		case 'v':
			o->configure.verbose = 1;
			break;
		case 'h':
			chatd_usage(stdout);
			exit(0);
		case 'V':
			printf("chatd %s\n", PACKAGE_VERSION);
			exit(0);
		default:
			fputs("chatd --help lists the options\n", stderr);
			exit(EXIT_USAGE);
		}
	}
	if (o->unit != NULL && !o->test) {
		fputs("chatd: --unit is for --test\n", stderr);
		exit(EXIT_USAGE);
	}
	if (o->configure.file == NULL &&
	    access(CONFDIR "/chatd.yaml", F_OK) == 0)
		o->configure.file = CONFDIR "/chatd.yaml";
	if (optind < argc) {
		fprintf(stderr, "chatd: %s: no argument is expected; chatd "
		    "--help lists the options\n", argv[optind]);
		exit(EXIT_USAGE);
	}
}

/* End chatd after a fault that no restart can mend. Report the fault to the
 * clients that wait on fd (or -1). */
static void __attribute__((noreturn))
chatd_give_up(int fd, const struct fault *f)
{
	log_warnx("%s", f->message);
	notify_status("%s", f->message);
	refuse_clients(fd, f);
	exit(EXIT_CONFIG);
}

/* The configuration to start with, or exit with EXIT_CONFIG. */
static struct config *
chatd_first_config(int fd)
{
	struct config	*cf;
	struct fault	 f;
	json_t		*errors = json_array();
	size_t		 i;

	if (configure_load(NULL, &cf, errors, &f) != 0) {
		/* chatd_give_up() reports the first one. */
		for (i = 1; i < json_array_size(errors); i++)
			log_warnx("%s", json_string_value(
			    json_array_get(errors, i)));
		chatd_give_up(fd, &f);
	}
	json_decref(errors);
	configure_explain(cf);
	return (cf);
}

/* Check everything that can be checked without serving. Returns the exit
 * status. */
static int
chatd_test(const struct chatd_options *o)
{
	struct config	*cf;
	struct fault	 f;
	json_t		*errors = json_array();
	size_t		 i;
	int		 r;

	preflight_unit(o->configure.file, o->unit);
	r = configure_load(NULL, &cf, errors, &f);
	if (r == 0 && (r = preflight_start(cf, errors)) == 0)
		printf("%s: the configuration is sound\n",
		    cf->file != NULL ? cf->file : "defaults");
	for (i = 0; i < json_array_size(errors); i++)
		fprintf(stderr, "chatd: %s\n", json_string_value(
		    json_array_get(errors, i)));
	return (r == 0 ? 0 : EXIT_CONFIG);
}

/* Make a random name for this run of chatd. */
static void
chatd_boot_name(struct chatd *d)
{
	unsigned char	 raw[16];
	size_t		 i;

	if (getrandom(raw, sizeof raw, 0) != sizeof raw)
		fatal("getrandom");
	for (i = 0; i < sizeof raw; i++)
		snprintf(d->boot + 2 * i, 3, "%02x", raw[i]);
}

/* Start, serve and end. */
int
main(int argc, char **argv)
{
	struct chatd	 d = { .hooks = &chatd_hooks, .lock = -1 };
	struct chatd_options opt = { .test = 0 };
	struct fault	 f;
	int		 fd, watchdog;

	stdfds_init("chatd");
	setlocale(LC_CTYPE, "");
	chatd_options(&opt, argc, argv);
	configure_init(&opt.configure);
	log_init("chatd", LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);	/* nothing to reload yet */
	umask(077);
	if (opt.test)
		exit(chatd_test(&opt));
	if (notify_listen_fd(&fd, &f) != 0)
		fatalx("%s", f.message);
	watchdog = notify_watchdog_ms();
	notify_forget_environment();
	d.config = chatd_first_config(fd);
	log_set_level((enum log_level)d.config->log_level);
#ifndef WITH_SANITIZER			/* the leak checker must look in */
	prctl(PR_SET_DUMPABLE, 0);
#endif
	chatd_boot_name(&d);
	d.started = clock_monotonic();
	TAILQ_INIT(&d.clients);
	TAILQ_INIT(&d.exchanges);
	/* If the folder can't be made or written, the store retries. */
	if (state_dir_lock(&d, &f) == CHAT_EBUSY)
		chatd_give_up(fd, &f);
	if ((d.base = event_base_new()) == NULL)
		fatalx("no event loop");
	d.budget = budget_new(d.base, chatd_budget, &d);
	d.turns = turns_new(d.base, CHATD_TURN, d.budget);
	d.writes = ahead_new(WRITES_AHEAD, NULL);
	d.tokenizes = ahead_new(TOKENIZES_AHEAD, d.budget);
	d.moderates = ahead_new(MODERATES_AHEAD, NULL);
	if (listener_new(&d, fd, &d.listener, &f) != 0)
		chatd_give_up(-1, &f);
	drain_init(&d);
	retention_init(&d);
	chatd_events_init(&d, watchdog);
	log_info("chatd %s starts", PACKAGE_VERSION);
	roles_start(&d);
	event_base_dispatch(d.base);

	log_info("ends");
	exchange_drop_all(&d);
	client_close_all(&d);
	turns_free(d.turns);
	refusal_log_clear();
	listener_free(d.listener);
	reload_stop(&d);
	roles_stop(&d);
	ahead_free(d.writes);
	ahead_free(d.tokenizes);
	ahead_free(d.moderates);
	budget_free(d.budget);
	retention_clear();
	drain_clear();
	chatd_events_clear();
	event_base_free(d.base);
	config_free(d.config);
	if (d.lock != -1)
		close(d.lock);
	return (0);
}
