/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes rules from the YAML tree of a pack.  Every mistake is reported with
 * file, line, column and the name of the rule.  rules_files.c reads the files.
 */
#include "rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "first.h"
#include "fold.h"
#include "govern.h"
#include "literal.h"
#include "rulepack_words.h"
#include "span.h"
#include "utf8.h"
#include "xmalloc.h"
#include "yaml.h"

#define PACK_NEAR	100	/* default of "near", bytes */

/* The place in the pack, for errors. */
struct pack {
	struct rules	*rules;
	const char	*file;
	struct ynode	*rule;		/* borrowed: the rule being read */
	const char	*name;		/* borrowed: its name */
	const struct look *main;	/* borrowed: the pattern of the rule
					 * that the prefilter looks for */
	struct fault	*fault;
};

/* A growing string. */
struct text {
	char	*s;
	size_t	 n, size;
};

static int	rulepack_rule(struct pack *, const char *, struct rule *);
static int	rulepack_what(struct pack *, struct rule *);

static const char *const rulepack_keys[] = { "pack", "version", "description",
	"rules", NULL };
static const char *const rulepack_rule_keys[] = { "name", "category", "score",
	"direction", "words", "pattern", "all", "near", "unless", "raw",
	"proven", "tests", "note", NULL };
static const char *const rulepack_test_keys[] = { "match", "pass", NULL };

/* Fill the fault with a node's place and the rule's name. */
static int __attribute__((format(printf, 3, 4)))
rulepack_fault(struct pack *p, const struct ynode *n, const char *fmt, ...)
{
	va_list	 ap;
	char	 text[200];

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (p->name == NULL)
		return (ynode_fault(p->file, n, p->fault, "%s", text));
	return (ynode_fault(p->file, n, p->fault, "rule \"%.60s\": %s",
	    p->name, text));
}

/* Does the map have only keys of the list? */
static int
rulepack_known(struct pack *p, const struct ynode *map, const char *const *keys)
{
	const struct ynode	*n;
	size_t			 i;

	if (map->kind != YNODE_MAP)
		return (rulepack_fault(p, map, "expected a map (key: value)"));
	for (n = map->child; n != NULL; n = n->next) {
		for (i = 0; keys[i] != NULL && strcmp(keys[i], n->key) != 0;
		    i++)
			;
		if (keys[i] == NULL)
			return (rulepack_fault(p, n, "unknown key"));
	}
	return (0);
}

/* A required name. */
static int
rulepack_name(struct pack *p, struct ynode *map, const char *key,
    const char **out)
{
	struct ynode	*n;
	size_t		 len;

	if ((n = ynode_get(map, key)) == NULL)
		return (rulepack_fault(p, map, "\"%s\" is missing", key));
	if (n->kind != YNODE_SCALAR)
		return (rulepack_fault(p, n, "expected a name"));
	len = strspn(n->text, "abcdefghijklmnopqrstuvwxyz0123456789-_.");
	if (len == 0 || n->text[len] != '\0' || len > RULES_NAME)
		return (rulepack_fault(p, n, "expected a name of 1 to %d of "
		    "the characters a-z 0-9 - _ .", RULES_NAME));
	*out = n->text;
	return (0);
}

/* Append n bytes. */
static void
rulepack_text(struct text *t, const char *s, size_t n)
{
	if (t->n + n + 1 > t->size) {
		t->size = (t->n + n + 1) * 2;
		t->s = xreallocarray(t->s, t->size, 1);
	}
	memcpy(t->s + t->n, s, n);
	t->n += n;
	t->s[t->n] = '\0';
}

