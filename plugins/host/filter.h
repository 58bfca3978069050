/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared inside chatd-filter: plugins and how they are loaded, the sandbox,
 * one check.  chatd-filter.h is what plugins see.
 */
#ifndef FILTER_H
#define FILTER_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "chatd-filter.h"
#include "err.h"

#define FILTER_PLUGINS_MAX	16
#define FILTER_FINDINGS_MAX	4096	/* of all plugins in one check */
#define FILTER_TEXT_MAX		(1024 * 1024)	/* bytes of one text */
#define FILTER_OFFSET_MAX	(1LL << 40)	/* bytes before it */
#define FILTER_RULE_MAX		128		/* bytes of a rule's name */
#define FILTER_RULES_MAX	1000000000	/* told to chatd, at most */
#define FILTER_OPTIONS_MAX	1024		/* of one plugin */

/* ---- filterd.c: the misuse categories, NULL behind the last */
extern const char *const filter_categories[];

/* ---- plugin.c */
struct plugin {
	char			 name[64];	/* as configured */
	char			 path[1024];
	int			 fd;		/* -1: none. Stays open, since
						 * dlopen knows it by number */
	void			*handle;	/* owned: of dlopen */
	const struct chat_filter *filter;	/* borrowed from handle */
	void			*state;		/* owned: of filter->open */
	int			 opened;	/* close is due */
};

/*
 * Find the plugin at path (absolute) for the configured name: the file and
 * its folder must belong to root or the effective user and be writable by
 * nobody else, and path itself must be no symbolic link. 0 and *out (owned),
 * or CHAT_ESYSTEM, CHAT_EDENIED or CHAT_EFORMAT with *f filled (code
 * bad_plugin).
 */
int	 plugin_find(const char *name, const char *path, struct plugin **out,
	    struct fault *f);

/*
 * Load what was found: its ABI, size, name and members must fit. Constructors
 * of the plugin run here. 0, or CHAT_EFORMAT or CHAT_EUNSUPPORTED with *f
 * filled (code bad_plugin); then only plugin_free may follow.
 */
int	 plugin_load(struct plugin *p, struct fault *f);

/* Close and unload; NULL does nothing. */
void	 plugin_free(struct plugin *p);

/* Check a plugin's struct as plugin_load does; path is used in words only. */
int	 plugin_check(const struct chat_filter *cf, const char *name,
	    const char *path, struct fault *f);

/* Does the plugin judge pieces (part), or only whole texts? */
int	 plugin_has_part(const struct chat_filter *cf);

/* ---- host.c: one plugin and what it calls */
struct host;

/* What is judged. Strings are borrowed, UTF-8, NUL-terminated. */
struct check {
	const char	*direction;	/* "prompt" or "reply" */
	const char	*text;
	size_t		 len;
	int64_t		 offset;	/* bytes of the whole text before it */
	int64_t		 fresh;		/* bytes of text judged before */
	int64_t		 settled;	/* bytes of text settled before */
	const char	*context;	/* of a reply: its prompt, or "" */
	size_t		 context_len;
	int		 final;		/* nothing follows */
};

/* A host for plugin (taken) that takes findings of the categories (borrowed
 * for the host's life; NULL behind the last). */
struct host	*host_new(struct plugin *plugin,
		    const char *const *categories);
void		 host_free(struct host *h);

/* Open the plugin with the members of options (borrowed; NULL: none). 0, or
 * CHAT_EFORMAT with *f filled. */
int		 host_open(struct host *h, const json_t *options,
		    struct fault *f);

/* May c be given to this plugin? It needs enough text before what is new. 0,
 * or CHAT_EFORMAT or CHAT_EUNSUPPORTED with *f filled. */
int		 host_fits(const struct host *h, const struct check *c,
		    struct fault *f);

/*
 * Judge one piece that fits and append what is found to findings, an array of
 * objects {plugin, category, score, start, end, rule}. *settled is lowered to
 * the number of bytes that are settled for this plugin, and to -1 where it
 * can't say (it takes whole texts, and more may follow). 0; CHAT_EUNSUPPORTED
 * if the plugin says in order that it has no verdict, or if it reports more
 * findings than FILTER_FINDINGS_MAX less those that the array already holds;
 * CHAT_EPROTOCOL if it broke the interface's rules and must not be called
 * again. After an error *f gives the reason and the findings must not be used.
 */
int		 host_check(struct host *h, const struct check *c,
		    json_t *findings, int64_t *settled, struct fault *f);

/* {name, version, rules, abi, window, context}, a new reference. */
json_t		*host_describe(const struct host *h);

/* ---- sandbox.c */
struct sandbox;

struct sandbox	*sandbox_new(void);
void		 sandbox_free(struct sandbox *sb);

/* Before sandbox_enter: leave path (absolute; a file, or a folder with all
 * below it) readable in the first stage. Paths not there are ignored. */
void		 sandbox_allow_read(struct sandbox *sb, const char *path);

/*
 * First stage: limits, no new privileges, Landlock where the kernel has it (a
 * warning where not), and a list of the system calls that loading and opening
 * a plugin need. From here on any other call is told on stderr with the
 * plugin's name and ends the process. 0, or CHAT_EUNSUPPORTED with *f filled:
 * also where the kernel says that the list is on, and it is not.
 */
int		 sandbox_enter(struct sandbox *sb, struct fault *f);

/* Second stage: nothing but memory, the clock and descriptors 0, 1, 2. The
 * same. */
int		 sandbox_tighten(const struct sandbox *sb, struct fault *f);

/* ---- nest.c */
/*
 * Go on as the only process of a namespace of process numbers, where the
 * kernel allows that, so that no other process can be named. The caller goes
 * on in a child; the process that called only waits for it, ends as it ends,
 * and takes it along when it is killed. 1, or 0 where that is not allowed
 * here (told at debug level) and the caller goes on as it is.
 */
int		 nest_enter(void);

/* How a process inside ends of a signal, which it could not by itself: the
 * status that tells the process outside. */
#define NEST_SIGNAL	128

/* ---- crash.c */
/* Name what runs from now on, for the last words of a process that crashes:
 * both are borrowed until the next call; NULL: nothing of a plugin. */
void		 crash_mark(const char *plugin, const char *call);

/* Report crashes (SIGSEGV and its like) with those names on stderr. */
void		 crash_watch(void);

#endif
