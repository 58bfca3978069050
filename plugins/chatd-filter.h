/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface of chatd's misuse filters, version 1.2.
 *
 * A filter plugin is a shared object with one exported symbol, chat_filter, of
 * the type struct chat_filter below.  chatd-filter, a sandboxed process, opens
 * it, passes the prompts of users and the replies of the model to it, and
 * passes its findings on to chatd.  A plugin reports findings, each with a
 * score for how certain it is.  The policy in chatd.yaml decides what follows:
 * flag, redact or block.
 *
 * chatd-filter(3) explains a whole plugin, the one in plugins/sample.
 *
 * Where a plugin runs.  The sandbox is on before the plugin is loaded:
 *  - While it is loaded and opened it can read the folders of the plugins, the
 *    system's libraries, and each file or folder that its options name by an
 *    absolute path.  An option may name several, with colons between them.  It
 *    can read nothing else, and write nothing.
 *  - After every plugin is open it can open no file at all.
 *  - It never has the network, new processes or threads, signals to others, or
 *    memory that is writable and executable.  A call that is not allowed ends
 *    the process, and chatd then releases no text (it fails closed).
 * So read and compile everything in open, and touch only memory afterwards.
 * A verdict is due within a deadline (filter.timeout in chatd.yaml, 2 s unless
 * configured), and address space is limited (1 GiB).
 *
 * Threads.  All calls come from one thread, one at a time.  The plugin is not
 * called while another call of it runs, not even from a function of the host.
 * A plugin can't start threads.
 *
 * Memory.  Each side releases what it allocated.  What the host passes (texts,
 * pieces, options, blobs) is gone when the call returns; only the host itself
 * lives until close returns.  What the plugin passes to the host is copied
 * before the function returns.  *state belongs to the plugin from open to
 * close, and *text_state from text_begin to text_end.
 *
 * The file must belong to root or to the user of chatd, and neither it nor
 * its folder may be writable by anyone else.  It must not be a symbolic link.
 *
 * How texts come.  A text is judged while it grows, in pieces, by the function
 * "part".  Each piece has the new text, and before it the last bytes that were
 * judged earlier, as many as the plugin's window.  So the cost of a check does
 * not grow with the text.  A plugin reports a finding as soon as no more text
 * can change it.  It calls host->unsettled with the first byte from which the
 * text could still become part of a finding.  chatd holds back the text from
 * there on, and shows the rest.  A plugin of version 1.0 has no "part": it gets
 * the whole text each time, and chatd holds back a fixed number of bytes
 * (filter.hold).
 *
 * What a plugin remembers.  Between two pieces of one text it may keep a state
 * (text_begin, text_end), so that its sums continue where they were.  If a text
 * comes to a fresh process, because the old one crashed or was replaced, the
 * process gets the text from its beginning, and must reach the same findings:
 * so a state may depend on nothing but the text.  Between texts a plugin may
 * keep counters in its own state.  If it has save and restore, they outlive a
 * crash and a reload, but not chatd itself.
 *
 * The order.  The plugins of one process run in the order of chatd.yaml, and
 * each knows the highest scores of those before it (score, scores).  A slow one
 * can ask to be called only if those before it are unsure (band).  Each can let
 * the findings of those before it count less (lower).
 *
 * Versions.  The major number changes when old plugins stop working; a host
 * refuses another major version, and a newer minor one than its own.  New
 * members come only at the end of a struct, each with the version that
 * brought it; "size" says how much of a struct is there.
 *  1.0  open, prompt, text, close, rules; report, log, fail
 *  1.1  pieces: flags, window, part, struct chat_filter_part; unsettled
 *  1.2  state of a text: text_begin, text_end, struct chat_filter_text;
 *       self-test: selftest; state that outlives a process: save, restore;
 *       findings that explain themselves: detail, struct chat_feature,
 *       CHAT_FILTER_PROVEN; tiers: band, lower, struct chat_lower, score,
 *       scores, missed; who speaks and when: account, now.
 * 1.2 is the last version of 1.x.  A plugin of 1.0 or 1.1 runs unchanged.
 */
#ifndef CHATD_FILTER_H
#define CHATD_FILTER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CHAT_FILTER_ABI_MAJOR	1u
#define CHAT_FILTER_ABI_MINOR	2u
#define CHAT_FILTER_ABI \
	((CHAT_FILTER_ABI_MAJOR << 16) | CHAT_FILTER_ABI_MINOR)

/* 1.0: the results of every function that returns int32_t. Every value other
 * than 0 counts as an error. */
#define CHAT_FILTER_OK		0
#define CHAT_FILTER_ERROR	(-1)

/* 1.0: levels of the host's log. */
#define CHAT_FILTER_WARN	1
#define CHAT_FILTER_INFO	2
#define CHAT_FILTER_DEBUG	3