/* Compile one pattern of a node. */
static int
rulepack_compile(struct pack *p, const struct ynode *n, const char *text,
    size_t len, int raw, struct look *out)
{
	pcre2_code	*code;
	const char	*bad;
	PCRE2_SIZE	 at;
	PCRE2_UCHAR	 why[120];
	uint32_t	 options = PCRE2_UTF|PCRE2_UCP|PCRE2_NEVER_BACKSLASH_C|
			    PCRE2_USE_OFFSET_LIMIT|PCRE2_NO_AUTO_CAPTURE;
	int		 r;

	if ((bad = span_not_local(text, len)) != NULL)
		return (rulepack_fault(p, n, "\"%s\" is not possible here",
		    bad));
	if (!raw)
		options |= PCRE2_CASELESS;
	code = pcre2_compile((PCRE2_SPTR)text, len, options, &r, &at,
	    p->rules->compile);
	if (code == NULL) {
		pcre2_get_error_message(r, why, sizeof why);
		return (rulepack_fault(p, n, "at byte %zu: %s", (size_t)at,
		    (char *)why));
	}
	r = pcre2_match(code, (PCRE2_SPTR)"", 0, 0, 0, p->rules->match,
	    p->rules->context);
	if (r >= 0) {
		pcre2_code_free(code);
		return (rulepack_fault(p, n, "matches the empty text"));
	}
	out->code = code;
	out->span = span_of(text, len);
	out->first = first_of(text, len);
	if (out == p->main)
		out->literals = literals_of(text, len);
	return (0);
}

/* Would folding change a character of the pattern? */
static int
rulepack_foldable(struct pack *p, const struct ynode *n)
{
	struct fold	 f;
	const char	*s;
	uint32_t	 c;
	size_t		 left;
	int		 k, same;

	for (s = n->text; *s != '\0'; s += k) {
		left = strlen(s);
		if ((k = utf8_decode(s, left, &c)) <= 0)
			return (rulepack_fault(p, n, "not valid UTF-8"));
		if (c < 0x80)
			continue;
		fold_init(&f, s, (size_t)k);
		same = f.len == (size_t)k && memcmp(f.text, s, f.len) == 0;
		left = f.len < 40 ? f.len : 40;
		if (!same)
			rulepack_fault(p, n, "\"%.*s\" is \"%.*s\" in folded "
			    "text: it would never match", k, s, (int)left,
			    f.text);
		fold_clear(&f);
		if (!same)
			return (CHAT_EFORMAT);
	}
	return (0);
}

/* Append a pattern, with the placeholders in it replaced. */
static int
rulepack_expand(struct pack *p, const struct ynode *n, struct text *out)
{
	const char	*s = n->text, *at, *end;
	size_t		 i;

	while ((at = strstr(s, "{{")) != NULL &&
	    (end = strstr(at, "}}")) != NULL) {
		rulepack_text(out, s, (size_t)(at - s));
		if (strncmp(at, "{{object}}", 10) == 0 &&
		    ((at > n->text && at[-1] == ' ') || end[2] == ' '))
			return (rulepack_fault(p, n, "a space beside "
			    "{{object}}, which stands for the spaces itself"));
		for (i = 0; i < nitems(rulepack_holders); i++) {
			if (strlen(rulepack_holders[i].name) ==
			    (size_t)(end - at - 2) &&
			    memcmp(rulepack_holders[i].name, at + 2,
			    (size_t)(end - at - 2)) == 0)
				break;
		}
		if (i == nitems(rulepack_holders))
			return (rulepack_fault(p, n, "no placeholder "
			    "\"%.*s\"", (int)(end + 2 - at < 40 ? end + 2 -
			    at : 40), at));
		rulepack_text(out, rulepack_holders[i].pattern,
		    strlen(rulepack_holders[i].pattern));
		s = end + 2;
	}
	rulepack_text(out, s, strlen(s));
	return (0);
}

/* Compile a pattern as written in the pack. */
static int
rulepack_pattern(struct pack *p, const struct ynode *n, int raw,
    struct look *out)
{
	struct text	 t = { .s = NULL };
	int		 r;

	if (n->kind != YNODE_SCALAR || n->text[0] == '\0')
		return (rulepack_fault(p, n, "expected a pattern"));
	if (strlen(n->text) > RULES_PATTERN)
		return (rulepack_fault(p, n, "%zu bytes, at most %d",
		    strlen(n->text), RULES_PATTERN));
	if (!raw && (r = rulepack_foldable(p, n)) != 0)
		return (r);
	if ((r = rulepack_expand(p, n, &t)) == 0)
		r = rulepack_compile(p, n, t.s, t.n, raw, out);
	free(t.s);
	return (r);
}

