/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes dialogues from templates (engine/mini/templates) and a corpus, for
 * training and for measuring.  A document is a function of a seed.
 *
 * A part of the templates and fillers is held out: training never sees them,
 * measuring uses nothing else.  Template lines that begin with "~ " are held
 * out; of words of the corpus and made-up names, one in eight by a hash.
 *
 *   gen.c         template files      gen_corpus.c   the corpus
 *   gen_check.c   whether they are complete
 *   gen_text.c    filling gaps        gen_chat.c     sessions of small talk
 *   gen_task.c    tables, questions on a text, sentiment
 *   gen_vary.c    other ways to say something
 */
#ifndef TUNE_GEN_H
#define TUNE_GEN_H

#include <regex.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "err.h"
#include "growbuf.h"

enum gen_role { GEN_SAID, GEN_REPLY, GEN_CONTEXT, GEN_PLAIN };

/* A turn: GEN_CONTEXT is a reply that is not to be learnt, GEN_PLAIN text
 * without roles. */
struct gen_turn {
	enum gen_role	 role;
	char		*text;		/* owned */
};

struct gen_doc {
	struct gen_turn	*turn;		/* owned */
	size_t		 n, size;
	size_t		 bytes;		/* of all texts, about */
};

/* A line of a template file. */
struct gen_entry {
	char		*key, *text;	/* owned */
	int		 held;
	int		 group;		/* entries between empty lines */
};

/* A section of a template file: "@kind name weight". */
struct gen_section {
	char			*kind, *name;	/* owned */
	char			*where;		/* owned: file, line and name;
						 * NULL: of the corpus */
	double			 weight;
	struct gen_entry	*e;		/* owned */
	size_t			 n;
	int			 groups;
	regex_t			 after;		/* of the key "after" */
	int			 has_after;
	char			*need, *unless;	/* owned: session variables, or
						 * NULL */
};

/* Words or sentences to choose from. */
struct gen_list {
	char		*name;		/* owned */
	char		*where;		/* owned: as of a section */
	char		**item;		/* owned */
	uint8_t		*held;		/* owned: by item */
	size_t		 n, size;
};

/* A labelled sentence. */
struct gen_opinion {
	char		*text;		/* owned */
	int		 label;		/* 0 negative, 1 neutral, 2 positive */
	int		 held;
};

/* A dialogue of the corpus. */
struct gen_talk {
	char		**turn;		/* owned */
	size_t		 n;
};

/* A reply that reacts to something that was said. */
struct gen_react {
	const char	*said, *reply;	/* borrowed */
};

struct gen {
	struct gen_section	*section;	/* owned */
	size_t			 sections;
	struct gen_list		*list;		/* owned */
	size_t			 lists;
	json_t			*by_name;	/* owned: index of each list */
	struct gen_opinion	*opinion;	/* owned */
	size_t			 opinions;
	size_t			 usable[2][2];	/* of them, by whether held out
						 * and whether neutral ones are
						 * left out */
	struct gen_talk		*talk;		/* owned: persons talking */
	size_t			 talks;
	struct gen_react	*react;		/* owned */
	size_t			 reacts;
	int			 corpus;	/* a corpus was read */
};

/* The state of one document. */
#define GEN_VARS	64
struct gen_ctx {
	const struct gen	*g;
	uint64_t		 rng;
	int			 test;		/* use what is held out */
	struct {
		char	*name, *value;		/* owned */
		int	 session;		/* outlives its block */
	} var[GEN_VARS];
	int			 vars;
	struct gen_doc		*doc;		/* borrowed */
};

/*
 * Read all template files (*.txt) of a folder, and the corpus (NULL: none).
 * Returns 0 and *out (owned), or an error with *f filled.
 */
int	 gen_open(const char *templates, const char *corpus,
	    struct gen **out, struct fault *f);
void	 gen_free(struct gen *g);

/* The document of a seed: a session of about `bytes` bytes, or with `plain`
 * natural text. */
void	 gen_document(const struct gen *g, uint64_t seed, size_t bytes,
	    int plain, struct gen_doc *doc);

/*
 * A test of a task: "sentiment", "opinion" (real sentences), "table", "spans"
 * or "memory", from what is held out. Each GEN_REPLY of doc is an expected
 * reply; *family (borrowed from g, or static) names its phrasing. Returns 0, or
 * CHAT_ENOTFOUND: there is no such task.
 */
int	 gen_test(const struct gen *g, const char *task, uint64_t seed,
	    struct gen_doc *doc, const char **family);
void	 gen_doc_clear(struct gen_doc *doc);

/*
 * Another way to say something, of a seed: another phrasing, if a section
 * "@vary" recognises it, with words before or after it and slips of typing. In
 * a test, a phrasing that is held out and nothing else; NULL: there is none.
 * Owned.
 */
char	*gen_vary(const struct gen *g, uint64_t seed, int test,
	    const char *text);

/* For the files named above. */
int	 gen_read_folder(struct gen *g, const char *path, struct fault *f);
int	 gen_read_corpus(struct gen *g, const char *path, struct fault *f);
struct gen_list *gen_list_make(struct gen *g, const char *name);
void	 gen_list_add(struct gen_list *l, const char *s, int held);
const struct gen_list *gen_list_find(const struct gen *g, const char *name);
int	 gen_check(const struct gen *g, struct fault *f);
int	 gen_table_check(const struct gen_section *s, struct fault *f);
size_t	 gen_gap(const char *s, size_t n, int *bars);
void	 gen_ctx_init(struct gen_ctx *c, const struct gen *g, uint64_t seed,
	    int test, struct gen_doc *doc);
void	 gen_ctx_clear(struct gen_ctx *c);
uint32_t gen_below(struct gen_ctx *c, size_t n);
int	 gen_chance(struct gen_ctx *c, double p);
const char *gen_var(const struct gen_ctx *c, const char *name);
void	 gen_bind(struct gen_ctx *c, const char *name, const char *value);
void	 gen_forget(struct gen_ctx *c);
char	*gen_fill(struct gen_ctx *c, const char *text);
const char *gen_choice(struct gen_ctx *c, const char *list);
char	*gen_draw(struct gen_ctx *c, const char *list);
const struct gen_entry *gen_pick(struct gen_ctx *c,
	    const struct gen_section *s, int group, const char *key);
const struct gen_section *gen_kind(struct gen_ctx *c, const char *kind);
char	*gen_typed(struct gen_ctx *c, char *s, int gently);
char	*gen_wrapped(struct gen_ctx *c, char *s);
char	*gen_capital(char *s);
void	 gen_say(struct gen_doc *doc, enum gen_role role, char *text);
int	 gen_held(const char *s);
void	 gen_append(struct textbuf *b, char *s);
char	*gen_ended(struct textbuf *b);
char	*gen_half(struct gen_ctx *c, const char *s, int second);
int	 gen_table(struct gen_ctx *c, const char **family);
void	 gen_session(struct gen_ctx *c, size_t bytes);
void	 gen_plain(struct gen_ctx *c, size_t bytes);
int	 gen_memory(struct gen_ctx *c);
int	 gen_task(struct gen_ctx *c, const char *name, const char **family);

#endif
