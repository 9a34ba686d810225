-- Tokens that were issued, proofs that bought them, and what is revoked. Instants are whole Unix seconds.

-- issued_at rises a label, whatever the kind: the key says so. The token itself is never stored.
CREATE TABLE tokens (
  label TEXT NOT NULL,
  issued_at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (label, issued_at)
) STRICT, WITHOUT ROWID;

-- "The newest of this kind", one step down a tree however many tokens of another kind there are.
CREATE INDEX tokens_by_kind ON tokens (label, kind, issued_at);

-- The order in which old rows are swept.
CREATE INDEX tokens_by_end ON tokens (expires_at, label, issued_at);

CREATE TABLE spent_proofs (
  proof_key TEXT NOT NULL PRIMARY KEY,
  ends_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX spent_proofs_by_end ON spent_proofs (ends_at);

-- Credentials of the label issued before `at` are revoked.
CREATE TABLE not_before (
  label TEXT NOT NULL PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row that the readiness probe writes.
CREATE TABLE probe (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  count INTEGER NOT NULL
) STRICT;