/* Append a word as a pattern, in which white space matches any white space. */
static int
rulepack_word(struct pack *p, const struct ynode *n, int raw, struct text *out)
{
	struct fold	 f = { .text = NULL };
	const char	*s;
	size_t		 len, i;
	int		 r = 0, stem;

	if (n->kind != YNODE_SCALAR || n->text[0] == '\0')
		return (rulepack_fault(p, n, "expected a word or phrase"));
	if (strlen(n->text) > RULES_WORD)
		return (rulepack_fault(p, n, "a word of %zu bytes, at most %d",
		    strlen(n->text), RULES_WORD));
	if (!raw)
		fold_init(&f, n->text, strlen(n->text));
	s = raw ? n->text : f.text;
	len = strlen(s);
	stem = len > 0 && s[len - 1] == '*';
	len -= (size_t)stem;
	if (strspn(s, " \t\n") >= len) {
		r = rulepack_fault(p, n, "nothing is left of \"%.40s\" to look "
		    "for", n->text);
		goto out;
	}
	if (memchr(s, '*', len) != NULL) {
		r = rulepack_fault(p, n, "\"%.40s\": a \"*\" may stand at "
		    "the end only; use \"pattern\" for another place",
		    n->text);
		goto out;
	}
	for (i = 0; i < len; i++) {
		if (strchr(" \t\n", s[i]) != NULL) {
			i += strspn(s + i, " \t\n") - 1;
			rulepack_text(out, "\\s+", 3);
			continue;
		}
		if (strchr("\\^$.[]|()?*+{}#-/", s[i]) != NULL)
			rulepack_text(out, "\\", 1);
		rulepack_text(out, s + i, 1);
	}
	if (stem)
		rulepack_text(out, "[\\p{L}\\p{N}]*", 13);
out:
	fold_clear(&f);
	return (r);
}

/* Compile "words". */
static int
rulepack_words(struct pack *p, const struct ynode *n, int raw, struct look *out)
{
	const struct ynode	*w;
	struct text		 t = { .s = NULL };
	size_t			 count = 0;
	int			 r = 0;

	rulepack_text(&t, "(?<![\\p{L}\\p{N}\\p{M}_])(?:", 26);
	w = n->kind == YNODE_LIST ? n->child : n;
	for (; w != NULL; w = n->kind == YNODE_LIST ? w->next : NULL) {
		if (++count > RULES_WORDS) {
			r = rulepack_fault(p, w, "more than %d words",
			    RULES_WORDS);
			goto out;
		}
		if (count > 1)
			rulepack_text(&t, "|", 1);
		if ((r = rulepack_word(p, w, raw, &t)) != 0)
			goto out;
	}
	if (count == 0) {
		r = rulepack_fault(p, n, "an empty list");
		goto out;
	}
	rulepack_text(&t, ")(?![\\p{L}\\p{N}\\p{M}_])", 23);
	r = rulepack_compile(p, n, t.s, t.n, raw, out);
out:
	free(t.s);
	return (r);
}

/* Compile "all". */
static int
rulepack_all(struct pack *p, const struct ynode *n, struct rule *rule)
{
	const struct ynode	*v;
	int			 r;

	for (v = n->child; n->kind == YNODE_LIST && v != NULL; v = v->next) {
		if (rule->n == RULES_ALL)
			return (rulepack_fault(p, v, "more than %d patterns",
			    RULES_ALL));
		if ((r = rulepack_pattern(p, v, rule->raw,
		    &rule->look[rule->n])) != 0)
			return (r);
		rule->n++;
	}
	if (rule->n < 2)
		return (rulepack_fault(p, n, "expected a list of 2 to %d "
		    "patterns", RULES_ALL));
	return (0);
}

/* Read the patterns of a rule. */
static int
rulepack_what(struct pack *p, struct rule *rule)
{
	struct ynode	*words, *pattern, *all, *near, *unless;
	int64_t		 v = PACK_NEAR;
	int		 r;

	words = ynode_get(p->rule, "words");
	pattern = ynode_get(p->rule, "pattern");
	all = ynode_get(p->rule, "all");
	near = ynode_get(p->rule, "near");
	unless = ynode_get(p->rule, "unless");
	if ((words != NULL) + (pattern != NULL) + (all != NULL) != 1)
		return (rulepack_fault(p, p->rule, "expected one of \"words\", "
		    "\"pattern\" and \"all\""));
	if (near != NULL && all == NULL)
		return (rulepack_fault(p, near, "goes with \"all\" only"));
	if (near != NULL && ynode_int(p->file, near, 1, 1000, &v,
	    p->fault) != 0)
		return (CHAT_EFORMAT);
	rule->near = (size_t)v;
	if (unless != NULL &&
	    (r = rulepack_pattern(p, unless, rule->raw, &rule->unless)) != 0)
		return (r);
	if (all != NULL)
		return (rulepack_all(p, all, rule));
	r = words != NULL ?
	    rulepack_words(p, words, rule->raw, &rule->look[0]) :
	    rulepack_pattern(p, pattern, rule->raw, &rule->look[0]);
	rule->n = r == 0;
	return (r);
}

