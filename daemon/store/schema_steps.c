/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SQL that makes the tables and views, in steps: each brings an older file
 * to the next version.
 *
 * SQLite keeps the comments in the SQL, and the sqlite3 shell shows them
 * (".schema").  They are for administrators and data scientists.  An older file
 * keeps the comments that it was created with.
 */
#include "schema_impl.h"
#include "store.h"

static const char schema_tables[] =
"CREATE TABLE model (\n"
"	-- a model that wrote replies, and the precision it ran in\n"
"	id INTEGER PRIMARY KEY,\n"
"	path TEXT NOT NULL,\n"
"	name TEXT NOT NULL,\n"
"	digest TEXT NOT NULL,		-- sha256:... of the files\n"
"	precision TEXT NOT NULL,	-- fp32, bf16, int8, ...\n"
"	UNIQUE (digest, precision, name, path)\n"
") STRICT;\n"

"CREATE TABLE conversation (\n"
"	-- a dialogue of one user with the model\n"
"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
"	uid INTEGER NOT NULL,		-- the owner\n"
"	title TEXT NOT NULL,\n"
"	created INTEGER NOT NULL,	-- milliseconds since 1970 UTC\n"
"	updated INTEGER NOT NULL	-- milliseconds since 1970 UTC\n"
") STRICT;\n"
"CREATE INDEX conversation_uid ON conversation (uid);\n"

"CREATE TABLE exchange (\n"
"	-- one prompt of a user; the table reply has the replies to it\n"
"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
"	conversation INTEGER		-- null for a raw prompt\n"
"		REFERENCES conversation ON DELETE CASCADE,\n"
"	uid INTEGER NOT NULL,		-- the user who asked\n"
"	-- say: a turn of a conversation; complete: a raw prompt\n"
"	kind TEXT NOT NULL CHECK (kind IN ('say', 'complete')),\n"
"	prompt TEXT NOT NULL,\n"
"	preprompt TEXT,			-- text before the dialogue\n"
"	created INTEGER NOT NULL,	-- milliseconds since 1970 UTC\n"
"	CHECK ((conversation IS NULL) = (kind = 'complete'))\n"
") STRICT;\n"
"CREATE INDEX exchange_conversation ON exchange (conversation);\n"

"CREATE TABLE reply (\n"
"	-- one reply to a prompt. Each regenerate adds a reply; the current\n"
"	-- one is that with the highest id\n"
"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
"	exchange INTEGER NOT NULL REFERENCES exchange ON DELETE CASCADE,\n"
"	model INTEGER NOT NULL REFERENCES model,\n"
"	key TEXT NOT NULL UNIQUE,	-- chatd's name for it\n"
"	state TEXT NOT NULL CHECK (state IN ('running', 'done', 'blocked',\n"
"		'cancelled', 'failed', 'interrupted')),\n"
"	-- why the reply ended: end, stop, length, context, repeat or\n"
"	-- cancelled\n"
"	stop TEXT,\n"
"	error TEXT,			-- error code of a failed reply\n"
"	text TEXT NOT NULL DEFAULT '',\n"
"	ids BLOB NOT NULL DEFAULT x''	-- tokens: uint32, little-endian\n"
"		CHECK (length(ids) % 4 = 0),\n"
"	-- sampling parameters, a JSON object\n"
"	params TEXT NOT NULL CHECK (json_valid(params)),\n"
"	seed INTEGER NOT NULL,\n"
"	prompt_tokens INTEGER NOT NULL DEFAULT 0,\n"
"	output_tokens INTEGER NOT NULL DEFAULT 0,\n"
"	-- the number of oldest messages that did not fit into the context\n"
"	dropped INTEGER NOT NULL DEFAULT 0,\n"
"	-- milliseconds from the request to the start of the model, to the\n"
"	-- first text and to the end\n"
"	queued_ms INTEGER NOT NULL DEFAULT 0,\n"
"	first_ms INTEGER NOT NULL DEFAULT 0,\n"
"	total_ms INTEGER NOT NULL DEFAULT 0,\n"
"	created INTEGER NOT NULL,	-- milliseconds since 1970 UTC\n"
"	-- milliseconds since 1970 UTC; null if the reply is running, or was\n"
"	-- interrupted by a crash\n"
"	finished INTEGER,\n"
"	CHECK (state <> 'running' OR finished IS NULL)\n"
") STRICT;\n"
"CREATE INDEX reply_exchange ON reply (exchange);\n"
"CREATE INDEX reply_model ON reply (model);\n"
"CREATE INDEX reply_running ON reply (id) WHERE state = 'running';\n"

