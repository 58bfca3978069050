PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE conversation (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	uid INTEGER NOT NULL,		-- its owner
	title TEXT NOT NULL,
	created INTEGER NOT NULL,	-- ms since 1970 UTC, as all times
	updated INTEGER NOT NULL
) STRICT;
INSERT INTO "conversation" VALUES(1,1000,'prompt of a',1700000000000,1700000001000);
INSERT INTO "conversation" VALUES(2,1000,'an empty one',7,7);
INSERT INTO "conversation" VALUES(3,1001,'prompt of d',1700000000000,1700000000000);
CREATE TABLE exchange (
	-- one prompt; its replies are in reply
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	conversation INTEGER		-- null: a raw prompt, kind complete
		REFERENCES conversation ON DELETE CASCADE,
	uid INTEGER NOT NULL,		-- who asked: the conversation's owner
	kind TEXT NOT NULL CHECK (kind IN ('say', 'complete')),
	prompt TEXT NOT NULL,
	preprompt TEXT,
	created INTEGER NOT NULL,
	CHECK ((conversation IS NULL) = (kind = 'complete'))
) STRICT;
INSERT INTO "exchange" VALUES(1,1,1000,'say','prompt of a','Be brief.',1700000000000);
INSERT INTO "exchange" VALUES(2,NULL,1001,'complete','prompt of c',NULL,1700000000000);
INSERT INTO "exchange" VALUES(3,3,1001,'say','prompt of d',NULL,1700000000000);
CREATE TABLE model (
	-- a model that has answered: its files and how it was run
	id INTEGER PRIMARY KEY,
	path TEXT NOT NULL,
	name TEXT NOT NULL,
	digest TEXT NOT NULL,		-- sha256:... of its files
	precision TEXT NOT NULL,	-- fp32, bf16, int8, ...
	UNIQUE (digest, precision, name, path)
) STRICT;
INSERT INTO "model" VALUES(1,'/m','mini','sha256:ab','bf16');
CREATE TABLE rating (
	-- what a user thinks of a reply. Rating again adds a row that
	-- supersedes the one before; the last of the chain counts
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	reply INTEGER NOT NULL REFERENCES reply ON DELETE CASCADE,
	uid INTEGER NOT NULL,		-- who rated
	thumb INTEGER NOT NULL CHECK (thumb IN (-1, 0, 1)),
	reasons TEXT NOT NULL		-- JSON array: incorrect, unhelpful,
		CHECK (json_valid(reasons)),	-- harmful, wrong_refusal
	ideal TEXT,			-- what the reply should have been
	comment TEXT,
	created INTEGER NOT NULL,
	supersedes INTEGER UNIQUE REFERENCES rating ON DELETE CASCADE
) STRICT;
INSERT INTO "rating" VALUES(1,2,1000,-1,'["unhelpful"]','Wie geht’s?','c',5,NULL);
INSERT INTO "rating" VALUES(2,2,1000,1,'[]',NULL,NULL,6,1);
CREATE TABLE reply (
	-- one attempt at an answer; regenerating adds another, and the one
	-- with the highest id is the current one
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	exchange INTEGER NOT NULL REFERENCES exchange ON DELETE CASCADE,
	model INTEGER NOT NULL REFERENCES model,
	key TEXT NOT NULL UNIQUE,	-- of the request that began it
	state TEXT NOT NULL CHECK (state IN ('running', 'done', 'blocked',
		'cancelled', 'failed', 'interrupted')),
	stop TEXT,			-- end, stop, length, context, cancelled
	error TEXT,			-- code, where it failed
	text TEXT NOT NULL DEFAULT '',
	ids BLOB NOT NULL DEFAULT x''	-- token ids, uint32 little-endian
		CHECK (length(ids) % 4 = 0),
	params TEXT NOT NULL CHECK (json_valid(params)),
	seed INTEGER NOT NULL,
	prompt_tokens INTEGER NOT NULL DEFAULT 0,
	output_tokens INTEGER NOT NULL DEFAULT 0,
	dropped INTEGER NOT NULL DEFAULT 0,	-- oldest turns left out
	queued_ms INTEGER NOT NULL DEFAULT 0,	-- from begin to the model
	first_ms INTEGER NOT NULL DEFAULT 0,	-- from begin to first text
	total_ms INTEGER NOT NULL DEFAULT 0,
	created INTEGER NOT NULL,
	finished INTEGER,	-- null: running, or closed after a crash
	CHECK (state <> 'running' OR finished IS NULL)
) STRICT;
INSERT INTO "reply" VALUES(1,1,1,'a','done','stop',NULL,'Grüße, Ada!',X'010000000200000003000000','{"top_k":40}',7,5,3,0,1,2,3,1700000000000,1700000001000);
INSERT INTO "reply" VALUES(2,1,1,'b','blocked','stop',NULL,'Hello again.',X'010000000200000003000000','{"top_k":40}',7,5,3,0,1,2,3,1700000000000,1700000001000);
INSERT INTO "reply" VALUES(3,2,1,'c','done','stop',NULL,'and so on',X'010000000200000003000000','{"top_k":40}',7,5,3,0,1,2,3,1700000000000,1700000001000);
INSERT INTO "reply" VALUES(4,3,1,'d','running',NULL,NULL,'',X'','{"top_k":40}',7,0,0,0,0,0,0,1700000000000,NULL);
CREATE TABLE verdict (
	-- what a filter found in a prompt or reply, and what was done
	id INTEGER PRIMARY KEY,
	reply INTEGER NOT NULL REFERENCES reply ON DELETE CASCADE,
	direction TEXT NOT NULL CHECK (direction IN ('prompt', 'reply')),
	plugin TEXT NOT NULL,
	category TEXT NOT NULL,
	score REAL NOT NULL CHECK (score BETWEEN 0 AND 1),
	start INTEGER NOT NULL,		-- span, bytes of the text judged
	"end" INTEGER NOT NULL,
	rule TEXT NOT NULL,
	action TEXT NOT NULL CHECK (action IN
		('allow', 'flag', 'redact', 'block'))
) STRICT;
INSERT INTO "verdict" VALUES(1,1,'reply','rules','x',0.5,0,1,'r','flag');
INSERT INTO "verdict" VALUES(2,1,'reply','rules','x',0.5,0,1,'r','flag');
INSERT INTO "verdict" VALUES(3,2,'reply','rules','x',0.5,0,1,'r','flag');
INSERT INTO "verdict" VALUES(4,2,'reply','rules','x',0.5,0,1,'r','flag');
CREATE INDEX conversation_uid ON conversation (uid);
CREATE INDEX exchange_conversation ON exchange (conversation);
CREATE INDEX reply_exchange ON reply (exchange);
CREATE INDEX reply_model ON reply (model);
CREATE INDEX reply_running ON reply (id) WHERE state = 'running';
CREATE UNIQUE INDEX rating_first ON rating (reply, uid)
	WHERE supersedes IS NULL;
