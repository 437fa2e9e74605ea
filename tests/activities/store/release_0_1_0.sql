BEGIN TRANSACTION;
CREATE TABLE calls (
	task VARCHAR(63) NOT NULL, 
	request_id VARCHAR(200) NOT NULL, 
	role VARCHAR(6) NOT NULL, 
	input_hash VARCHAR(64) NOT NULL, 
	admission VARCHAR(64) NOT NULL, 
	state VARCHAR(8) NOT NULL, 
	provider VARCHAR(63), 
	model VARCHAR(200) NOT NULL, 
	idempotency_key VARCHAR(64), 
	upper_bound VARCHAR(40), 
	answer TEXT, 
	cost VARCHAR(40), 
	error TEXT, 
	example VARCHAR(7), 
	served BOOLEAN NOT NULL, 
	degraded BOOLEAN NOT NULL, 
	created_at VARCHAR(32) NOT NULL, 
	settled_at VARCHAR(32), 
	PRIMARY KEY (task, request_id, role)
);
INSERT INTO "calls" VALUES('tickets','r-a','remote','ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb','first','answered','simulated','teacher','key-a','0.01','{"source":"remote","output":{"category":"c1","note":"naïve ✓"},"model":"teacher","version":null,"confidence":null,"cost":"0.001","input_tokens":0,"output_tokens":0,"latency_seconds":0.25}','0.001',NULL,'train',1,0,'2026-03-01T12:00:00.000000+00:00','2026-03-01T12:00:00.000000+00:00');
INSERT INTO "calls" VALUES('tickets','r-b','remote','3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d','first','intent','simulated','teacher','key-b','0.01',NULL,NULL,NULL,NULL,0,0,'2026-03-01T12:00:00.000000+00:00',NULL);
CREATE TABLE comparisons (
	task VARCHAR(63) NOT NULL, 
	request_id VARCHAR(200) NOT NULL, 
	version INTEGER NOT NULL, 
	score FLOAT NOT NULL, 
	propensity FLOAT NOT NULL, 
	confidence FLOAT, 
	created_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (task, request_id)
);
CREATE TABLE datasets (
	task VARCHAR(63) NOT NULL, 
	schema_version INTEGER NOT NULL, 
	last_id INTEGER NOT NULL, 
	train INTEGER NOT NULL, 
	holdout INTEGER NOT NULL, 
	PRIMARY KEY (task, schema_version)
);
INSERT INTO "datasets" VALUES('tickets',1,1,1,0);
CREATE TABLE examples (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	task VARCHAR(63) NOT NULL, 
	schema_version INTEGER NOT NULL, 
	request_id VARCHAR(200) NOT NULL, 
	input_hash VARCHAR(64) NOT NULL, 
	split VARCHAR(7) NOT NULL, 
	input TEXT NOT NULL, 
	output TEXT NOT NULL, 
	provider VARCHAR(63) NOT NULL, 
	model VARCHAR(200) NOT NULL, 
	fair BOOLEAN NOT NULL, 
	created_at VARCHAR(32) NOT NULL, 
	UNIQUE (task, schema_version, input_hash)
);
INSERT INTO "examples" VALUES(1,'tickets',1,'r-a','ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb','train','{"text":"a"}','{"category":"c1","note":"naïve ✓"}','simulated','teacher',1,'2026-03-01T12:00:00.000000+00:00');
CREATE TABLE schema (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema" VALUES(1);
CREATE TABLE settings (
	digest VARCHAR(16) NOT NULL, 
	task VARCHAR(63) NOT NULL, 
	settings TEXT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE versions (
	task VARCHAR(63) NOT NULL, 
	version INTEGER NOT NULL, 
	state VARCHAR(8) NOT NULL, 
	status TEXT NOT NULL, 
	PRIMARY KEY (task, version)
);
CREATE INDEX calls_in_doubt ON calls (task) WHERE state = 'intent';
CREATE INDEX examples_in_order ON examples (task, schema_version, split, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('examples',1);
COMMIT;