"CREATE TABLE rating (\n"
"	-- a user's opinion of a reply. A new opinion adds a row whose\n"
"	-- \"supersedes\" is the row before it; only the last row counts\n"
"	id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
"	reply INTEGER NOT NULL REFERENCES reply ON DELETE CASCADE,\n"
"	uid INTEGER NOT NULL,		-- the user who rated\n"
"	-- 1 good, 0 neutral, -1 bad\n"
"	thumb INTEGER NOT NULL CHECK (thumb IN (-1, 0, 1)),\n"
"	-- JSON array of incorrect, unhelpful, harmful, wrong_refusal\n"
"	reasons TEXT NOT NULL CHECK (json_valid(reasons)),\n"
"	ideal TEXT,			-- the reply that the user wanted\n"
"	comment TEXT,\n"
"	created INTEGER NOT NULL,\n"
"	supersedes INTEGER UNIQUE REFERENCES rating ON DELETE CASCADE\n"
") STRICT;\n"
"CREATE UNIQUE INDEX rating_first ON rating (reply, uid)\n"
"	WHERE supersedes IS NULL;\n"
"CREATE INDEX rating_reply ON rating (reply);\n"

"CREATE TABLE verdict (\n"
"	-- a finding of a filter in a prompt or reply, and the action taken\n"
"	id INTEGER PRIMARY KEY,\n"
"	reply INTEGER NOT NULL REFERENCES reply ON DELETE CASCADE,\n"
"	direction TEXT NOT NULL CHECK (direction IN ('prompt', 'reply')),\n"
"	plugin TEXT NOT NULL,\n"
"	category TEXT NOT NULL,\n"
"	score REAL NOT NULL CHECK (score BETWEEN 0 AND 1),\n"
"	-- the span of the finding, [start..end) in bytes of the judged text\n"
"	start INTEGER NOT NULL,\n"
"	\"end\" INTEGER NOT NULL,\n"
"	rule TEXT NOT NULL,\n"
"	action TEXT NOT NULL CHECK (action IN\n"
"		('allow', 'flag', 'redact', 'block'))\n"
") STRICT;\n"
"CREATE INDEX verdict_reply ON verdict (reply);\n"

"CREATE VIEW v_exchange AS\n"
"	-- a row for each reply, with its exchange; times as readable text\n"
"	SELECT e.id AS exchange, e.conversation, c.title, e.uid, e.kind,\n"
"	datetime(e.created / 1000, 'unixepoch') AS asked, e.prompt,\n"
"	e.preprompt, r.id AS reply, r.state, r.stop, r.error, r.text,\n"
"	r.id = (SELECT max(id) FROM reply WHERE exchange = e.id)\n"
"	AS is_current, m.name AS model, m.precision, r.seed, r.params,\n"
"	r.prompt_tokens, r.output_tokens, r.dropped, r.queued_ms,\n"
"	r.first_ms, r.total_ms\n"
"	FROM exchange e LEFT JOIN conversation c ON c.id = e.conversation\n"
"	JOIN reply r ON r.exchange = e.id JOIN model m ON m.id = r.model;\n"

"CREATE VIEW v_rating AS\n"
"	-- the ratings that count, that is, without the superseded ones\n"
"	SELECT a.id AS rating, a.reply, r.exchange, e.conversation,\n"
"	a.uid, datetime(a.created / 1000, 'unixepoch') AS rated,\n"
"	a.thumb, a.reasons, a.ideal, a.comment, e.prompt, r.text,\n"
"	m.name AS model, m.precision\n"
"	FROM rating a JOIN reply r ON r.id = a.reply\n"
"	JOIN exchange e ON e.id = r.exchange JOIN model m ON m.id = r.model\n"
"	WHERE NOT EXISTS (SELECT 1 FROM rating WHERE supersedes = a.id);\n"

"CREATE VIEW v_verdict AS\n"
"	-- verdicts with the text that was found\n"
"	SELECT v.id AS verdict, v.reply, r.exchange, e.conversation,\n"
"	v.direction, v.action, v.category, v.score, v.plugin, v.rule,\n"
"	CAST(substr(CAST(CASE v.direction WHEN 'prompt' THEN e.prompt\n"
"	ELSE r.text END AS BLOB), v.start + 1, v.\"end\" - v.start) AS TEXT)\n"
"	AS span, r.state\n"
"	FROM verdict v JOIN reply r ON r.id = v.reply\n"
"	JOIN exchange e ON e.id = r.exchange;\n"
"PRAGMA application_id = 1667785076;\n";

