/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: bytes of helpers, into chatd's own state machines. First,
 * requests of every kind are made. Then each line of the input is a step:
 *
 *   e f s o TEXT  the engine, the newest filter, the store, the oldest filter
 *                 sends the line TEXT, in which $0 to $9 are the ids of its
 *                 last requests, the newest first
 *   E F S O TEXT  the same without the newline
 *   a [efs]       all, or that one, answer their requests truthfully
 *   x [efsoc]     that helper, or the client, closes its channel
 *   t DIGIT       a timer expires
 *   c TEXT        the client sends the line TEXT
 *   n             another client connects
 *
 * chatd must survive. At the end all answer truthfully, and then every request
 * must end.
 */
#include "fuzz.h"

#include "world.h"
#include "xmalloc.h"

#define PLAY_STEPS	64

/* Requests of every kind, before and after there are objects to ask about. */
static const char play_first[] =
    "{\"op\":\"say\",\"id\":1,\"text\":\"wait\"}\n"
    "{\"op\":\"say\",\"id\":2,\"text\":\"look\",\"preprompt\":\"hide\"}\n"
    "{\"op\":\"complete\",\"id\":3,\"prompt\":\"p\","
    "\"params\":{\"max_tokens\":2}}\n"
    "{\"op\":\"regenerate\",\"id\":4,\"exchange\":1}\n"
    "{\"op\":\"list\",\"id\":5}\n"
    "{\"op\":\"show\",\"id\":6,\"conversation\":1}\n"
    "{\"op\":\"rate\",\"id\":7,\"exchange\":1,\"thumb\":1}\n"
    "{\"op\":\"tokenize\",\"id\":8,\"text\":\"t\"}\n"
    "{\"op\":\"moderate\",\"id\":9,\"text\":\"hide\"}\n"
    "{\"op\":\"new\",\"id\":10}\n"
    "{\"op\":\"delete\",\"id\":11,\"conversation\":9}\n"
    "{\"op\":\"export\",\"id\":12,\"format\":\"csv\"}\n"
    "{\"op\":\"reload\",\"id\":13}\n"
    "{\"op\":\"status\",\"id\":14}\n";

/* Return the helper of a letter, or -1 for another letter. */
static int
play_helper(char c)
{
	const char	*names = "efso", *at;

	if (c == '\0' || (at = strchr(names, c | 0x20)) == NULL)
		return (-1);
	return ((int)(at - names));
}

/* Send a line from a helper; the ids are those it knows. */
static void
play_says(struct world *w, int name, const char *s, size_t n, int whole)
{
	struct world_peer	*p = world_helper(w, (enum world_name)name);
	char			*out = xmalloc(n * 11 + 2);
	size_t			 i, k = 0;

	for (i = 0; i < n && p != NULL; i++) {
		if (s[i] == '$' && i + 1 < n && s[i + 1] >= '0' &&
		    s[i + 1] <= '9')
			k += (size_t)sprintf(out + k, "%lld",
			    (long long)p->ids[s[++i] - '0']);
		else
			out[k++] = s[i];
	}
	if (whole)
		out[k++] = '\n';
	world_helper_says(w, (enum world_name)name, out, k);
	free(out);
}

/* Answer truthfully for one helper, or for all. */
static void
play_truth(struct world *w, int name)
{
	int	 i;

	for (i = 0; i < WORLD_OTHER; i++) {
		if (name == -1 || name == i)
			world_truth(w, (enum world_name)i);
	}
}

/* Run one step. */
static void
play_step(struct world *w, const char *s, size_t n)
{
	char	*line;
	char	 c = s[0], next = '\0';
	int	 name;

	if (n > 1)
		next = s[1] == ' ' && n > 2 ? s[2] : s[1];
	if (c == 'a')
		play_truth(w, play_helper(next));
	else if (c == 't')
		world_timer(w, (size_t)(unsigned char)next);
	else if (c == 'n')
		world_connect(w);
	else if (c == 'x' && next == 'c')
		world_client_ends(w);
	else if (c == 'x' && (name = play_helper(next)) != -1)
		world_helper_ends(w, (enum world_name)name);
	else if (c == 'c') {
		line = xmalloc(n);
		memcpy(line, s + 1, n - 1);
		line[n - 1] = '\n';
		world_client_says(w, line, n);
		free(line);
	} else if ((name = play_helper(c)) != -1)
		play_says(w, name, s + 1, n - 1, c >= 'a');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char	*s = (const char *)data, *nl;
	struct world	*w = world_new();
	size_t		 n;
	int		 i, up = size > 0 && data[0] != 'e';

	if (up)
		play_truth(w, -1);
	world_connect(w);
	world_client_says(w, play_first, sizeof play_first - 1);
	for (i = 0; i < PLAY_STEPS && size > 0; i++) {
		nl = memchr(s, '\n', size);
		n = nl != NULL ? (size_t)(nl - s) : size;
		if (n > 0)
			play_step(w, s, n);
		n += nl != NULL;
		s += n;
		size -= n;
	}
	world_settle(w);
	world_free(w);
	return (0);
}