/* 1.1: the flags of a plugin. */
#define CHAT_FILTER_READS_PROMPT	0x1u	/* part looks at "prompt" */

/* 1.1: the largest window, in bytes. */
#define CHAT_FILTER_WINDOW_MAX	65536u

/* 1.2: the flags of a finding. */
#define CHAT_FILTER_PROVEN	0x1u	/* a checksum or the like shows that
					 * the finding is true: no other
					 * plugin can lower it */

/* 1.2: bounds. */
#define CHAT_FILTER_FEATURES_MAX	16u	/* features of a finding */
#define CHAT_FILTER_BLOB_MAX		65536u	/* bytes that save may give */

/*
 * 1.2: a feature that spoke for a finding, or against it.  It has no "size",
 * because it never gets another member.  The host shows features to those who
 * may see the text, in the order given: put the heaviest first.
 */
struct chat_feature {
	const char	*name;		/* what spoke, as people can read it
					 * ("make a bomb"): UTF-8, 1 to 128
					 * bytes, then NUL */
	double		 weight;	/* what it added: finite, in a unit of
					 * the plugin (log odds are usual);
					 * negative: it spoke against */
	uint64_t	 start, end;	/* its place, as in struct
					 * chat_finding; start = end: none */
};

/*
 * One finding.  The plugin owns it and its strings; the host copies what it
 * needs before report returns.  Members without a version came with 1.0.
 */
struct chat_finding {
	uint32_t	 size;		/* sizeof(struct chat_finding) */
	uint32_t	 flags;		/* 1.2: CHAT_FILTER_PROVEN, or 0 */
	const char	*category;	/* one of the host's categories */
	double		 score;		/* 0 (no) to 1 (certain) */
	uint64_t	 start, end;	/* bytes of the judged text: start <=
					 * end <= len; both are starts of
					 * characters, or len */
	const char	*rule;		/* the rule's name, for the operator:
					 * UTF-8, 1 to 128 bytes, then NUL */
	/* 1.2: what spoke, at most CHAT_FILTER_FEATURES_MAX; may be NULL with
	 * 0. One check keeps 512 features of all plugins in the process; more
	 * are left out. */
	const struct chat_feature *detail;
	uint64_t	 features;	/* 1.2: number of them */
};

/*
 * 1.2: earlier findings that count less.  The plugin owns it.  It never gets
 * another member after 1.2.
 */
struct chat_lower {
	uint32_t	 size;		/* sizeof(struct chat_lower) */
	uint32_t	 reserved;	/* 0 */
	const char	*category;	/* NULL: every category */
	double		 score;		/* 0 to 1: the most they count */
	uint64_t	 start, end;	/* bytes of the judged text: findings
					 * that lie inside */
};

/*
 * The host, and the functions that a plugin can call.  The host owns the
 * struct.  The plugin may use it from the call of open until close returns, and
 * only on the thread on which the host calls.  Members without a version came
 * with 1.0.
 */
struct chat_filter_host {
	uint32_t	 abi;		/* CHAT_FILTER_ABI of the host */
	uint32_t	 size;		/* sizeof(struct chat_filter_host) */
	void		*cookie;	/* of the host: pass it as the first
					 * argument of every function */

	/* Slugs of the misuse categories, with NULL after the last. */
	const char	*const *categories;

	/*
	 * Report a finding about the text being judged. Call it only inside
	 * prompt, text and part. A finding that is not as described here is
	 * a failure of the plugin, and the host ends. One check may have 4096
	 * findings of all plugins in the process; a plugin that reports more
	 * makes that check fail, and no finding of the check is used.
	 */
	void		(*report)(void *cookie, const struct chat_finding *);

	/*
	 * Write one line (UTF-8, NUL at the end) to chatd's log, at one of
	 * the levels above. Never log what users wrote.
	 */
	void		(*log)(void *cookie, int32_t level, const char *line);

	/*
	 * Give the reason before a function returns an error:
	 * one line (UTF-8, NUL at the end, the first 299 bytes count) that
	 * names the file and place, or the rule. The host copies it. The last
	 * call counts.
	 */
	void		(*fail)(void *cookie, const char *why);

	/*
	 * 1.1: say that the judged text is unsettled from byte "from" on:
	 * with more text it could be part of a finding that is not reported
	 * yet. "from" is the start of a character, 0 to len. Call it only
	 * inside part. Of several calls the smallest "from" counts. Without
	 * a call all of the text is settled. After the final piece all of
	 * the text is settled too.
	 */
	void		(*unsettled)(void *cookie, uint64_t from);

