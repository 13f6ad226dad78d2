CREATE TABLE journal (
	singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
	id        TEXT NOT NULL
) STRICT;
CREATE TABLE entries (
	seq           INTEGER PRIMARY KEY,
	at            INTEGER NOT NULL,
	evaluation_id TEXT NOT NULL UNIQUE,
	request_key   TEXT NOT NULL,
	digest        TEXT NOT NULL,
	outcome       TEXT NOT NULL,
	principal     TEXT NOT NULL,
	answer        BLOB NOT NULL,
	body          BLOB NOT NULL,
	prev          BLOB NOT NULL,
	seal          BLOB NOT NULL,
	hash          BLOB NOT NULL
) STRICT;
CREATE INDEX entries_by_request ON entries (request_key, seq);
CREATE INDEX entries_by_principal ON entries (principal, seq);
CREATE INDEX entries_by_time ON entries (at);
CREATE TABLE checkpoints (
	size INTEGER PRIMARY KEY,
	note TEXT NOT NULL
) STRICT;
CREATE TABLE probe (
	singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
	at        INTEGER NOT NULL
) STRICT;
