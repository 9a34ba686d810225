-- What happened, append-only: each row's hash is over the hash of the row before it and all that the row says. Unix
-- milliseconds. No index by label: it would cost every order a page, and whoever asks for one label's history can wait.

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

-- Written when a backup is put in place, and never else: what was issued, or signed, before counts for no label. Whole Unix
-- seconds, as in not_before and proofs_revoked.
CREATE TABLE floor (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  not_before INTEGER NOT NULL,
  proofs_until INTEGER NOT NULL
) STRICT;