	/*
	 * 1.2: ask to be called only while the highest score of the plugins
	 * before this one, in this text so far, is from low to high (0 <= low
	 * <= high <= 1). No finding counts as 0. Call it only inside open.
	 * Without a call the plugin gets every piece. A text can enter the
	 * band late, when a part of it has been judged already: then the
	 * plugin gets the next piece, in which all that it has not seen is
	 * new (fresh, missed).
	 */
	void		(*band)(void *cookie, double low, double high);

	/*
	 * 1.2: let findings of the plugins before this one count less: those
	 * reported in this check, and those that were reported earlier in
	 * this text. Findings with CHAT_FILTER_PROVEN keep their score, and so
	 * do findings of other processes. What has been shown or blocked
	 * already stays so. Call it only inside prompt, text and part. One
	 * check may have 64 calls by all plugins in the process; more are
	 * ignored.
	 */
	void		(*lower)(void *cookie, const struct chat_lower *);
};

/*
 * 1.2: a text whose judging begins.  The host owns it and its strings.
 */
struct chat_filter_text {
	uint32_t	 size;		/* sizeof(struct chat_filter_text) */
	int32_t		 reply;		/* as in struct chat_filter_part */
	int32_t		 again;		/* 1: another process has judged a
					 * part of this text already, so don't
					 * count it twice */
	uint32_t	 reserved;	/* 0 */
	uint64_t	 account;	/* as in struct chat_filter_part */
	uint64_t	 now;		/* the same */
	const char	*prompt;	/* the same */
	uint64_t	 prompt_len;	/* the same */
};

/*
 * 1.1: a piece of a text to judge.  The bytes text[fresh..len) are new.  The
 * bytes text[0..fresh) were judged before and are context: all of the text so
 * far, or at least the window.  The bytes text[0..settled) were settled by
 * earlier checks of this text and need not be searched again.  The host owns
 * the piece and its strings, which are valid UTF-8 with a NUL after the last
 * byte and none before; they are gone when part returns.  Members without
 * a version came with 1.1.
 */
struct chat_filter_part {
	uint32_t	 size;		/* sizeof(struct chat_filter_part) */
	int32_t		 reply;		/* 1: from the model's reply to
					 * "prompt"; 0: from a user's prompt */
	int32_t		 final;		/* 1: nothing follows */
	uint32_t	 reserved;	/* 0 */
	uint64_t	 offset;	/* bytes of the whole text before text;
					 * 0: this is its beginning */
	const char	*text;
	uint64_t	 len;		/* bytes of text, without the NUL */
	uint64_t	 fresh;		/* at the start of a character */
	uint64_t	 settled;	/* no new finding begins before it;
					 * 0 to fresh, 0 if not known */
	const char	*prompt;	/* "" if there is none, or without
					 * CHAT_FILTER_READS_PROMPT */
	uint64_t	 prompt_len;	/* bytes of prompt */
	void		*text_state;	/* 1.2: of text_begin, or NULL */
	/* 1.2: who wrote the prompt, or asked for the reply: the same number
	 * for all texts of an account while chatd runs; it changes when chatd
	 * starts again. 0: not known. It says nothing else about the account:
	 * a plugin may come from a stranger, and needs only to know which
	 * texts come from the same account. */
	uint64_t	 account;
	uint64_t	 now;		/* 1.2: milliseconds of a clock that
					 * never goes back, also not when
					 * chatd starts again */
	/* 1.2: bytes of the whole text that this plugin has not seen and that
	 * text no longer has: they stand before text. 0 without a band. */
	uint64_t	 missed;
	/* 1.2: the highest score that the plugins before this one in its
	 * process have reported in this text so far, as they reported it; and
	 * the highest of each category, in the order of the host's. */
	double		 score;
	const double	*scores;
};

/*
 * 1.0: one option of the plugin from chatd.yaml.  A number is given as decimal
 * text, a truth value as "true" or "false".  A list gives one option for each
 * item, in order, all with the same key.  The host owns the strings; they are
 * gone when open returns.
 */
struct chat_filter_option {
	const char	*key;		/* UTF-8, NUL at the end */
	const char	*value;		/* UTF-8, NUL at the end */
};

/*
 * The plugin.  Texts are valid UTF-8 of "len" bytes, with a NUL after the last
 * byte and none before.  The host owns them; they are gone after the call.
 */
struct chat_filter {
	uint32_t	 abi;		/* 1.0: CHAT_FILTER_ABI when built */
	uint32_t	 size;		/* 1.0: sizeof(struct chat_filter) */
	const char	*name;		/* 1.0: as in the config; lives as
					 * long as the plugin */
	const char	*version;	/* 1.0: of the plugin, for people */

