/*
 * The interface of chatd's misuse filters, version 1.0.
 *
 * A filter plugin is a shared object with one exported symbol, chat_filter,
 * of the type struct chat_filter below.  chatd-filter, a sandboxed process,
 * opens it, hands it what users write and what the model answers, and passes
 * its findings on to chatd.  A plugin says what it has found and how sure it
 * is; what follows from that (flag, redact, block) is decided in chatd.yaml.
 *
 * A plugin that finds one word:
 *
 *	#define _GNU_SOURCE			// for memmem
 *	#include <chatd-filter.h>
 *	#include <string.h>
 *
 *	static const struct chat_filter_host *host;
 *
 *	static int32_t
 *	word_open(const struct chat_filter_host *h,
 *	    const struct chat_filter_option *options, uint64_t n, void **state)
 *	{
 *		host = h;
 *		return (CHAT_FILTER_OK);
 *	}
 *
 *	static int32_t
 *	word_prompt(void *state, const char *text, uint64_t len)
 *	{
 *		const char *p = memmem(text, len, "xyzzy", 5);
 *
 *		if (p != NULL)
 *			host->report(host->cookie, &(struct chat_finding){
 *			    .size = sizeof(struct chat_finding),
 *			    .category = "illegal", .score = 1,
 *			    .start = p - text, .end = p - text + 5,
 *			    .rule = "xyzzy" });
 *		return (CHAT_FILTER_OK);
 *	}
 *
 *	static int32_t
 *	word_text(void *state, const char *prompt, uint64_t prompt_len,
 *	    const char *text, uint64_t len, int32_t final)
 *	{
 *		return (word_prompt(state, text, len));
 *	}
 *
 *	static void
 *	word_close(void *state)
 *	{
 *	}
 *
 *	struct chat_filter chat_filter = {
 *		.abi = CHAT_FILTER_ABI, .size = sizeof(struct chat_filter),
 *		.name = "word", .version = "1", .open = word_open,
 *		.prompt = word_prompt, .text = word_text, .close = word_close,
 *	};
 *
 * Build it with: cc -shared -fPIC -fvisibility=default -o word.so word.c
 *
 * Where a plugin runs.  The sandbox is on before the plugin is loaded:
 *  - while it is loaded and opened it may read the folders of the plugins,
 *    the system's libraries, and every file or folder whose absolute path is
 *    (a part, between colons, of) one of its options; nothing else, and it
 *    can write nothing;
 *  - once every plugin is open it can open no file at all;
 *  - never: network, new processes or threads, signals to others, writable
 *    memory made executable.  A call that is not allowed ends the process,
 *    and chatd then releases no text (it fails closed).
 * So read and compile everything in open, and touch only memory afterwards.
 * All calls come from one thread, one at a time.  A verdict is due within a
 * deadline (filter.timeout in chatd.yaml, 2 s unless configured), and address
 * space is limited (1 GiB).
 *
 * The file must belong to root or to the user of chatd, and neither it nor
 * its folder may be writable by anyone else.  It must not be a symbolic link.
 *
 * Versions.  The major number changes when old plugins stop working; a host
 * refuses another major version, and a newer minor one than its own.  New
 * members come only at the end of a struct, each with the version that
 * brought it; "size" says how much of a struct is there.
 */
#ifndef CHATD_FILTER_H
#define CHATD_FILTER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CHAT_FILTER_ABI_MAJOR	1u
#define CHAT_FILTER_ABI_MINOR	0u
#define CHAT_FILTER_ABI \
	((CHAT_FILTER_ABI_MAJOR << 16) | CHAT_FILTER_ABI_MINOR)

/* What open, prompt and text return. Anything but 0 counts as an error. */
#define CHAT_FILTER_OK		0
#define CHAT_FILTER_ERROR	(-1)

/* Levels of the host's log. */
#define CHAT_FILTER_WARN	1
#define CHAT_FILTER_INFO	2
#define CHAT_FILTER_DEBUG	3

/*
 * One finding, reported by the plugin; the host copies what it needs before
 * report returns.  All members since 1.0.
 */
