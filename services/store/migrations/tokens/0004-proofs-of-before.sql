-- A revocation ends what was signed before it as well: a proof that bought nothing yet must not buy a token afterwards. By the
-- clock of whoever revoked, and by ours. Whole Unix seconds; a proof of this second or earlier is worth nothing.

CREATE TABLE proofs_revoked (
  label TEXT NOT NULL PRIMARY KEY,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Revocations of before did not say when they were made: not-before is at least a second after that.
INSERT INTO proofs_revoked (label, until) SELECT label, at - 2 FROM not_before;
