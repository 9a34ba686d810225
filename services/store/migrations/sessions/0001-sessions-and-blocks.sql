-- Admitted logins, when each label was last served, and who is blocked. Instants are Unix milliseconds, except issued_at:
-- whole seconds, because that is what a credential carries and what a rank compares.

CREATE TABLE sessions (
  label TEXT NOT NULL,
  generation INTEGER NOT NULL,
  kind TEXT NOT NULL,
  issued_at INTEGER NOT NULL,
  ends_at INTEGER NOT NULL,
  admitted_at INTEGER NOT NULL,
  connected_at INTEGER,
  closed_at INTEGER,
  end TEXT,
  PRIMARY KEY (label, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE last_seen (
  label TEXT NOT NULL PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX last_seen_by_time ON last_seen (at);

-- A row is in force until its writer deletes it; ends_at tells the writer when to (NULL: never).
CREATE TABLE blocks (
  label TEXT NOT NULL PRIMARY KEY,
  reason TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  ends_at INTEGER
) STRICT, WITHOUT ROWID;

-- One row that the readiness probe writes.
CREATE TABLE probe (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  count INTEGER NOT NULL
) STRICT;
