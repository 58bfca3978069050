/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin "rules": packs of rules from YAML files, matched with PCRE2.
 *
 * A pack is one file:
 *
 *	pack: violence			# name: a-z 0-9 - _ . (at most 60)
 *	version: 1			# a number, for people
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
 * In "pattern", "all" and "unless" a placeholder stands for a longer pattern:
 *	{{object}}  between a verb and its object: spaces, articles and the
 *		 like, and at most three words that can belong to the object
 *		 ("some cheap home-made", "a piece of"), but no preposition,
 *		 conjunction or pronoun
 *	{{head}}  after a noun that does not begin a longer harmless one
 *		 ("murder mystery", "bomb disposal")
 *	{{harmless}}  for "unless": words that report or object ("how did", "in
 *		 the movie", "wrong with", "consequences of", "prevent")
 * A rule may also have these:
 *	near	 for "all": the most bytes of folded text between the match of
 *		 the first pattern and the others (1..1000; default 100)
 *	unless	 a pattern that cancels a match if it governs it: it matches at
 *		 most 64 bytes before or after that match, or overlaps it, and
 *		 in the same clause (govern.h), and is not negated ("do not
 *		 stop", "without being detected")
 *	raw	 true: match the original text, with case (for keys and
 *		 numbers, which folding would change)
 *	proven	 true, with raw: a check digit or a fixed format proves what
 *		 the rule finds.  Then "unless" counts only inside the match
 *	tests	 a map with the lists "match" and "pass": texts in which the
 *		 rule must find something, or nothing (rules_selftest)
 *
 * A rule is tried only where its first pattern can match: one of its literals
 * (literal.h) must stand there, and the first bytes must fit (first.h).  One
 * pass over a text finds the literals of all rules (prefilter.h).
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
#include "prefilter.h"

#define RULES_MAX	2000	/* rules in all packs together */
#define RULES_WORDS	500	/* words of one rule */
#define RULES_WORD	200	/* bytes of one word or phrase */
#define RULES_PATTERN	4096	/* bytes of one pattern */
#define RULES_ALL	8	/* patterns of one "all" */
#define RULES_TESTS	100	/* texts of one list of "tests" */
#define RULES_NAME	60	/* bytes of a name */

enum { RULE_PROMPT = 0x1, RULE_REPLY = 0x2 };

struct first;

/* A compiled pattern, the bytes that a match may see (span.h), the bytes that
 * it can begin with (first.h), and what must be in it (literal.h). */
struct look {
	pcre2_code	*code;		/* owned, or NULL */
	struct first	*first;		/* owned; NULL: not known */
	struct literals	*literals;	/* owned; NULL: none, or not needed */
	size_t		 span;
	int		 filtered;	/* its literals are in the prefilter */
	size_t		 rule;		/* as the literals of this rule */
};

struct rule {
	char		*name;		/* owned: "pack/name" */
	const char	*category;	/* borrowed: the host's */
	double		 score;
	unsigned	 directions;	/* RULE_... */
	int		 raw;
	int		 proven;	/* "unless" counts only inside it */
	char		**match, **pass;	/* owned, NULL at the end: texts
					 * of "tests"; NULL: none */
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
	struct prefilter *filter[2][2];	/* owned: [raw][reply] */
	size_t		 filtered;	/* rules when they were built */
	struct prefilter_hits hits_raw, hits_folded, hits_all;	/* scratch */
	char		**packs;	/* owned: names of the packs read */
	size_t		 packs_n;
	char		*unread;	/* owned, or NULL: a *.yml of a folder,
					 * which is not read */
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

/* Build the prefilter for all rules read so far. Matching does it too if it has
 * not been done. */
void		 rules_prepare(struct rules *rs);

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

/* ---- rules_selftest.c */
/* Match the texts of every rule's "tests" with that rule. 0, or CHAT_EFORMAT
 * with the rule and the text in f->message. */
int	 rules_selftest(struct rules *rs, struct fault *f);

#endif
