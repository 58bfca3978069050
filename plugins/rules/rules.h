/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin "rules": packs of rules from YAML files, matched with PCRE2.
 *
 * A pack is one file:
 *
 *	pack: violence			# name: a-z 0-9 - _ . (at most 60)
 *	version: 1			# any text, for the log
 *	description: ...		# optional, for people
 *	rules:
 *	  - name: build-bomb		# as the pack's name; a finding has
 *					# the rule name "pack/name"
 *	    category: violence		# one of the host's slugs
 *	    score: 0.9			# 0..1
 *	    direction: prompt		# prompt, reply or both (default)
 *	    words: [make a bomb, pipe bomb*]
 *	    unless: 'bath bombs?'
 *	    note: ...			# optional, for people
 *
 * A rule has one of these keys, which say what it matches:
 *	words	 words and phrases (one, or a list).  They are folded like the
 *		 text and match at word boundaries; a space matches any white
 *		 space, a "*" at the end the rest of a word
 *	pattern	 a PCRE2 pattern (UTF, UCP, caseless), matched against the
 *		 folded text (fold.h); write it in folded letters
 *	all	 a list of 2 to 8 patterns, each of which must match
 * and may have these:
 *	near	 for "all": the most bytes of folded text between the match of
 *		 the first pattern and the others (1..1000; default 100)
 *	unless	 a pattern that cancels a match if it matches at most 64 bytes
 *		 before or after that match, or overlaps it
 *	raw	 true: match the original text, with case (for keys and
 *		 numbers, which folding would change)
 *
 * From the beginning of its match a pattern sees only its span (span.h), at
 * most 1024 bytes, as if the text ended there.  So a match at a place does not
 * depend on how the text was cut.  A match that lies inside an earlier match of
 * the same rule is not reported.
 *
 * Limits: 2000 rules, 500 words per rule, 4096 bytes per pattern.  At the match
 * limit of PCRE2 matching stops with an error: there is no verdict, and the
 * text is held.
 */
#ifndef RULES_H
#define RULES_H

#include <stddef.h>
#include <stdint.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "err.h"

#define RULES_MAX	2000	/* rules in all packs together */
#define RULES_WORDS	500	/* words of one rule */
#define RULES_WORD	200	/* bytes of one word or phrase */
#define RULES_PATTERN	4096	/* bytes of one pattern */
#define RULES_ALL	8	/* patterns of one "all" */
#define RULES_NAME	60	/* bytes of a name */

enum { RULE_PROMPT = 0x1, RULE_REPLY = 0x2 };

struct first;

/* A compiled pattern, the bytes that a match may see (span.h), and the bytes
 * that it can begin with (first.h). */
struct look {
	pcre2_code	*code;		/* owned, or NULL */
	struct first	*first;		/* owned; NULL: not known */
	size_t		 span;
};

struct rule {
	char		*name;		/* owned: "pack/name" */
	const char	*category;	/* borrowed: the host's */
	double		 score;
	unsigned	 directions;	/* RULE_... */
	int		 raw;
	struct look	 look[RULES_ALL];
	size_t		 n;		/* of look */
	size_t		 near;		/* bytes, for n > 1 */
	struct look	 unless;	/* code may be NULL */
	size_t		 before, after;	/* bytes around a match of look[0]
					 * that decide whether it counts */
};

struct rules {
	struct rule	*list;		/* owned */
	size_t		 n;
	int		 any_folded;	/* some rule needs the folded text */
	size_t		 window[2];	/* bytes that the rules for prompts and
					 * replies need before new text */
	size_t		 before[2];	/* and before a match */
	size_t		 hits;		/* RULES_HITS; tests change it */
	const char	*const *categories;	/* borrowed, NULL at the end */
	char		**packs;	/* owned: names of the packs read */
	size_t		 packs_n;
	pcre2_compile_context	*compile;	/* owned */
	pcre2_match_context	*context;	/* owned: the limits */
	pcre2_match_data	*match;		/* owned: one pair */
};

/* ---- rules.c */
/* Empty rules; categories is borrowed. rules_free(NULL) does nothing. */
struct rules	*rules_new(const char *const *categories);
void		 rules_free(struct rules *rs);

/* The number of bytes needed before new text. */
size_t		 rules_window(const struct rules *rs);

/* Release the members of a rule, also of a half-built one. */
void		 rule_clear(struct rule *r);

/* ---- rulepack.c */
struct ynode;

/* Add the pack in a YAML tree (borrowed); file is used in errors. */
int	 rulepack_read(struct rules *rs, const char *file, struct ynode *root,
	    struct fault *f);

/* ---- rules_files.c */
/* Add the packs at path: a file, or the files *.yaml of a folder, sorted by
 * name. 0, or an error with the file, line and column in f->message. */
int	 rules_load(struct rules *rs, const char *path, struct fault *f);

/* Add one pack from memory; name is used in errors. */
int	 rules_parse(struct rules *rs, const char *name, const char *text,
	    size_t len, struct fault *f);

/* ---- rules_match.c */
/*
 * Run every rule of that direction (RULE_PROMPT or RULE_REPLY) over len bytes
 * of valid UTF-8 and call found with each match. It is called at most
 * RULES_HITS times for one rule: if there are more matches, the last call
 * covers all the others, from the first to the last of them. 0, or CHAT_ETOOBIG
 * if a rule reached a limit (f names it); there is no verdict then.
 */
int	 rules_match(struct rules *rs, unsigned direction, const char *text,
	    size_t len, void (*found)(void *arg, const struct rule *rule,
	    uint64_t start, uint64_t end), void *arg, struct fault *f);

#define RULES_HITS	16	/* matches of a rule reported singly */
#define RULES_HITS_ALL	2000	/* of all rules; then one per rule */
#define RULES_UNLESS	64	/* bytes around a match that "unless" sees */

/* A piece of a text. */
struct rules_piece {
	const char	*text;		/* borrowed: valid UTF-8, then NUL */
	size_t		 len;
	size_t		 fresh;		/* bytes matched in earlier pieces */
	size_t		 settled;	/* of those: settled; 0: not known */
	int		 begins;	/* nothing stands before it */
	int		 ends;		/* nothing follows */
};

/*
 * Run the rules over a piece, as rules_match does over a text. If it does not
 * begin the text, rules_window bytes of it must have been matched before. All
 * pieces of a text together report what rules_match reports of the whole, each
 * match with the first piece that makes it certain. Matches between "settled"
 * and "fresh" may be reported again. *settled is the number of bytes at the
 * beginning of the piece that can't be part of a match still to be reported.
 * (The whole text may give another result if a rule has more than RULES_HITS
 * matches in one piece, or if invisible characters spread a few letters over
 * more than the window.)
 */
int	 rules_match_piece(struct rules *rs, unsigned direction,
	    const struct rules_piece *p, void (*found)(void *arg,
	    const struct rule *rule, uint64_t start, uint64_t end), void *arg,
	    size_t *settled, struct fault *f);

#define RULES_MARGIN	400	/* of the window, for folding */

#endif
