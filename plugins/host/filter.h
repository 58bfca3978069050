/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations for all files of chatd-filter: loading plugins, the sandbox, one
 * check.  A plugin includes chatd-filter.h only.
 */
#ifndef FILTER_H
#define FILTER_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "chatd-filter.h"
#include "err.h"
#include "sha256.h"

#define FILTER_PLUGINS_MAX	16
#define FILTER_FINDINGS_MAX	4096	/* of all plugins in one check */
#define FILTER_TEXT_MAX		(1024 * 1024)	/* bytes of one text */
#define FILTER_OFFSET_MAX	(1LL << 40)	/* bytes before it */
#define FILTER_RULE_MAX		128		/* bytes of a rule's name */
#define FILTER_RULES_MAX	1000000000	/* highest number reported */
#define FILTER_OPTIONS_MAX	1024		/* of one plugin */
#define FILTER_FEATURES_MAX	512	/* of all findings in one check */
#define FILTER_LOWERED_MAX	64	/* calls of lower in one check */
#define FILTER_TEXTS_MAX	65536	/* that are judged at a time */
#define FILTER_TAILS_MAX	(256 * 1024 * 1024)	/* bytes kept of them */
#define FILTER_BAND_KEEP	4096	/* bytes that a plugin with a band gets
					 * at most when it is called late */
#define FILTER_BAND_STEP	32	/* bytes between two of its places */
#define FILTER_START_S		25	/* limit of a start */

/* ---- filterd.c: the misuse categories, NULL after the last */
extern const char *const filter_categories[];

/* ---- plugin.c */
struct plugin {
	char			 name[64];	/* as configured */
	char			 path[1024];
	int			 fd;		/* -1: none. Stays open, because
						 * dlopen keeps its number */
	void			*handle;	/* owned: of dlopen */
	const struct chat_filter *filter;	/* borrowed from handle */
	void			*state;		/* owned: of filter->open */
	int			 opened;	/* close is due */
	char			 digest[SHA256_HEX];	/* of the file */
	json_t			*reads;		/* owned: of inputs_allow */
};

/*
 * Find the plugin at path (absolute) for the configured name: the file and
 * its folder must belong to root or the effective user and be writable by their
 * owner only, and path itself must not be a symbolic link. 0 and *out (owned),
 * or CHAT_ESYSTEM, CHAT_EDENIED or CHAT_EFORMAT with *f filled (code
 * bad_plugin).
 */
int	 plugin_find(const char *name, const char *path, struct plugin **out,
	    struct fault *f);

/*
 * Load the plugin and check its ABI, size, name and members. Constructors
 * of the plugin run here. 0, or CHAT_EFORMAT or CHAT_EUNSUPPORTED with *f
 * filled (code bad_plugin); then only plugin_free may follow.
 */
int	 plugin_load(struct plugin *p, struct fault *f);

/* Close and unload; NULL does nothing. */
void	 plugin_free(struct plugin *p);

/* Check a plugin's struct as plugin_load does; path is for messages only. */
int	 plugin_check(const struct chat_filter *cf, const char *name,
	    const char *path, struct fault *f);

/* The minor number of the interface that it was built with. */
unsigned plugin_minor(const struct chat_filter *cf);

/* Does the plugin judge pieces (part), or only whole texts? */
int	 plugin_has_part(const struct chat_filter *cf);

/* ---- text.c and tail.c: the texts that are being judged */
struct texts;
struct text;
struct check;

/* What one plugin keeps about a text. */
struct text_plugin {
	void	*state;		/* owned: of text_begin */
	int	 begun;		/* text_end is due */
	int64_t	 seen;		/* bytes of the text that it was given */
	int64_t	 ns;		/* nanoseconds that it took */
};

struct texts	*texts_new(void);

/* Before the first text: keep at least that many bytes of each text before its
 * new bytes. */
void		 texts_keep(struct texts *ts, uint64_t window);

/* Before the first text: this plugin has a band. */
void		 texts_band(struct texts *ts, size_t plugin);
int		 texts_banded(const struct texts *ts);	/* is there one? */

void		 texts_free(struct texts *ts);	/* all texts have gone */
struct text	*texts_find(const struct texts *ts, int64_t id);
/* Some text, or NULL if there is none. */
struct text	*texts_any(const struct texts *ts);

