-- One tree of tokens in place of three, since each costs every order a page of the log. "The newest of this kind" is a step
-- down the primary key however many tokens of another kind there are, and old rows are swept by walking along it.
-- issued_at still rises a label whatever the kind: whoever records a token looks at every kind first.

CREATE TABLE tokens_by_key (
  label TEXT NOT NULL,
  kind TEXT NOT NULL,
  issued_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (label, kind, issued_at)
) STRICT, WITHOUT ROWID;

INSERT INTO tokens_by_key (label, kind, issued_at, expires_at) SELECT label, kind, issued_at, expires_at FROM tokens ORDER BY label, kind, issued_at;

DROP TABLE tokens;

ALTER TABLE tokens_by_key RENAME TO tokens;

-- A proof's key begins with the second at which it was signed: what is spent at the same time lies together.
-- Before: purpose, label, second.
UPDATE spent_proofs
SET proof_key = substr(proof_key, 2 + length(rtrim(proof_key, '0123456789')) - 1) || ':' || rtrim(rtrim(proof_key, '0123456789'), ':')
WHERE proof_key GLOB '*[a-z]:*[a-z0-9]:[0-9]*' AND length(rtrim(proof_key, '0123456789')) < length(proof_key);
