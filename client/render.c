/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Escapes for characters that could control a terminal.  Text is taken byte by
 * byte, so the output does not depend on where it was cut.
 */
#include "render.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "utf8.h"
#include "xmalloc.h"

/* Characters that control a terminal, change the order of text, or are
 * invisible. */
static const struct range {
	uint32_t	 first, last;
} unsafe[] = {
	{ 0x0000, 0x0008 },	/* controls but tab and newline */
	{ 0x000b, 0x001f },
	{ 0x007f, 0x009f },	/* DEL, C1 */
	{ 0x00ad, 0x00ad },	/* soft hyphen */
	{ 0x061c, 0x061c },	/* Arabic letter mark */
	{ 0x180e, 0x180e },	/* Mongolian vowel separator */
	{ 0x200b, 0x200b },	/* zero width space; the joiners at 200c and
				 * 200d are needed by scripts and emoji */
	{ 0x200e, 0x200f },	/* left-to-right and right-to-left mark */
	{ 0x2028, 0x202e },	/* line, paragraph, bidi embeddings */
	{ 0x2060, 0x206f },	/* invisible operators, bidi isolates */
	{ 0xfeff, 0xfeff },	/* byte order mark */
	{ 0xfff9, 0xfffb },	/* interlinear annotation */
	{ 0xfffe, 0xffff },
	{ 0x1d173, 0x1d17a },	/* invisible musical symbols */
	{ 0xe0000, 0xe0fff },	/* tags, and reserved characters */
};

static int	render_unsafe(uint32_t);
static void	render_byte(struct render *, char);
static void	render_char(struct render *, const char *, int, uint32_t);
static void	render_escape(struct render *, const char *, unsigned);

/* Would this character be escaped? Newline and tab count as safe. */
static int
render_unsafe(uint32_t cp)
{
	size_t	 i;

	for (i = 0; i < nitems(unsafe); i++)
		if (cp >= unsafe[i].first && cp <= unsafe[i].last)
			return (1);
	return (cp > 0xffff && (cp & 0xfffe) == 0xfffe);
}

/* Begin a text. */
void
render_init(struct render *r, FILE *out, unsigned flags)
{
	memset(r, 0, sizeof *r);
	r->out = out;
	r->flags = flags;
}

/* Show a piece. */
void
render_text(struct render *r, const char *s, size_t n)
{
	size_t	 i, run;

	for (i = 0; i < n; ) {
		for (run = i; r->nheld == 0 && run < n && s[run] >= ' ' &&
		    s[run] <= '~'; run++)
			;
		if (run > i) {
			fwrite(s + i, 1, run - i, r->out);
			r->column = 1;
			i = run;
		} else
			render_byte(r, s[i++]);
	}
}

/* Finish a text. */
void
render_end(struct render *r)
{
	size_t	 i;

	for (i = 0; i < r->nheld; i++)
		render_escape(r, "\\x%02x", (unsigned char)r->held[i]);
	r->nheld = 0;
}

/* Take one byte; show the character or the invalid bytes it completes. */
static void
render_byte(struct render *r, char byte)
{
	uint32_t	 cp;
	int		 len, i;

	r->held[r->nheld++] = byte;
	while (r->nheld > 0) {
		len = utf8_decode(r->held, r->nheld, &cp);
		if (len == 0)
			return;
		if (len > 0)
			render_char(r, r->held, len, cp);
		else {
			len = -len;
			for (i = 0; i < len; i++)
				render_escape(r, "\\x%02x",
				    (unsigned char)r->held[i]);
		}
		r->nheld -= (size_t)len;
		memmove(r->held, r->held + len, r->nheld);
	}
}

/* Show one whole character. */
static void
render_char(struct render *r, const char *s, int len, uint32_t cp)
{
	if ((cp == '\n' || cp == '\t') && (r->flags & RENDER_LINE) == 0) {
		fputc((int)cp, r->out);
		r->column = cp != '\n';
	} else if (cp < 0x80 && (cp < ' ' || cp == 0x7f))
		render_escape(r, "\\x%02x", cp);
	else if (render_unsafe(cp))
		render_escape(r, cp > 0xffff ? "\\U%08x" : "\\u%04x", cp);
	else {
		fwrite(s, 1, (size_t)len, r->out);
		r->column = 1;
	}
}

/* Show an escape. */
static void
render_escape(struct render *r, const char *fmt, unsigned value)
{
	char	 text[16];

	snprintf(text, sizeof text, fmt, value);
	if (r->flags & RENDER_MARK)
		fprintf(r->out, "\033[7m%s\033[27m", text);
	else
		fputs(text, r->out);
	r->column = 1;
}

/* The first character. */
size_t
render_next(const char *s, size_t n)
{
	uint32_t	 cp;
	int		 len = utf8_decode(s, n, &cp);

	return (len == 0 ? n : (size_t)abs(len));
}

/* The width of a text. */
int
render_width(const char *s, size_t n)
{
	uint32_t	 cp;
	size_t		 i;
	int		 len, width = 0;

	for (i = 0; i < n; i += render_next(s + i, n - i)) {
		if ((len = utf8_decode(s + i, n - i, &cp)) <= 0)
			width += 4 * (len == 0 ? (int)(n - i) : -len);
		else if (cp == '\n' || cp == '\t')
			continue;
		else if (cp < 0x80 && (cp < ' ' || cp == 0x7f))
			width += 4;
		else if (render_unsafe(cp))
			width += cp > 0xffff ? 10 : 6;
		else
			width += utf8proc_charwidth((int32_t)cp);
	}
	return (width);
}

/* One safe line in a new string. */
char *
render_line(const char *s)
{
	struct render	 r;
	FILE		*f;
	char		*text;
	size_t		 len;

	if ((f = open_memstream(&text, &len)) == NULL)
		abort();	/* out of memory */
	render_init(&r, f, RENDER_LINE);
	if (s != NULL)
		render_text(&r, s, strlen(s));
	render_end(&r);
	fclose(f);
	return (text);
}

/* A safe line of JSON. */
void
render_json(const char *s, size_t n, FILE *out)
{
	uint32_t	 cp;
	int		 len;

	for (; n > 0; s += len, n -= (size_t)len) {
		if ((len = utf8_decode(s, n, &cp)) <= 0) {
			len = 1;	/* no JSON writer does that */
			cp = 0xfffd;
		}
		if (cp != '\n' && render_unsafe(cp)) {
			if (cp > 0xffff)
				fprintf(out, "\\u%04x\\u%04x",
				    0xd7c0 + (cp >> 10),
				    0xdc00 + (cp & 0x3ff));
			else
				fprintf(out, "\\u%04x", cp);
		} else
			fwrite(s, 1, (size_t)len, out);
	}
}