/* Bytes of a text as it is stored; SQLite's length() counts characters. */
#define BYTES(column)	"ifnull(length(CAST(" column " AS BLOB)), 0)"

/*
 * The number of bytes that each account has stored.  v_size computes the size
 * of an exchange from its rows.  account.c adds up the same numbers while it
 * writes, and keeps them in the table size.  Triggers carry each change of size
 * to the table account, also if a deletion cascades.
 */
static const char schema_sizes[] =
"CREATE TABLE account (\n"
"	-- how much each user has stored\n"
"	uid INTEGER PRIMARY KEY,\n"
"	conversations INTEGER NOT NULL DEFAULT 0,\n"
"	bytes INTEGER NOT NULL DEFAULT 0	-- the sum of size.bytes\n"
") STRICT;\n"

"CREATE TABLE size (\n"
"	-- the size of an exchange with its replies, verdicts and ratings\n"
"	exchange INTEGER PRIMARY KEY REFERENCES exchange ON DELETE CASCADE,\n"
"	uid INTEGER NOT NULL,		-- as in exchange\n"
"	bytes INTEGER NOT NULL		-- as in v_size\n"
") STRICT;\n"

"CREATE INDEX exchange_raw ON exchange (uid) WHERE conversation IS NULL;\n"

"CREATE VIEW v_size AS\n"
"	-- computes size: the bytes of texts and tokens, and 128 per row\n"
"	SELECT e.id AS exchange, e.uid, 128 + " BYTES("e.prompt") "\n"
"	+ " BYTES("e.preprompt") " + ifnull((SELECT sum(128\n"
"	+ " BYTES("text") " + length(ids)\n"
"	+ " BYTES("params") ") FROM reply\n"
"	WHERE exchange = e.id), 0) + ifnull((SELECT sum(128\n"
"	+ " BYTES("plugin") "\n"
"	+ " BYTES("category") "\n"
"	+ " BYTES("rule") ")\n"
"	FROM verdict WHERE reply IN (SELECT id FROM reply\n"
"	WHERE exchange = e.id)), 0) + ifnull((SELECT sum(128\n"
"	+ " BYTES("reasons") "\n"
"	+ " BYTES("ideal") "\n"
"	+ " BYTES("comment") ")\n"
"	FROM rating WHERE reply IN (SELECT id FROM reply\n"
"	WHERE exchange = e.id)), 0) AS bytes FROM exchange e;\n"

"CREATE VIEW v_account AS\n"
"	-- computes account from all rows, which takes time\n"
"	SELECT uid, sum(conversations) AS conversations, sum(bytes) AS bytes\n"
"	FROM (SELECT uid, 1 AS conversations, 0 AS bytes FROM conversation\n"
"	UNION ALL SELECT uid, 0, bytes FROM v_size) GROUP BY uid;\n"

"INSERT INTO size SELECT exchange, uid, bytes FROM v_size;\n"
"INSERT INTO account SELECT uid, conversations, bytes FROM v_account;\n"

"CREATE TRIGGER size_added AFTER INSERT ON size BEGIN\n"
"	INSERT INTO account (uid, bytes) VALUES (new.uid, new.bytes)\n"
"	ON CONFLICT (uid) DO UPDATE SET bytes = bytes + excluded.bytes;\n"
"END;\n"
"CREATE TRIGGER size_changed AFTER UPDATE OF bytes ON size BEGIN\n"
"	UPDATE account SET bytes = bytes + new.bytes - old.bytes\n"
"	WHERE uid = new.uid;\n"
"END;\n"
"CREATE TRIGGER size_removed AFTER DELETE ON size BEGIN\n"
"	UPDATE account SET bytes = bytes - old.bytes WHERE uid = old.uid;\n"
"END;\n"
"CREATE TRIGGER conversation_added AFTER INSERT ON conversation BEGIN\n"
"	INSERT INTO account (uid, conversations) VALUES (new.uid, 1)\n"
"	ON CONFLICT (uid) DO UPDATE SET conversations = conversations + 1;\n"
"END;\n"
"CREATE TRIGGER conversation_removed AFTER DELETE ON conversation BEGIN\n"
"	UPDATE account SET conversations = conversations - 1\n"
"	WHERE uid = old.uid;\n"
"END;\n";

