-- The newest issued-at that a session of each label and kind ever had. Whole Unix seconds. Outlives the sessions' rows, of
-- which a label keeps some, and which say another kind when a session comes back with one.

CREATE TABLE newest_issued (
  label TEXT NOT NULL,
  kind TEXT NOT NULL,
  issued_at INTEGER NOT NULL,
  PRIMARY KEY (label, kind)
) STRICT, WITHOUT ROWID;

INSERT INTO newest_issued (label, kind, issued_at) SELECT label, kind, max(issued_at) FROM sessions GROUP BY label, kind;
