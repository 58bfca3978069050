/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exports: what stored dialogues and ratings become, one line after another.
 * For the files export*.c, and for those who run an export.
 */
#ifndef DAEMON_EXPORT_H
#define DAEMON_EXPORT_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "pseudonym.h"
#include "store.h"
#include "vocabulary.h"

#define EXPORT_PIECE	(256 * 1024)	/* bytes; one more line may follow */
#define EXPORT_BUCKETS	8		/* of token lengths */

/* What to write. Strings are borrowed; NULL: no such filter. */
struct export_options {
	const char	*format;	/* one of vocabulary_formats */
	int64_t		 uid;		/* the data of this user; -1: of all */
	int64_t		 since, until;	/* ms since 1970 UTC of the reply,
					 * [since..until); 0: no bound */
	const char	*rating;	/* one of vocabulary_choices */
	const char	*reason;	/* one of vocabulary_reasons */
	const char	*category;	/* one that a filter has found */
	const char	*model;		/* its name or its digest */
	const char	*user;		/* an account name or a uid */
	const char	*split;		/* "train" or "heldout" */
	int64_t		 heldout;	/* per cent of the conversations */
	int		 consent;	/* only of those who have said yes */
	int		 bare;		/* no metadata */
	int		 sidecar;	/* nothing but the metadata */
	int		 unique;	/* each text once */
	int		 trailer;	/* a NUL and the manifest at the end */
};

/* The filter "rating", in the order of vocabulary_choices. Without it, formats
 * of examples have RATING_VOUCHED, and formats of records RATING_ALL. */
enum export_rating { RATING_VOUCHED, RATING_GOOD, RATING_BAD, RATING_NEUTRAL,
	RATING_ANY, RATING_NONE, RATING_IDEAL, RATING_ALL };

/* Why rows are missing: counted for the manifest. */
enum export_lack { LACK_CUT, LACK_CONTEXT, LACK_RUNNING, LACK_UNSEEN,
	LACK_PAIR, LACK_DUPLICATE, LACKS };

/* A reply, as far as it is known without its texts. */
struct export_reply {
	int64_t		 id;
	size_t		 turn;		/* its exchange */
	size_t		 bytes;		/* of its text */
	int64_t		 dropped;	/* messages that the model did not
					 * read */
	int64_t		 ideal;		/* the rating with the ideal text that
					 * counts, or 0 */
	int64_t		 tokens;	/* of prompt and reply */
	signed char	 thumb;		/* that counts; 0 if disputed */
	unsigned char	 rated;
	unsigned char	 done;		/* its end is known and good */
	unsigned char	 shown;		/* its reader has seen text of it */
	unsigned char	 cut;		/* it ends before its end */
	unsigned char	 running;
	unsigned char	 wanted;	/* the filters let it pass */
	unsigned char	 covered;	/* it is in a row already */
};

/* A turn: an exchange, with its replies[first..first + n). */
struct export_turn {
	int64_t		 id;
	size_t		 bytes;		/* of its prompt */
	uint64_t	 preprompt;	/* a hash of it */
	size_t		 first, n;
	int		 topic;		/* the model read nothing before it */
};

/* A conversation, or a raw prompt as one with a single turn. */
struct export_dialogue {
	int64_t			 id;	/* of the conversation, or 0 */
	char			*name;	/* owned: its UUID; NULL: raw */
	char			*user;	/* owned: a pseudonym */
	const char		*split;	/* static: "train" or "heldout" */
	struct export_turn	*turn;	/* owned */
	size_t			 nturns;
	struct export_reply	*reply;	/* owned */
	size_t			 nreplies;
};

/* What the manifest counts. */
struct export_counts {
	int64_t		 rows, conversations, raw;
	int64_t		 good, neutral, bad, unrated, ideals;
	int64_t		 reasons[8];	/* in the order of the vocabulary */
	int64_t		 lacks[LACKS];
	int64_t		 labels[2];	/* kto: false, true */
	int64_t		 tokens[EXPORT_BUCKETS];
};