/* SQL: a random UUID of version 4. */
#define UUID \
	"lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' ||\n" \
	"	substr(hex(randomblob(2)), 2) || '-' ||\n" \
	"	substr('89AB', 1 + (random() & 3), 1) ||\n" \
	"	substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"

/* SQL: the time now, in milliseconds since 1970 UTC. */
#define NOW \
	"CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"

/*
 * The triggers of the search index take the entry of an exchange out before one
 * of its rows changes, and put it in again afterwards.  A change can cascade to
 * rows of the same exchange, so both look whether there is an entry.
 */
#define SEARCH_OUT(exchange) \
	"	INSERT INTO search (search, rowid, prompt, reply, ideal,\n" \
	"	comment, hidden) SELECT 'delete', v.exchange, v.prompt,\n" \
	"	v.reply, v.ideal, v.comment, v.hidden FROM v_search v\n" \
	"	WHERE v.exchange = " exchange " AND EXISTS\n" \
	"	(SELECT 1 FROM search_docsize WHERE id = v.exchange);\n" \
	"END;\n"
#define SEARCH_IN(exchange) \
	"	INSERT INTO search (rowid, prompt, reply, ideal, comment,\n" \
	"	hidden) SELECT v.exchange, v.prompt, v.reply, v.ideal,\n" \
	"	v.comment, v.hidden FROM v_search v\n" \
	"	WHERE v.exchange = " exchange " AND NOT EXISTS\n" \
	"	(SELECT 1 FROM search_docsize WHERE id = v.exchange);\n" \
	"END;\n"
#define SEARCH_TRIGGERS(name, event, when, exchange) \
	"CREATE TRIGGER search_" name "_out BEFORE " event when " BEGIN\n" \
	SEARCH_OUT(exchange) \
	"CREATE TRIGGER search_" name "_in AFTER " event when " BEGIN\n" \
	SEARCH_IN(exchange)
#define OF_REPLY(row) \
	"\n	(SELECT exchange FROM reply WHERE id = " row ".reply)"

/* SQL: the ratings a of the exchange e that count, of its owner or of others
 * (op is = or <>). */
#define SEARCH_RATINGS(column, op) \
	"(SELECT group_concat(" column ", char(10))\n" \
	"	FROM rating a JOIN reply r ON r.id = a.reply\n" \
	"	WHERE r.exchange = e.id AND a.uid " op " e.uid\n" \
	"	AND NOT EXISTS (SELECT 1 FROM rating WHERE supersedes = a.id))"

/* SQL: has something been taken out of the reply r? */
#define REDACTED \
	"EXISTS (SELECT 1\n" \
	"	FROM verdict v WHERE v.reply = r.id AND v.action = 'redact'\n" \
	"	AND v.direction = 'reply')"

/* Who, with what and by which filter; consent; drafts; tombstones; search. */
static const char schema_facts[] =
"ALTER TABLE conversation ADD COLUMN\n"
"	uuid /* its name, also at other sites */ TEXT;\n"
"ALTER TABLE conversation ADD COLUMN\n"
"	name /* the account name of the owner when it began */ TEXT;\n"
"ALTER TABLE conversation ADD COLUMN\n"
"	consent /* to training: 1 yes, 0 no, null as account.consent */\n"
"	INTEGER CHECK (consent IN (0, 1));\n"
"UPDATE conversation SET uuid = " UUID ";\n"
"CREATE UNIQUE INDEX conversation_uuid ON conversation (uuid);\n"
"CREATE TRIGGER conversation_named AFTER INSERT ON conversation\n"
"	WHEN new.uuid IS NULL BEGIN\n"
"	UPDATE conversation SET uuid = " UUID "\n"
"	WHERE id = new.id;\n"
"END;\n"
"CREATE INDEX exchange_uid ON exchange (uid);\n"
"ALTER TABLE exchange ADD COLUMN\n"
"	name /* the account name of the user at that time */ TEXT;\n"
"ALTER TABLE exchange ADD COLUMN\n"
"	topic /* 1: a new subject; the model read nothing before it */\n"
"	INTEGER NOT NULL DEFAULT 0 CHECK (topic IN (0, 1));\n"
"ALTER TABLE reply ADD COLUMN\n"
"	build /* the release of chatd, the device and the kernels */ TEXT;\n"
"ALTER TABLE rating ADD COLUMN\n"
"	name /* the account name of the user at that time */ TEXT;\n"

