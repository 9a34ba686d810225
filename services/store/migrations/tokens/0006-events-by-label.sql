-- Operators look at what one wallet did: without this every event would be read for it.

CREATE INDEX events_of_label ON events (label, sequence) WHERE label IS NOT NULL;
