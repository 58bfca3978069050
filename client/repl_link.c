/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection of the interactive chat: it outlives restarts of chatd.
 */
#include "repl.h"

#define REPL_LINK_WAIT	30	/* seconds to wait for a chatd that went away */

static int	repl_link_alive(struct ctl *);

/* Connect again if the connection is lost. */
int
repl_link_open(struct repl *r)
{
	struct ctl	*ctl = r->ctl;
	int64_t		 wait = ctl->opt.wait;
	int		 status;

	if (repl_link_alive(ctl))
		return (0);
	term_note("[connecting to chatd again]");
	if (ctl->opt.wait == -1)
		ctl->opt.wait = REPL_LINK_WAIT;
	status = link_open(ctl);
	ctl->opt.wait = wait;
	if (status == CTL_OK)
		status = link_wait_model(ctl);
	return (status == CTL_OK ? 0 : -1);
}

/* Is the connection still there? */
static int
repl_link_alive(struct ctl *ctl)
{
	struct fault	 f;
	json_t		*m;
	int		 n;

	if (ctl->chat == NULL)
		return (0);
	while ((n = wire_next(ctl->chat, 0, &m, &f)) == 1)
		json_decref(m);		/* nothing is in flight */
	if (n < 0)
		link_close(ctl);
	return (n == 0);
}

/* Send a request and show the reply. */
void
repl_link_say(struct repl *r, json_t *msg)
{
	struct said	 said = { 0 };
	int		 taken;

	if (repl_link_open(r) == -1) {
		json_decref(msg);
		return;
	}
	term_echo(0);
	say_run(r->ctl, msg, 1, &said);
	term_echo(1);
	putchar('\n');
	if (said.conversation != 0)
		r->conversation = said.conversation;
	if ((taken = said.exchange != 0)) {
		say_clear(&r->last);
		r->last = said;
	} else
		say_clear(&said);
	if (r->ctl->chat == NULL && !intr_ended() && repl_link_open(r) == 0)
		term_note(taken ?
		    "[connected again; /again requests the reply again]" :
		    "[connected again; send the message again]");
}
