/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The step of the schema that brings adapters: which one wrote a reply, and how
 * it was chosen.  schema_steps.c has the steps before it.
 */
#include "schema_impl.h"

const char schema_adapters[] =
"CREATE TABLE adapter (\n"
"	-- an adapter that wrote replies beside the model\n"
"	id INTEGER PRIMARY KEY,\n"
"	name TEXT NOT NULL,		-- as in chatd.yaml\n"
"	digest TEXT NOT NULL,		-- sha256:... of its files\n"
"	UNIQUE (name, digest)\n"
") STRICT;\n"

"-- the adapter that wrote the reply; null: the model alone\n"
"ALTER TABLE reply ADD COLUMN adapter INTEGER REFERENCES adapter;\n"
"-- 1: model.ab of chatd.yaml chose the adapter, or that there is none\n"
"ALTER TABLE reply ADD COLUMN assigned INTEGER NOT NULL DEFAULT 0\n"
"	CHECK (assigned IN (0, 1));\n"

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
"	AND ifnull(r.stop, '') IN ('length', 'context')) AS cut,\n"
"	l.name AS adapter, l.digest AS adapter_digest, r.assigned\n"
"	FROM exchange e LEFT JOIN conversation c ON c.id = e.conversation\n"
"	JOIN reply r ON r.exchange = e.id JOIN model m ON m.id = r.model\n"
"	LEFT JOIN adapter l ON l.id = r.adapter;\n";
