/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The patterns that "{{object}}", "{{head}}" and "{{harmless}}" stand for in
 * the patterns of a rule pack.
 */
#ifndef RULEPACK_WORDS_H
#define RULEPACK_WORDS_H

/* Parts of the placeholders: what stands between words of one phrase, words
 * before a noun, and words that are no part of the phrase of a noun. */
#define PACK_SPACE	"[^\\w.!?;:\\n]{1,3}"
#define PACK_THE	"(?:(?:an?|the|some|any|my|your|his|her|their|our|" \
	"its|this|these|those|such|more|another|other|many|several|few|all|" \
	"every|each|one|two|three|\\d+)" PACK_SPACE "){0,2}"
#define PACK_ADJECTIVE	"(?:(?!(?:an?|the|my|your|his|her|their|our|its|this|" \
	"these|those|to|in|on|at|for|with|from|about|and|or|but|nor|that|" \
	"which|who|whom|whose|what|when|where|while|why|how|if|is|are|was|" \
	"were|be|been|being|am|has|have|had|do|does|did|not|by|as|into|onto|" \
	"after|before|than|then|of|it|they|he|she|we|you|i|me|us|them|him|so|" \
	"because|until|against|without|between|during|over|under|can|could|" \
	"will|would|should|may|might|must|out|up|off)\\b)\\w{1,16}" \
	PACK_SPACE ")"

/* What a pattern can have in "{{" and "}}". */
static const struct {
	const char	*name, *pattern;
} rulepack_holders[] = {
	/* Between a verb and its object. */
	{ "object", "(?:" PACK_SPACE "(?:(?:me|us|him|them|myself)" PACK_SPACE
	    ")?" PACK_THE PACK_ADJECTIVE "{0,3}(?:of"
	    PACK_SPACE PACK_THE PACK_ADJECTIVE "{0,2})?)" },
	/* After a noun that is not a part of a longer one. */
	{ "head", "\\b(?!" PACK_SPACE "(?:myster(?:y|ies)|part(?:y|ies)|"
	    "data ?sets?|data|detect(?:ors?|ion)|disposal|squads?|shelters?|"
	    "survivors?|victims?|prevention|awareness|drills?|scenes?|novels?|"
	    "stor(?:y|ies)|movies?|films?|games?|documentar(?:y|ies)|trials?|"
	    "histor(?:y|ian)\\w*|museums?|memorials?|statistics|charges|"
	    "investigat\\w+|laws?|hotlines?|insurance|researchers?|podcasts?|"
	    "quiz|charity|fiction|thriller|scanners?|removal|removers?|"
	    "protection|classifier|filters?|analysis)\\b)" },
	/* For "unless": somebody tells, asks about the past, or objects. */
	{ "harmless", "\\bhow (?:did|does) (?!(?:one|some|any|a person|you)\\b)"
	    "|\\bin (?:the|an?|this|that) (?:\\w+ )?(?:movie|film|tv show|show|"
	    "series|novel|book|game)\\b|\\b(?:video|board|computer|"
	    "role.?playing) game\\b|\\b(?:wrong|problems?|issue) with\\b|"
	    "\\b(?:address|restrict|oppos|condemn|denounc|discourag|criticiz|"
	    "criticis|outlaw|prevent|combat|counter)(?:e?s|e?d|e|ing)?\\b|"
	    "\\b(?:consequences?|impacts?|effects?|dangers?|harms?|history|"
	    "victims?|penalt(?:y|ies)) (?:of|for)\\b|\\bstand up\\b|"
	    "\\b(?:awareness|justification|unethical to|illegal to)\\b|"
	    "\\b(?:spot|recogni[sz]e|identify|reduce|report(?: on)?|study|"
	    "investigate|document|warn (?:\\w+ )?(?:of|about)|deal(?:ing)? "
	    "with|recover from|write a paper on|learn the facts about|(?:talk|"
	    "teach|speak) (?:to |with )?\\w+ about|safe from|protect"
	    "(?:ed|ing|ion)? (?:\\w+ ){0,4}(?:from|against)) (?!(?:detection|"
	    "being)\\b)|\\bwhy (?:do|does|would|did|are|is it|it is|it.?s) |"
	    "\\bis it (?:a crime|illegal|wrong|legal) (?:to|if)\\b|"
	    "\\b(?:reasons?|(?:convince|persuade|tell|warn|teach|ask|remind|"
	    "beg)s? (?:\\w+ ){1,3}) ?not to\\b|\\bshould never\\b|"
	    "\\b(?:criminals|offenders|thieves|crooks|scammers|fraudsters) "
	    "(?:who|manage|use)\\b|\\bwhat (?:drives|makes|leads) (?:a person|"
	    "people|somebody|someone)\\b|\\b(?:psychology of|laws? against|"
	    "arrested for|charged with|accused of|convicted of|went to prison "
	    "(?:for|because))\\b|"
	    "\\b(?:disclos|safeguard|never)\\w*\\b.{0,20}\\b(?:shar|access|"
	    "stor|expos)(?:e|ing)\\b" },
};

#endif