	/*
	 * 1.0: start the plugin with n options. Store what the other calls
	 * need in *state (owned by the plugin, may stay NULL). An unknown
	 * option is an error. Returns CHAT_FILTER_OK, or CHAT_FILTER_ERROR
	 * after calling host->fail; close is then not called.
	 */
	int32_t		(*open)(const struct chat_filter_host *host,
			    const struct chat_filter_option *options,
			    uint64_t n, void **state);

	/*
	 * 1.0: judge a user's whole prompt: call host->report for each
	 * finding. Returns CHAT_FILTER_OK if the text has been judged, with
	 * or without findings. CHAT_FILTER_ERROR means that there is no
	 * verdict, and the text is not let through. If the plugin has a
	 * "part", prompt is not called and may be NULL.
	 */
	int32_t		(*prompt)(void *state, const char *text,
			    uint64_t len);

	/*
	 * 1.0: judge the model's reply to "prompt" (prompt_len is 0 if there
	 * is none). The host calls it as the reply grows, each time with the
	 * whole text so far; final is 1 in the last call, else 0. Several
	 * replies may grow in turns, so keep nothing between calls. Spans
	 * are bytes of "text". Returns as prompt does. If the plugin has a
	 * "part", text is not called and may be NULL.
	 */
	int32_t		(*text)(void *state, const char *prompt,
			    uint64_t prompt_len, const char *text,
			    uint64_t len, int32_t final);

	/* 1.0: release what open made. No other function is called after it. */
	void		(*close)(void *state);

	/* 1.0: the number of loaded rules, for the operator. May be NULL. */
	uint64_t	(*rules)(void *state);

	/* 1.1: CHAT_FILTER_... flags, or 0; the other bits are 0. */
	uint32_t	 flags;
	uint32_t	 reserved;	/* 1.1: 0 */

	/*
	 * 1.1: the number of bytes before the new text that part needs: the
	 * longest span of a finding, and the bytes that a rule looks back at
	 * before it. At most CHAT_FILTER_WINDOW_MAX. Called once, after open.
	 * Not NULL if the plugin has a "part".
	 */
	uint64_t	(*window)(void *state);

	/*
	 * 1.1: judge the next piece of a text. If it is NULL, prompt and
	 * text judge whole texts. Several texts may grow in turns: what is
	 * kept between calls belongs into text_state.
	 *
	 * Report each finding at the latest in the call in which no more text
	 * can change it: a match that could grow, or that the next character
	 * could undo, waits, and is unsettled until then. Findings must not
	 * depend on where the text was cut: if offset is above 0, the
	 * beginning of text may be the middle of a word, and serves only to
	 * look back at. A finding of the context may be reported again. With
	 * final set everything is certain. Spans are bytes of "text". Returns
	 * as prompt does.
	 */
	int32_t		(*part)(void *state,
			    const struct chat_filter_part *part);

	/*
	 * 1.2: begin a text: store what part needs in *text_state (NULL
	 * before the call, and may stay so). The pieces of the text follow,
	 * from its first byte and without a gap (but see band). Both or
	 * neither of text_begin and text_end are NULL; a plugin that has them
	 * has a part. An error means that there is no verdict; text_end is
	 * then not called.
	 */
	int32_t		(*text_begin)(void *state,
			    const struct chat_filter_text *text,
			    void **text_state);

	/* 1.2: release what text_begin made: the text is complete, or will
	 * not be continued. Called for every text before close. */
	void		(*text_end)(void *state, void *text_state);

	/*
	 * 1.2: check that the plugin works, for example with the examples of
	 * a rule pack. Called once, after all plugins are open and the second
	 * stage of the sandbox is on: when chatd starts, by chatd -t, and at a
	 * reload before the old process is replaced. Returns CHAT_FILTER_OK,
	 * or CHAT_FILTER_ERROR after calling host->fail: chatd then lets no
	 * text pass, or keeps the old process. It reports no findings. May be
	 * NULL. The plugins of a process have 25 s in all to be loaded and
	 * opened and to test themselves.
	 */
	int32_t		(*selftest)(void *state);

	/*
	 * 1.2: write what the next process needs to know into blob, of room
	 * (CHAT_FILTER_BLOB_MAX) bytes, and return how many were written; 0:
	 * nothing. chatd calls it about a second after a text was judged, and
	 * keeps the last blob in memory, never in a file. What changed after
	 * that is lost in a crash. Both or neither of save and restore are
	 * NULL.
	 */
	uint64_t	(*save)(void *state, void *blob, uint64_t room);

	/*
	 * 1.2: take over a blob of save, which an earlier process of this
	 * plugin has written: perhaps another version of the plugin, perhaps
	 * while it was failing, so check it. Called once, after selftest, if
	 * there is a blob. After an error the plugin goes on without it, as
	 * open left it. If the process ends in this call, the blob is thrown
	 * away.
	 */
	int32_t		(*restore)(void *state, const void *blob,
			    uint64_t len);
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
