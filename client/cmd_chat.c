/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chatctl without a command: the interactive chat on a terminal, elsewhere
 * as chatctl ask.
 */
#include "chatctl.h"

#include <unistd.h>

#include "repl.h"

/* chatctl, chatctl chat */
int
cmd_chat(struct ctl *ctl, int argc, char **argv)
{
	int	 status;

	if (!isatty(STDIN_FILENO) || !term_is(1) || ctl->opt.json)
		return (cmd_ask(ctl, argc, argv));
	if ((status = cmd_ask_open(ctl)) != CTL_OK)
		return (status);
	return (repl_run(ctl));
}