/* A running export. */
struct export {
	struct store		 st;	/* only db, path and statements */
	const struct export_options *opt;	/* borrowed */
	enum export_rating	 rating;
	FILE			*out;	/* owned: the piece being read */
	int64_t			 uid;	/* as in opt */
	int64_t			 exchange, reply, rated; /* highest ids at the
							  * start */
	int64_t			 last;	/* set by the format: last id read */
	const char		*between; /* static: before each row but the
					 * first one; NULL: nothing */
	const char		*begin;	/* static: before the first one */
	int			 raw;	/* the conversations are done */
	int			 pieces; /* number of pieces written */
	unsigned char		 key[PSEUDONYM_KEY];	/* of the pseudonyms */
	struct export_counts	 counts;
	uint64_t		*seen;	/* owned: hashes of rows, 0: free */
	size_t			 nseen, seen_size;
};

/* ---- export.c */

/*
 * Write an export of the database at path to out, as the database is now. Rows
 * are written in pieces, each in a transaction of its own. If manifest is not
 * NULL, *manifest becomes a new reference. Returns 0, CHAT_ECLOSED if nobody
 * reads out any more, or another error; *f is filled.
 */
int	 export_make(const struct export_options *opt, const char *path,
	    FILE *out, json_t **manifest, struct fault *f);

/* Check the words in opt. Returns 0, or CHAT_EFORMAT with *f filled: code
 * bad_field, and the field. */
int	 export_check(const struct export_options *opt, struct fault *f);

/* Has the piece reached EXPORT_PIECE bytes? */
int	 export_full(struct export *ex);

/*
 * Write a row (taken), with its metadata (taken) as the options say. If rows
 * shall be unique and one with the same content was written, it is left out.
 * r is the reply that the row is about (for the counts), or NULL. Returns 1 if
 * it was written, 0 if it was left out.
 */
int	 export_row(struct export *ex, json_t *row, json_t *metadata,
	    const struct export_reply *r);

/* Note that something is missing. */
void	 export_lacks(struct export *ex, enum export_lack why);

/* The uid that a filter names, or -1. */
int64_t	 export_number(const char *user);

/*
 * SQL: does the rating a of the reply r to the exchange e count as an opinion
 * in this export? last is the newest rating, whose the user, or -1. What others
 * than the owner say counts only in an export of all users, and what they say
 * about a blocked reply is a decision about the filter.
 */
#define EXPORT_OPINION(a, last, whose) \
	STORE_COUNTS(a, last) " AND (" a ".uid = e.uid OR (" whose " = -1 " \
	"AND r.state <> 'blocked'))"

/*
 * SQL: the filters for a query of replies r with their exchange e and model m.
 * ?1 is the user and ?4 the newest rating; EXPORT_TYPES and EXPORT_ARGS are for
 * ?5 to ?12.
 */
#define EXPORT_FILTERS \
	"(?5 = 0 OR r.created >= ?5) AND (?6 = 0 OR r.created < ?6) AND " \
	"(?7 IS NULL OR m.name = ?7 OR m.digest = ?7) AND (?8 IS NULL OR " \
	"EXISTS (SELECT 1 FROM verdict WHERE reply = r.id AND category = ?8 " \
	"AND action <> 'allow')) AND (?9 IS NULL OR EXISTS (SELECT 1 " \
	"FROM rating x, json_each(x.reasons) j WHERE x.reply = r.id AND " \
	"j.value = ?9 AND " EXPORT_OPINION("x", "?4", "?1") ")) AND " \
	"(?10 IS NULL OR " \
	"e.name = ?10 OR e.uid = ?11) AND (?1 <> -1 OR CASE WHEN ?12 THEN " \
	EXPORT_CONSENT " IS 1 ELSE " EXPORT_CONSENT " IS NOT 0 END)"
#define EXPORT_CONSENT \
	"ifnull((SELECT consent FROM conversation WHERE id = " \
	"e.conversation), (SELECT consent FROM account WHERE uid = e.uid))"
