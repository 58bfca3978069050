/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classes of words of the plugin "injection".
 */
#ifndef INJECTION_IMPL_H
#define INJECTION_IMPL_H

#include "injection.h"

enum injection_class {
	I_NONE,
	I_OVERRIDE,	/* ignore */
	I_PRIOR,	/* previous */
	I_RULES,	/* instructions */
	I_SYSTEM,	/* system, hidden: what a prompt can be */
	I_PROMPT,	/* prompt, message, configuration */
	I_SECRET,	/* password */
	I_REVEAL,	/* print */
	I_ABOVE,	/* above, before, everything */
	I_YOU,		/* you, your */
	I_SELF,		/* I, my */
	I_OTHER,	/* he, people: somebody else */
	I_PLAY,		/* pretend, act, become */
	I_ARE,		/* are, be, will */
	I_AI,		/* assistant, chatgpt */
	I_FREE,		/* unrestricted, uncensored */
	I_NO,		/* no, without, never */
	I_LIMIT,	/* restrictions, ethics, warnings */
	I_REFUSE,	/* refuse, apologise */
	I_NOW,		/* now */
	I_FROM,		/* from */
	I_MODE,		/* mode */
	I_BOSS,		/* developer, administrator */
	I_TELL,		/* told, given, instructed */
	I_ROLE,		/* user, human, system: before a colon */
	I_MARK,		/* im_start, inst: markup of chats */
	I_RUN,		/* run, execute */
	I_FILE,		/* passwd, shadow, ssh */
	I_STAY,		/* stay, remain, break */
	I_CHARACTER,	/* character, role */
	I_ASK,		/* how, why, which */
	I_PLEASE,	/* words before an order */
	I_TOPIC,	/* explain, article: about a thing */
	I_CODE,		/* git, java, css */
	I_ANYTHING,	/* anything, everything, all */
	I_FICTION,	/* hypothetical, story */
	I_ENCODE,	/* base64, backwards, verbatim */
	I_TO,		/* to */
	I_LAST
};
_Static_assert((unsigned)I_LAST <= INJECTION_CLASSES, "room for classes");

#define I_BIT(c)	(UINT64_C(1) << (c))

/* The words of each class, with spaces between them. */
extern const char *const injection_words[I_LAST];

#endif
