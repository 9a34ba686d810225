-- Until when the plugin knew its sessions to be what the rows say. Unix milliseconds. One row.

CREATE TABLE watched (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  at INTEGER NOT NULL
) STRICT;
