/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files contrast*.c share.
 *
 * A file has blocks; a block is a list with members or a set of frames with
 * templates.  Members and templates are both a struct pattern: a row of nodes.
 * A node is plain text, a reference to a list, or a choice between patterns.
 */
#ifndef CONTRAST_IMPL_H
#define CONTRAST_IMPL_H

#include "contrast.h"

enum node_kind { NODE_TEXT, NODE_LIST, NODE_CHOICE };
enum node_form { FORM_PLAIN, FORM_ARTICLE, FORM_CAPITAL, FORM_GERUND };

struct pattern {
	struct node	*nodes;		/* owned */
	size_t		 n;
	int		 line;
	int		 left_out;
};

struct node {
	enum node_kind	 kind;
	enum node_form	 form;		/* of NODE_LIST */
	int		 slot;		/* of NODE_LIST: {name#slot}, or 0 */
	char		*text;		/* owned: the text, or a list's name */
	struct clist	*list;		/* borrowed: set by contrast_finish */
	struct pattern	*choices;	/* owned: of NODE_CHOICE */
	size_t		 nchoices;
};

struct clist {
	char		*name;		/* owned */
	size_t		 number;	/* in contrast.lists */
	size_t		 file;		/* in contrast.files */
	int		 line;
	struct pattern	*members;	/* owned: the left out ones last */
	size_t		 n, kept;
	int		 visit;		/* 1: being walked, 2: done */
};

struct cframes {
	struct contrast_block	 head;	/* strings owned by the next members */
	char			*name, *twin;
	size_t			 file;
	int			 line;
	struct pattern		*templates;	/* owned: left out ones last */
	size_t			 n, kept;
};

struct cfile {
	char	*path, *base;		/* owned */
};

struct contrast {
	struct cfile	 *files;
	struct clist	**lists;	/* owned; nodes point to them */
	struct cframes	**frames;
	size_t		  nfiles, nlists, nframes;
};

/*
 * Parse one member or template. Returns 0 with *p filled, which pattern_clear
 * frees, or CHAT_EFORMAT with what is wrong in *f (without the file's name).
 */
int	 pattern_parse(struct pattern *p, const char *s, struct fault *f);
void	 pattern_clear(struct pattern *p);

#endif