"CREATE TABLE filter_version (\n"
"	-- a release of a filter, with its rules or its model\n"
"	id INTEGER PRIMARY KEY,\n"
"	plugin TEXT NOT NULL,\n"
"	version TEXT NOT NULL,\n"
"	digest TEXT NOT NULL,		-- of its rules, '' if it has none\n"
"	UNIQUE (plugin, version, digest)\n"
") STRICT;\n"
"ALTER TABLE verdict ADD COLUMN\n"
"	version INTEGER REFERENCES filter_version;\n"
"ALTER TABLE verdict ADD COLUMN\n"
"	detail /* what spoke for it: a JSON array */\n"
"	TEXT CHECK (detail IS NULL OR json_valid(detail));\n"

"ALTER TABLE account ADD COLUMN\n"
"	name /* the account name, as last seen */ TEXT;\n"
"ALTER TABLE account ADD COLUMN\n"
"	consent /* to training: 1 yes, 0 no, null not said */\n"
"	INTEGER CHECK (consent IN (0, 1));\n"

"CREATE TABLE draft (\n"
"	-- a rating that is being written: it does not count\n"
"	reply INTEGER NOT NULL REFERENCES reply ON DELETE CASCADE,\n"
"	uid INTEGER NOT NULL,		-- the user who writes it\n"
"	thumb INTEGER CHECK (thumb IN (-1, 0, 1)),\n"
"	reasons TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(reasons)),\n"
"	ideal TEXT,\n"
"	comment TEXT,\n"
"	updated INTEGER NOT NULL,	-- milliseconds since 1970 UTC\n"
"	PRIMARY KEY (reply, uid)\n"
") STRICT, WITHOUT ROWID;\n"

"CREATE TABLE tombstone (\n"
"	-- what has been deleted, without anything that was said\n"
"	id INTEGER PRIMARY KEY,\n"
"	kind TEXT NOT NULL CHECK (kind IN ('conversation', 'reply')),\n"
"	name TEXT NOT NULL,		-- conversation.uuid or reply.key\n"
"	deleted INTEGER NOT NULL	-- milliseconds since 1970 UTC\n"
") STRICT;\n"
"CREATE TRIGGER tombstone_conversation AFTER DELETE ON conversation BEGIN\n"
"	INSERT INTO tombstone (kind, name, deleted)\n"
"	VALUES ('conversation', old.uuid, " NOW ");\n"
"END;\n"
"CREATE TRIGGER tombstone_reply AFTER DELETE ON reply BEGIN\n"
"	INSERT INTO tombstone (kind, name, deleted)\n"
"	VALUES ('reply', old.key, " NOW ");\n"
"END;\n"

"CREATE VIEW v_search AS\n"
"	-- what can be searched, a row for each exchange that has a reply;\n"
"	-- hidden: what only operators may search, as the owner can't see it\n"
"	SELECT e.id AS exchange, e.prompt, (SELECT group_concat(text,\n"
"	char(10)) FROM reply WHERE exchange = e.id\n"
"	AND state NOT IN ('running', 'blocked')) AS reply,\n"
"	" SEARCH_RATINGS("a.ideal", "=") " AS ideal,\n"
"	" SEARCH_RATINGS("a.comment", "=") " AS comment,\n"
"	nullif(ifnull((SELECT group_concat(text, char(10)) FROM reply\n"
"	WHERE exchange = e.id AND state = 'blocked'), '') || char(10) ||\n"
"	ifnull(" SEARCH_RATINGS("a.ideal", "<>") ", '')\n"
"	|| char(10) ||\n"
"	ifnull(" SEARCH_RATINGS("a.comment", "<>") ", ''),\n"
"	char(10, 10)) AS hidden FROM exchange e WHERE EXISTS\n"
"	(SELECT 1 FROM reply WHERE exchange = e.id AND state <> 'running');\n"
"CREATE VIRTUAL TABLE search USING fts5 (\n"
"	-- finds exchanges by words; its rowid is the exchange\n"
"	prompt, reply, ideal, comment, hidden, content='v_search',\n"
"	content_rowid='exchange',\n"
"	tokenize='porter unicode61 remove_diacritics 2'\n"
");\n"
"INSERT INTO search (rowid, prompt, reply, ideal, comment, hidden)\n"
"	SELECT exchange, prompt, reply, ideal, comment, hidden\n"
"	FROM v_search;\n"
SEARCH_TRIGGERS("prompt", "UPDATE OF prompt ON exchange", "", "old.id")
"CREATE TRIGGER search_exchange_out BEFORE DELETE ON exchange BEGIN\n"
SEARCH_OUT("old.id")
SEARCH_TRIGGERS("text", "UPDATE OF text, state ON reply", "", "old.exchange")
SEARCH_TRIGGERS("added", "INSERT ON reply",
    "\n	WHEN new.state <> 'running'", "new.exchange")
