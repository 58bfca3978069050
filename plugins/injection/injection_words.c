/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of each class: folded, without apostrophes. A word may be in
 * several classes. Beside English, the words in which orders to ignore
 * instructions are commonly written in other languages.
 */
#include "injection_impl.h"

const char *const injection_words[I_LAST] = {
	[I_OVERRIDE] = "ignore ignoring ignored disregard disregarding forget "
	    "forgetting skip override overriding overrule bypass bypassing "
	    "neglect overlook discard drop cancel violate circumvent disobey "
	    "delete erase reset clear void nullify abandon suspend disable "
	    "deactivate "
	    "remove dismiss supersede supersedes replace evade defy escape "
	    "ignoriere ignorieren vergiss missachte ignorez ignorer oublie "
	    "oubliez ignora ignorar olvida ignorare dimentica ignore esqueca "
	    "desconsidere negeer ignoruj suspended cleared disabled lifted "
	    "cancelled canceled overridden bypassed removed deleted outdated "
	    "obsolete",
	[I_PRIOR] = "previous previously prior above earlier preceding initial "
	    "original former foregoing existing current old past last first "
	    "everything all any every these those such vorherigen vorigen "
	    "bisherigen alle precedentes anteriores precedenti tous toutes les "
	    "todas las tutte le",
	[I_RULES] = "instructions instruction rules rule guidelines guideline "
	    "directions directives directive commands command orders order "
	    "policy policies restrictions restriction limitations limits "
	    "constraints constraint filters filter safeguards safeguard "
	    "protocols protocol programming training boundaries ethics "
	    "guardrails censorship moderation safety prompts prompt tasks "
	    "principles assignment assignments anweisungen anweisung "
	    "instrucciones istruzioni instrucoes consignes regeln reglas "
	    "regles regole instructies requests text messages",
	[I_SYSTEM] = "system initial hidden secret internal original developer "
	    "pre base starting starter confidential private underlying core "
	    "systemprompt backend initialization",
	[I_PROMPT] = "prompt prompts preprompt message instructions "
	    "instruction configuration config context directive directives "
	    "rules guidelines settings systemprompt memory logs training",
	[I_SECRET] = "password passwords passcode key keys token tokens secret "
	    "secrets credentials flag passphrase api passwort mot contrasena "
	    "code codes cookies weights",
	[I_REVEAL] = "reveal reveals show print repeat output display tell "
	    "share leak expose disclose dump give list write say recite echo "
	    "return translate encode summarize summarise spell read copy paste "
	    "send extract describe provide state quote complete confess "
	    "exfiltrate export rewrite convert zeige verrate montre montrez "
	    "affiche muestra revela mostra rivela",
	[I_ABOVE] = "above before beginning preceding everything start "
	    "earlier initially verbatim",
	[I_YOU] = "you your yours yourself u ur youre youve youll thy du dein "
	    "deine tu votre vos tus",
	[I_SELF] = "i im my me mine ive ill myself we our us",
	[I_OTHER] = "he she they his her their it people users someone "
	    "somebody who hackers attackers companies one him them students "
	    "customers employees",
	[I_PLAY] = "pretend pretending act acting roleplay simulate simulating "
	    "impersonate behave imagine play playing become embody assume "
	    "respond answer emulate immerse portray speak talk",
	[I_ARE] = "are im be is being will am must have become youre",
	[I_AI] = "ai bot chatbot assistant chatgpt gpt model models llm dan "
	    "language openai anthropic claude bard siri alexa dans stan aim "
	    "machine robot",
	[I_FREE] = "unrestricted unfiltered uncensored unlimited limitless "
	    "jailbroken jailbreak dan amoral unethical immoral unbounded "
	    "unaligned evil rogue lawless unhinged unchained freed liberated "
	    "unmoderated dans nsfw antigpt",
	[I_NO] = "no not without never any free dont doesnt cannot cant lacks "
	    "zero regardless nothing wont off broken bypass",
	[I_LIMIT] = "limits limit limitations restrictions restriction filters "
	    "filter ethics ethical morals moral morality laws warnings "
	    "warning disclaimers disclaimer censorship refusals rules "
	    "guidelines policies policy boundaries guardrails confines "
	    "constraints content principles consequences legality",
	[I_REFUSE] = "refuse refuses refusing refusal decline apologize "
	    "apologise warn reject deny sorry apologies object",
	[I_NOW] = "now henceforth on forward onwards today",
	[I_FROM] = "from starting beginning",
	[I_MODE] = "mode modus session access override",
	[I_BOSS] = "developer developers debug admin administrator root sudo "
	    "god maintenance creator creators owner engineer operator openai "
	    "anthropic superuser maker makers test qa security authorized "
	    "authorised elevated",
	[I_TELL] = "told given instructed programmed trained received got "
	    "taught gave designed supposed allowed established",
	[I_ROLE] = "user human bot assistant system ai chatgpt gpt admin "
	    "instruction instructions prompt model",
	[I_MARK] = "im_start im_end inst sys endoftext startoftext eot_id "
	    "start_header_id end_header_id begin_of_text system_prompt",
	[I_RUN] = "run execute exec eval system popen call import subprocess "
	    "os sudo cat rm curl wget bash whoami",
	[I_FILE] = "passwd shadow ssh etc rf id_rsa env",
	[I_STAY] = "stay remain break keep staying breaking maintain",
	[I_CHARACTER] = "character role persona alter",
	[I_ASK] = "how why which when where does did do is are can should "
	    "what whats whos who difference could would",
	[I_PLEASE] = "please now just kindly simply and then so also instead "
	    "you must should shall ok okay well first next will lets stop "
	    "immediately hereby can could would only but assistant chatgpt "
	    "bot ai",
	[I_TOPIC] = "explain article essay define definition summarize "
	    "summarise difference prevent protect detect defend history "
	    "research paper book lesson blog report avoid against about "
	    "example meaning concept",
	[I_CODE] = "git java css python method methods linter css function "
	    "class sql html javascript compiler variable file files column "
	    "rows excel docker linux windows regex csv table case router "
	    "npm php bash",
	[I_ANYTHING] = "anything everything all whatever any",
	[I_FICTION] = "hypothetical hypothetically fictional fictitious story "
	    "novel game movie scene imaginary universe grandmother "
	    "simulation",
	[I_ENCODE] = "base64 rot13 backwards verbatim backward reversed "
	    "reverse morse hex json codeblock emoji word exactly exact full "
	    "entire complete",
	[I_TO] = "to",
};