/* Read category, score and direction. */
static int
rulepack_verdict(struct pack *p, struct rule *rule)
{
	struct ynode	*n;
	const char	*const *c = p->rules->categories;

	if ((n = ynode_get(p->rule, "category")) == NULL)
		return (rulepack_fault(p, p->rule, "\"category\" is missing"));
	for (; n->kind == YNODE_SCALAR && *c != NULL &&
	    strcmp(*c, n->text) != 0; c++)
		;
	if (n->kind != YNODE_SCALAR || *c == NULL)
		return (rulepack_fault(p, n, "unknown category \"%.40s\"",
		    n->kind == YNODE_SCALAR ? n->text : "?"));
	rule->category = *c;
	if ((n = ynode_get(p->rule, "score")) == NULL)
		return (rulepack_fault(p, p->rule, "\"score\" is missing"));
	if (ynode_real(p->file, n, 0, 1, &rule->score, p->fault) != 0)
		return (rulepack_fault(p, n, "expected a number from 0 to 1"));
	rule->directions = RULE_PROMPT|RULE_REPLY;
	if ((n = ynode_get(p->rule, "direction")) == NULL)
		return (0);
	if (n->kind == YNODE_SCALAR && strcmp(n->text, "prompt") == 0)
		rule->directions = RULE_PROMPT;
	else if (n->kind == YNODE_SCALAR && strcmp(n->text, "reply") == 0)
		rule->directions = RULE_REPLY;
	else if (n->kind != YNODE_SCALAR || strcmp(n->text, "both") != 0)
		return (rulepack_fault(p, n, "expected prompt, reply or both"));
	return (0);
}

/* Read a list of texts; key may be missing. */
static int
rulepack_texts(struct pack *p, struct ynode *map, const char *key, char ***out)
{
	struct ynode	*n = ynode_get(map, key), *v;
	size_t		 count = 0;

	if (n == NULL)
		return (0);
	if (n->kind != YNODE_LIST || n->child == NULL)
		return (rulepack_fault(p, n, "expected a list of texts"));
	for (v = n->child; v != NULL; v = v->next) {
		if (v->kind != YNODE_SCALAR || v->text[0] == '\0')
			return (rulepack_fault(p, v, "expected a text"));
		if (count == RULES_TESTS)
			return (rulepack_fault(p, v, "more than %d texts",
			    RULES_TESTS));
		*out = xreallocarray(*out, count + 2, sizeof **out);
		(*out)[count++] = xstrdup(v->text);
		(*out)[count] = NULL;
	}
	return (0);
}

/* Read "tests". */
static int
rulepack_tests(struct pack *p, struct rule *rule)
{
	struct ynode	*n = ynode_get(p->rule, "tests");
	int		 r;

	if (n == NULL)
		return (0);
	if ((r = rulepack_known(p, n, rulepack_test_keys)) != 0 ||
	    (r = rulepack_texts(p, n, "match", &rule->match)) != 0)
		return (r);
	return (rulepack_texts(p, n, "pass", &rule->pass));
}

/* The number of characters that a pattern looks back at. */
static size_t
rulepack_look_behind(const struct look *look)
{
	uint32_t	 n = 0;

	if (look->code != NULL)
		pcre2_pattern_info(look->code, PCRE2_INFO_MAXLOOKBEHIND, &n);
	return (n);
}

/* Set the number of bytes that a rule needs around its matches and before new
 * text. */