SEARCH_TRIGGERS("removed", "DELETE ON reply", "", "old.exchange")
SEARCH_TRIGGERS("rated", "INSERT ON rating", "", OF_REPLY("new"))
SEARCH_TRIGGERS("edited", "UPDATE OF ideal, comment ON rating", "",
    OF_REPLY("old"))
SEARCH_TRIGGERS("unrated", "DELETE ON rating", "", OF_REPLY("old"))

"DROP VIEW v_account;\n"
"DROP VIEW v_size;\n"
"CREATE VIEW v_size AS\n"
"	-- computes size: the bytes of texts and tokens, and 128 per row\n"
"	SELECT e.id AS exchange, e.uid, 128 + " BYTES("e.prompt") "\n"
"	+ " BYTES("e.preprompt") " + ifnull((SELECT sum(128\n"
"	+ " BYTES("text") " + length(ids)\n"
"	+ " BYTES("params") ") FROM reply\n"
"	WHERE exchange = e.id), 0) + ifnull((SELECT sum(128\n"
"	+ " BYTES("plugin") "\n"
"	+ " BYTES("category") "\n"
"	+ " BYTES("rule") "\n"
"	+ " BYTES("detail") ")\n"
"	FROM verdict WHERE reply IN (SELECT id FROM reply\n"
"	WHERE exchange = e.id)), 0) + ifnull((SELECT sum(128\n"
"	+ " BYTES("reasons") "\n"
"	+ " BYTES("ideal") "\n"
"	+ " BYTES("comment") ")\n"
"	FROM rating WHERE reply IN (SELECT id FROM reply\n"
"	WHERE exchange = e.id)), 0) AS bytes FROM exchange e;\n"
"CREATE VIEW v_account AS\n"
"	-- computes account from all rows, which takes time\n"
"	SELECT uid, sum(conversations) AS conversations, sum(bytes) AS bytes\n"
"	FROM (SELECT uid, 1 AS conversations, 0 AS bytes FROM conversation\n"
"	UNION ALL SELECT uid, 0, bytes FROM v_size) GROUP BY uid;\n"

"DROP VIEW v_exchange;\n"
"CREATE VIEW v_exchange AS\n"
"	-- a row for each reply, with its exchange; times as readable text\n"
"	SELECT e.id AS exchange, e.conversation, c.title, e.uid, e.kind,\n"
"	datetime(e.created / 1000, 'unixepoch') AS asked, e.prompt,\n"
"	e.preprompt, r.id AS reply, r.state, r.stop, r.error, r.text,\n"
"	r.id = (SELECT max(id) FROM reply WHERE exchange = e.id)\n"
"	AS is_current, m.name AS model, m.precision, r.seed, r.params,\n"
"	r.prompt_tokens, r.output_tokens, r.dropped, r.queued_ms,\n"
"	r.first_ms, r.total_ms, e.name, c.uuid, r.key, m.digest, r.build,\n"
"	-- was it cut before its end?\n"
"	r.state IN ('cancelled', 'interrupted') OR (r.state = 'done'\n"
"	AND ifnull(r.stop, '') IN ('length', 'context')) AS cut\n"
"	FROM exchange e LEFT JOIN conversation c ON c.id = e.conversation\n"
"	JOIN reply r ON r.exchange = e.id JOIN model m ON m.id = r.model;\n"