struct chat_finding {
	uint32_t	 size;		/* sizeof(struct chat_finding) */
	uint32_t	 flags;		/* 0 */
	const char	*category;	/* one of the host's categories */
	double		 score;		/* 0..1: how sure */
	uint64_t	 start, end;	/* bytes of the text judged, start <=
					 * end <= len, at whole characters */
	const char	*rule;		/* what found it, for the operator:
					 * UTF-8, 1..128 bytes */
};

/*
 * What the host offers; borrowed by the plugin, valid from open until close
 * has returned.  All members since 1.0.
 */
struct chat_filter_host {
	uint32_t	 abi;		/* CHAT_FILTER_ABI of the host */
	uint32_t	 size;		/* sizeof(struct chat_filter_host) */
	void		*cookie;	/* first argument of every function */

	/* Slugs of the misuse categories, NULL behind the last. */
	const char	*const *categories;

	/*
	 * Report a finding about the text being judged: only inside prompt
	 * and text. A finding that is not as described above, or more than
	 * 4096 for one text, is taken as a failure of the plugin.
	 */
	void		(*report)(void *cookie, const struct chat_finding *);

	/*
	 * Write one line (UTF-8, NUL at the end) to chatd's log, at one of
	 * the levels above. Never log what users wrote.
	 */
	void		(*log)(void *cookie, int32_t level, const char *line);

	/*
	 * Say why open, prompt or text is about to return an error: one line
	 * that names the file and place, or the rule. The last one counts.
	 */
	void		(*fail)(void *cookie, const char *why);
};

/*
 * One option of the plugin from chatd.yaml. A number is its decimal text, a
 * truth value "true" or "false"; a list gives one option of the same key for
 * each item, in order. Borrowed: gone when open returns.
 */
struct chat_filter_option {
	const char	*key;		/* UTF-8, NUL at the end */
	const char	*value;		/* UTF-8, NUL at the end */
};

/*
 * The plugin. Texts are valid UTF-8 without NUL inside, "len" bytes long and
 * NUL-terminated behind that; they are borrowed and gone after the call.
 */
struct chat_filter {
	uint32_t	 abi;		/* 1.0: CHAT_FILTER_ABI when built */
	uint32_t	 size;		/* 1.0: sizeof(struct chat_filter) */
	const char	*name;		/* 1.0: as in the config; lives as
					 * long as the plugin */
	const char	*version;	/* 1.0: of the plugin, for people */

	/*
	 * 1.0: get ready, with n options. Store what the other calls need in
	 * *state (owned by the plugin, may stay NULL). An unknown option is
	 * an error. Returns CHAT_FILTER_OK, or CHAT_FILTER_ERROR after
	 * calling host->fail; close is then not called.
	 */
	int32_t		(*open)(const struct chat_filter_host *host,
			    const struct chat_filter_option *options,
			    uint64_t n, void **state);

	/*
	 * 1.0: judge what a user asks, whole: call host->report for each
	 * finding. Returns CHAT_FILTER_OK when the text has been judged (with
	 * or without findings). CHAT_FILTER_ERROR: no verdict, the text is
	 * not let through.
	 */
	int32_t		(*prompt)(void *state, const char *text,
			    uint64_t len);

	/*
	 * 1.0: judge the model's reply to "prompt" (len 0 where there is
	 * none). It is called as the reply grows, each time with the whole
	 * text so far; final is 1 with the last piece, else 0. Several
	 * replies may grow in turns, so keep nothing between calls. Spans
	 * are bytes of "text". Returns as prompt does.
	 */
	int32_t		(*text)(void *state, const char *prompt,
			    uint64_t prompt_len, const char *text,
			    uint64_t len, int32_t final);

	/* 1.0: release what open made. Nothing is called afterwards. */
	void		(*close)(void *state);

	/* 1.0: how many rules are loaded, for the operator. May be NULL. */
	uint64_t	(*rules)(void *state);
};

/* The symbol that a plugin exports. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
extern struct chat_filter chat_filter;

#ifdef __cplusplus
}
#endif
#endif
