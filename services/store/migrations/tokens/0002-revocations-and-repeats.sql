-- What a reader that polls must hear of, and what a request with an Idempotency-Key bought. Instants are whole Unix seconds.

-- The newest change of each label's not_before. Every change takes the next sequence and the place of the label's former
-- one: whoever has read up to a sequence finds all that changed since behind it, however long ago that was.
CREATE TABLE revocations (
  sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  label TEXT NOT NULL UNIQUE,
  not_before INTEGER NOT NULL
) STRICT;

INSERT INTO revocations (label, not_before) SELECT label, at FROM not_before ORDER BY at, label;

-- key_hash and request_hash are SHA-256: neither what was sent nor the token is stored. The token is the row of `tokens`
-- with this label and issued_at, and is made again with key_id. The row counts until `until`, that second included.
CREATE TABLE repeats (
  label TEXT NOT NULL,
  key_hash TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  issued_at INTEGER NOT NULL,
  key_id TEXT NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (label, key_hash)
) STRICT, WITHOUT ROWID;

-- The order in which old rows are swept.
CREATE INDEX repeats_by_end ON repeats (until);
