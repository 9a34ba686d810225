-- What happened, append-only: each row's hash is over the hash of the row before it and all that the row says.

CREATE TABLE events (
  sequence INTEGER NOT NULL PRIMARY KEY,
  at INTEGER NOT NULL,
  event TEXT NOT NULL,
  label TEXT,
  detail TEXT NOT NULL,
  hash BLOB NOT NULL
) STRICT;

-- Two rows: `head`, the newest event, and `base`, the last one that was forgotten (sequence 0 when none was).
CREATE TABLE checkpoints (
  name TEXT NOT NULL PRIMARY KEY,
  sequence INTEGER NOT NULL,
  hash BLOB NOT NULL,
  at INTEGER NOT NULL,
  key_id TEXT NOT NULL,
  signature BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- A subject is a label or a network in CIDR. A block holds until `ends_at` has passed (NULL: until it is lifted).
CREATE TABLE blocks_of_subjects (
  subject TEXT NOT NULL PRIMARY KEY,
  reason TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  ends_at INTEGER
) STRICT, WITHOUT ROWID;

INSERT INTO blocks_of_subjects (subject, reason, created_at, ends_at) SELECT label, reason, created_at, ends_at FROM blocks;

DROP TABLE blocks;

ALTER TABLE blocks_of_subjects RENAME TO blocks;

-- Credentials of the label issued before `not_before` (whole Unix seconds) are revoked by an operator; so are proofs signed
-- until `at` (Unix milliseconds).
CREATE TABLE operator_revocations (
  label TEXT NOT NULL PRIMARY KEY,
  not_before INTEGER NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