"DROP VIEW v_rating;\n"
"CREATE VIEW v_rating AS\n"
"	-- the ratings that count, that is, without the superseded ones\n"
"	SELECT a.id AS rating, a.reply, r.exchange, e.conversation,\n"
"	a.uid, datetime(a.created / 1000, 'unixepoch') AS rated,\n"
"	a.thumb, a.reasons, a.ideal, a.comment, e.prompt, r.text,\n"
"	m.name AS model, m.precision, a.name, r.key,\n"
"	a.uid = e.uid AS by_owner, r.state\n"
"	FROM rating a JOIN reply r ON r.id = a.reply\n"
"	JOIN exchange e ON e.id = r.exchange JOIN model m ON m.id = r.model\n"
"	WHERE NOT EXISTS (SELECT 1 FROM rating WHERE supersedes = a.id);\n"

"CREATE VIEW v_preference AS\n"
"	-- pairs of a better and a worse text, each by one rater: an ideal\n"
"	-- text and its reply, and replies to one prompt rated 1 and -1\n"
"	SELECT g.exchange, g.conversation, g.uid, g.name, g.prompt,\n"
"	g.ideal AS chosen, g.text AS rejected, NULL AS chosen_reply,\n"
"	g.reply AS rejected_reply, 1 - g.thumb AS margin FROM v_rating g\n"
"	WHERE trim(g.ideal) <> '' AND g.ideal <> g.text\n"
"	AND g.state = 'done' AND g.text <> ''\n"
"	UNION ALL SELECT g.exchange, g.conversation, g.uid, g.name,\n"
"	g.prompt, g.text, b.text, g.reply, b.reply, 2 FROM v_rating g\n"
"	JOIN reply o ON o.exchange = g.exchange AND o.id <> g.reply\n"
"	JOIN v_rating b ON b.reply = o.id AND b.uid = g.uid\n"
"	WHERE g.thumb = 1 AND b.thumb = -1 AND g.text <> b.text\n"
"	AND g.state = 'done' AND g.text <> ''\n"
"	AND b.state = 'done' AND b.text <> '';\n"

"CREATE VIEW v_conversation AS\n"
"	-- conversations, with their sizes and the consent that holds\n"
"	SELECT c.id AS conversation, c.uuid, c.uid, c.name, c.title,\n"
"	datetime(c.created / 1000, 'unixepoch') AS began,\n"
"	datetime(c.updated / 1000, 'unixepoch') AS changed,\n"
"	ifnull(c.consent, a.consent) AS consent, (SELECT count(*)\n"
"	FROM exchange WHERE conversation = c.id) AS exchanges,\n"
"	(SELECT count(*) FROM rating t JOIN reply r ON r.id = t.reply\n"
"	JOIN exchange e ON e.id = r.exchange WHERE e.conversation = c.id\n"
"	AND NOT EXISTS (SELECT 1 FROM rating WHERE supersedes = t.id))\n"
"	AS ratings FROM conversation c LEFT JOIN account a\n"
"	ON a.uid = c.uid;\n"

"DROP VIEW v_verdict;\n"
"CREATE VIEW v_verdict AS\n"
"	-- verdicts with the text that was found; null if the text has been\n"
"	-- redacted, because start and end are places in the text before\n"
"	SELECT v.id AS verdict, v.reply, r.exchange, e.conversation,\n"
"	v.direction, v.action, v.category, v.score, v.plugin, v.rule,\n"
"	CASE WHEN NOT EXISTS (SELECT 1 FROM verdict WHERE reply = v.reply\n"
"	AND direction = v.direction AND action = 'redact') THEN\n"
"	CAST(substr(CAST(CASE v.direction WHEN 'prompt' THEN e.prompt\n"
"	ELSE r.text END AS BLOB), v.start + 1, v.\"end\" - v.start) AS TEXT)\n"
"	END AS span, r.state, f.version, f.digest, v.detail\n"
"	FROM verdict v JOIN reply r ON r.id = v.reply\n"
"	JOIN exchange e ON e.id = r.exchange\n"
"	LEFT JOIN filter_version f ON f.id = v.version;\n"

/* The tokens of a redacted reply spell what was taken out. */
"UPDATE size SET bytes = bytes - (SELECT sum(length(r.ids)) FROM reply r\n"
"	WHERE r.exchange = size.exchange AND " REDACTED ")\n"
"	WHERE exchange IN (SELECT r.exchange FROM reply r\n"
"	WHERE " REDACTED ");\n"
"UPDATE reply AS r SET ids = x'' WHERE " REDACTED ";\n";

/* Step i takes a file from version i to version i + 1. */
const char *const schema_steps[SCHEMA_VERSION] = {
	schema_tables,
	schema_sizes,
	schema_facts,
	schema_adapters,
};