CREATE INDEX rating_reply ON rating (reply);
CREATE INDEX verdict_reply ON verdict (reply);
CREATE VIEW v_exchange AS
	-- every exchange with each of its replies, times readable
	SELECT e.id AS exchange, e.conversation, c.title, e.uid, e.kind,
	datetime(e.created / 1000, 'unixepoch') AS asked, e.prompt,
	e.preprompt, r.id AS reply, r.state, r.stop, r.error, r.text,
	r.id = (SELECT max(id) FROM reply WHERE exchange = e.id)
	AS is_current, m.name AS model, m.precision, r.seed, r.params,
	r.prompt_tokens, r.output_tokens, r.dropped, r.queued_ms,
	r.first_ms, r.total_ms
	FROM exchange e LEFT JOIN conversation c ON c.id = e.conversation
	JOIN reply r ON r.exchange = e.id JOIN model m ON m.id = r.model;
CREATE VIEW v_rating AS
	-- ratings that count (the superseded ones are in rating)
	SELECT a.id AS rating, a.reply, r.exchange, e.conversation,
	a.uid, datetime(a.created / 1000, 'unixepoch') AS rated,
	a.thumb, a.reasons, a.ideal, a.comment, e.prompt, r.text,
	m.name AS model, m.precision
	FROM rating a JOIN reply r ON r.id = a.reply
	JOIN exchange e ON e.id = r.exchange JOIN model m ON m.id = r.model
	WHERE NOT EXISTS (SELECT 1 FROM rating WHERE supersedes = a.id);
CREATE VIEW v_verdict AS
	-- verdicts with the words they are about
	SELECT v.id AS verdict, v.reply, r.exchange, e.conversation,
	v.direction, v.action, v.category, v.score, v.plugin, v.rule,
	CAST(substr(CAST(CASE v.direction WHEN 'prompt' THEN e.prompt
	ELSE r.text END AS BLOB), v.start + 1, v."end" - v.start) AS TEXT)
	AS span, r.state
	FROM verdict v JOIN reply r ON r.id = v.reply
	JOIN exchange e ON e.id = r.exchange;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('conversation',3);
INSERT INTO "sqlite_sequence" VALUES('exchange',3);
INSERT INTO "sqlite_sequence" VALUES('reply',4);
INSERT INTO "sqlite_sequence" VALUES('rating',2);
COMMIT;
PRAGMA user_version = 1;
PRAGMA application_id = 1667785076;