static void
rulepack_reach(struct rules *rs, struct rule *rule)
{
	size_t	 i, behind, longest = 0, window;

	behind = rulepack_look_behind(&rule->unless);
	for (i = 0; i < rule->n; i++) {
		if (behind < rulepack_look_behind(&rule->look[i]))
			behind = rulepack_look_behind(&rule->look[i]);
		if (i > 0 && rule->look[i].span > longest)
			longest = rule->look[i].span;
	}
	rule->before = 4 * (behind + 2);
	rule->after = 8;
	if (rule->n > 1) {
		rule->before += rule->near;
		rule->after += rule->near + longest;
	}
	if (rule->unless.code != NULL && !rule->proven) {
		rule->before += RULES_UNLESS + GOVERN_BACK;
		rule->after += RULES_UNLESS + rule->unless.span;
	}
	window = rule->before + rule->after + 2 * rule->look[0].span + 1;
	for (i = 0; i < nitems(rs->window); i++) {
		if (!(rule->directions & (i == 0 ? RULE_PROMPT : RULE_REPLY)))
			continue;
		if (window > rs->window[i])
			rs->window[i] = window;
		if (rule->before > rs->before[i])
			rs->before[i] = rule->before;
	}
}

/* Read one rule. */
static int
rulepack_rule(struct pack *p, const char *pack, struct rule *rule)
{
	struct rules	*rs = p->rules;
	struct ynode	*n;
	size_t		 i;
	int		 r;

	p->name = NULL;
	p->main = &rule->look[0];
	if ((r = rulepack_known(p, p->rule, rulepack_rule_keys)) != 0 ||
	    (r = rulepack_name(p, p->rule, "name", &p->name)) != 0)
		return (r);
	rule->name = xasprintf("%s/%s", pack, p->name);
	for (i = 0; i < rs->n; i++) {
		if (strcmp(rs->list[i].name, rule->name) == 0)
			return (rulepack_fault(p, p->rule,
			    "a second rule of that name"));
	}
	n = ynode_get(p->rule, "raw");
	if (n != NULL && ynode_bool(p->file, n, &rule->raw, p->fault) != 0)
		return (rulepack_fault(p, n, "expected true or false"));
	n = ynode_get(p->rule, "proven");
	if (n != NULL && ynode_bool(p->file, n, &rule->proven, p->fault) != 0)
		return (rulepack_fault(p, n, "expected true or false"));
	if (rule->proven && !rule->raw)
		return (rulepack_fault(p, n, "goes with \"raw\" only"));
	if ((r = rulepack_verdict(p, rule)) != 0 ||
	    (r = rulepack_tests(p, rule)) != 0)
		return (r);
	if ((r = rulepack_what(p, rule)) == 0)
		rulepack_reach(rs, rule);
	return (r);
}

/* Read a whole pack. */
int
rulepack_read(struct rules *rs, const char *file, struct ynode *root,
    struct fault *f)
{
	struct pack	 whole = { .rules = rs, .file = file, .fault = f };
	struct pack	*p = &whole;
	struct ynode	*list;
	const char	*pack;
	int64_t		 version;
	size_t		 i;
	int		 r;

	if ((r = rulepack_known(p, root, rulepack_keys)) != 0 ||
	    (r = rulepack_name(p, root, "pack", &pack)) != 0)
		return (r);
	for (i = 0; i < rs->packs_n; i++) {
		if (strcmp(rs->packs[i], pack) == 0)
			return (rulepack_fault(p, root, "a second pack named "
			    "\"%s\"", pack));
	}
	list = ynode_get(root, "version");
	if (list != NULL && ynode_int(file, list, 1, 1000000, &version,
	    f) != 0)
		return (rulepack_fault(p, list, "\"version\": expected a "
		    "number from 1 to 1000000"));
	list = ynode_get(root, "rules");
	if (list == NULL || list->kind != YNODE_LIST)
		return (rulepack_fault(p, list != NULL ? list : root,
		    "\"rules\": expected a list of rules"));
	rs->packs = xreallocarray(rs->packs, rs->packs_n + 1,
	    sizeof *rs->packs);
	rs->packs[rs->packs_n++] = xstrdup(pack);
	for (p->rule = list->child; p->rule != NULL; p->rule = p->rule->next) {
		if (rs->n == RULES_MAX)
			return (rulepack_fault(p, p->rule, "more than %d rules",
			    RULES_MAX));
		/* Counted only if complete; freed in any case. */
		r = rulepack_rule(p, pack, &rs->list[rs->n]);
		if (r != 0) {
			rule_clear(&rs->list[rs->n]);
			return (r);
		}
		rs->any_folded |= !rs->list[rs->n].raw;
		rs->n++;
	}
	return (0);
}