/* Make a text, of which judged bytes were judged elsewhere; id 0: it is not in
 * the table. NULL: there are FILTER_TEXTS_MAX, or they keep FILTER_TAILS_MAX
 * bytes. Before text_free, host_end must be called for each plugin. */
struct text	*text_new(struct texts *ts, int64_t id, int64_t judged,
		    size_t ncategories);
void		 text_free(struct texts *ts, struct text *tx);
int64_t		 text_judged(const struct text *tx);
void		 text_set_judged(struct text *tx, int64_t judged,
		    int64_t settled);
struct text_plugin *text_plugin(struct text *tx, size_t plugin);

/* Note a score that a plugin has reported for a category, and where its finding
 * ends; TEXT_END: known only when the text is complete. */
#define TEXT_END	INT64_MAX
void		 text_note(struct text *tx, size_t plugin, size_t category,
		    double score, int64_t end);
/* Fill the highest score of each category that the plugins before this one have
 * reported. Returns the highest of all. */
double		 text_scores(const struct text *tx, size_t plugin,
		    double *scores);

/*
 * How far a plugin with a band has come. It is given the text in steps that end
 * at the same places however the text was cut, and at each place its band is
 * compared with the findings that end before it.
 */
struct text_band {
	int64_t	 at;		/* bytes for which that was done */
	int64_t	 settled;	/* bytes that are settled for the plugin */
};
struct text_band *text_band(struct text *tx, size_t plugin);

/* Like text_scores, for a plugin with a band: of the findings that end at byte
 * "end" or before it. end must not decrease; TEXT_END: of all. */
double		 text_band_scores(struct text *tx, size_t plugin, int64_t end,
		    double *scores);

/* Add what is new in a check to the end of the text that is kept, and make
 * out the same check with as much text before the new bytes as is needed. */
void		 text_add(struct texts *ts, struct text *tx,
		    const struct check *c, struct check *out);

/*
 * The piece of a kept text that a plugin with a band gets at byte "end", which
 * was added: the bytes that it has not seen, at most FILTER_BAND_KEEP, and
 * window bytes before them. Fills text, len and offset of out. The byte after
 * the piece becomes NUL until text_uncut.
 */
void		 text_cut(struct text *tx, size_t plugin, uint64_t window,
		    int64_t end, struct check *out);
void		 text_uncut(struct text *tx);

/* The start of the character at or before byte i of the kept text. */
int64_t		 text_character(const struct text *tx, int64_t i);

/* Forget the kept text that no plugin will need. */
void		 text_trim(struct texts *ts, struct text *tx);

/* ---- host.c, host_band.c, host_calls.c: one plugin, and what it can call */
struct host;

/* A text to judge. Strings are borrowed, UTF-8, NUL-terminated. */
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
	int64_t		 text_id;	/* names the text; 0: this check is all
					 * of it */
	int64_t		 account;	/* who speaks; 0: not known */
	int64_t		 now;		/* monotonic ms */
	int		 again;		/* another process has judged some of
					 * it */
	int64_t		 shift;		/* added to the places in the answer */
	int		 more;		/* nothing follows, but a check of the
					 * complete text */
};

/* What the plugins say about a piece. */
struct answer {
	json_t		*findings;	/* owned: {plugin, category, score,
					 * start, end, rule[, proven]
					 * [, detail]} each; places below 0
					 * are before the piece */
	json_t		*lowered;	/* owned: {plugin, category or null,
					 * score, start, end} each */
	size_t		 features;	/* in the findings */
	int64_t		 settled;	/* bytes of the piece that are settled
					 * for every plugin; while it is
					 * judged -1: not known, a plugin takes
					 * whole texts and more may follow */
	int		 is_settled;	/* it is known */
};

/* A host for plugin (taken), which is the one at index in the order and takes
 * findings of the categories (borrowed for the host's life; NULL after the
 * last). */
struct host	*host_new(struct plugin *plugin, size_t index,
		    const char *const *categories);
void		 host_free(struct host *h);
const char	*host_name(const struct host *h);	/* of the plugin */

/* Open the plugin with the members of options (borrowed; NULL: none). 0, or
 * CHAT_EFORMAT with *f filled. */
int		 host_open(struct host *h, const json_t *options,
		    struct fault *f);

/* Let the plugin test itself, if it can. 0, or CHAT_EFORMAT with *f filled. */
int		 host_selftest(struct host *h, struct fault *f);