#define EXPORT_TYPES	"iissssii"
#define EXPORT_ARGS(o) \
	(o)->since, (o)->until, (o)->model, (o)->category, (o)->reason, \
	(o)->user, export_number((o)->user), (int64_t)(o)->consent
/* SQL: does the ideal text of the rating a of the reply r count? It is neither
 * blank nor the text of the reply. */
#define EXPORT_IDEAL(a, r) \
	"(trim(ifnull(" a ".ideal, ''), char(9, 10, 11, 12, 13, 32, 133, " \
	"160)) <> '' AND " a ".ideal <> " r ".text)"
/* SQL: the name of a dialogue, which decides about the split. */
#define EXPORT_NAME \
	"ifnull((SELECT substr(uuid, 1, instr(uuid || '#', '#') - 1) " \
	"FROM conversation WHERE id = e.conversation), " \
	"(SELECT key FROM reply WHERE exchange = e.id ORDER BY id LIMIT 1))"

/* In which part of the split is the conversation or raw prompt of that name:
 * "train" or "heldout"? The same for one name at all times and sites. */
const char *export_split(const struct export *ex, const char *name);

/* ---- export_dialogue.c: dialogues in memory */

/* A call for each dialogue. Returns 0 or an error. */
typedef int export_fn(struct export *ex, struct export_dialogue *d);

/* Call fn for the dialogues of the piece; raw: for raw prompts too. Returns 1
 * if there is more, 0 at the end, or an error. */
int	 export_dialogues(struct export *ex, export_fn *fn, int raw);

/* Find what the model had read when it wrote the reply r: indices into
 * d->reply, oldest first, in *out (owned by the caller). Returns their
 * number. */
size_t	 export_context(const struct export_dialogue *d, size_t r,
	    size_t **out);

/* Shall the reply be written as an example of a good one? */
int	 export_vouched(const struct export *ex, const struct export_reply *r);

/* Does the filter "rating" choose the reply as a record, which has its ratings?
 * RATING_ALL chooses bad replies, too. */
int	 export_rated(const struct export *ex, const struct export_reply *r);

/* Is the reply one to learn from, whose text nobody has put in? */
int	 export_clean(const struct export *ex, const struct export_reply *r);

/* Read a text of a reply: what was said to it, the pre-prompt (NULL: none), the
 * reply, or the ideal reply. As it is in a prompt: clean, and without the names
 * of special tokens. New strings. Return 0 or an error. */
int	 export_prompt(struct export *ex, const struct export_dialogue *d,
	    const struct export_reply *r, char **out);
int	 export_preprompt(struct export *ex, const struct export_dialogue *d,
	    const struct export_reply *r, char **out);
int	 export_text(struct export *ex, const struct export_reply *r,
	    int ideal, char **out);

/* Make the messages of what the model had read for r, with the prompt of r.
 * *out is a new reference. */
int	 export_messages_of(struct export *ex, const struct export_dialogue *d,
	    size_t r, json_t **out);

/* Make the string that the model had read for r, up to "<bot>:". */
int	 export_string_of(struct export *ex, const struct export_dialogue *d,
	    size_t r, char **out);

/* Make the metadata of a row about r. */
int	 export_metadata(struct export *ex, const struct export_dialogue *d,
	    const struct export_reply *r, int ideal, json_t **out);

/* One message, {"role": role, "content": text}. */
json_t	*export_message(const char *role, const char *text);

/* ---- export_manifest.c */

/* Make the manifest (a new reference). */
json_t	*export_manifest(struct export *ex);

/*
 * ---- the formats. Each writes one piece, from the row after ex->last on (0 at
 * first), and leaves out rows that are newer than the export. Returns 1 if
 * there is more, 0 at the end, or CHAT_ESYSTEM with ex->st.why filled.
 */
#define EXPORT_FORMAT(name, word, use)	int export_##name(struct export *ex);
VOCABULARY_FORMATS(EXPORT_FORMAT)
#undef EXPORT_FORMAT

#endif
