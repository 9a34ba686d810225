-- Operators look at what one wallet did: without this every event would be read for it, while logins wait.

CREATE INDEX events_of_label ON events (label, sequence) WHERE label IS NOT NULL;