/* Give the plugin what an earlier process has saved: a string of hexadecimal
 * digits, or NULL. A plugin that does not take it is reported in the log. 0, or
 * CHAT_EFORMAT with *f filled: it broke a rule of the interface. */
int		 host_restore(struct host *h, const char *hex,
		    struct fault *f);

/* Let the plugin save. 0 and *hex (owned; NULL: nothing), or CHAT_EPROTOCOL
 * with *f filled. */
int		 host_save(struct host *h, char **hex, struct fault *f);

/* The bytes that it needs before new text; 0: whole texts. */
uint64_t	 host_window(const struct host *h);
int		 host_is_banded(const struct host *h);

/* Check that c has enough text before the new text for this plugin. 0, or
 * CHAT_EFORMAT or CHAT_EUNSUPPORTED with *f filled. */
int		 host_fits(const struct host *h, const struct check *c,
		    struct fault *f);

/*
 * Judge one piece of tx, for which host_fits has returned 0, after the plugins
 * before this one. Adds to the answer, and lowers its "settled". A plugin
 * outside its band is not called. Returns 0, or with *f filled:
 *   CHAT_EUNSUPPORTED  the plugin has no verdict, or the answer would have more
 *                      than FILTER_FINDINGS_MAX findings
 *   CHAT_EPROTOCOL     the plugin broke a rule of the interface, and must not
 *                      be called again
 * After an error the answer must not be used.
 */
int		 host_check(struct host *h, const struct check *c,
		    struct text *tx, struct answer *a, struct fault *f);

/* The text is over: let the plugin release what it kept about it. */
void		 host_end(struct host *h, struct text *tx);

/* {name, version, rules, abi, window, context, texts, keeps, digest, reads}, a
 * new reference. */
json_t		*host_describe(const struct host *h);

/* ---- sandbox.c */
struct sandbox;

struct sandbox	*sandbox_new(void);
void		 sandbox_free(struct sandbox *sb);

/* Before sandbox_enter: leave path (absolute; a file, or a folder with all
 * below it) readable in the first stage. Missing paths are ignored. */
void		 sandbox_allow_read(struct sandbox *sb, const char *path);

/*
 * First stage: limits, no new privileges, Landlock if the kernel has it (a
 * warning if not), and a list of the system calls that loading and opening a
 * plugin need. From here on any other call is reported on stderr with the
 * plugin's name and ends the process. 0, or CHAT_EUNSUPPORTED with *f filled,
 * also if the kernel accepts the list but does not apply it.
 */
int		 sandbox_enter(struct sandbox *sb, struct fault *f);

/* Second stage: only memory, the clock and descriptors 0, 1, 2. Returns as
 * sandbox_enter does. */
int		 sandbox_tighten(const struct sandbox *sb, struct fault *f);

/* ---- inputs.c */
/*
 * Before sandbox_enter: leave the absolute paths in a plugin's options (object,
 * borrowed, or NULL) readable, as sandbox_allow_read does, and check that only
 * root and the effective user may write these files. Appends {path, digest} to
 * list for each file that is there, without digest if it can't be read; that of
 * a folder is made of the names and the bytes of its *.yaml. Returns 0,
 * CHAT_ESYSTEM or CHAT_EDENIED with *f filled (code bad_plugin).
 */
int		 inputs_allow(struct sandbox *sb, const json_t *options,
		    json_t *list, struct fault *f);

/* ---- nest.c */
/*
 * Continue in a child that is the only process of a new PID namespace, so that
 * it can't name any other process. The parent only waits for the child and ends
 * with its status; if the parent is killed, the child is too. Returns 1 in the
 * child, or 0 if the kernel does not allow the namespace (logged at debug
 * level); the caller then continues without it.
 */
int		 nest_enter(void);

/* The child, process 1 of its namespace, can't be ended by its own signals. It
 * exits with this plus the signal, and the parent ends by that signal. */
#define NEST_SIGNAL	128

/* ---- crash.c */
/* Set the names for crash reports: the plugin and the call that run from now
 * on, borrowed until the next call; NULL: no plugin runs. */
void		 crash_mark(const char *plugin, const char *call);

/* Report crashes (SIGSEGV and its like) with those names on stderr. */
void		 crash_watch(void);

/* End the process, with an error message on descriptor 1 that names the plugin
 * and the call, if the start takes longer than that; 0: the start is over. */
void		 crash_limit(unsigned seconds);

#endif
