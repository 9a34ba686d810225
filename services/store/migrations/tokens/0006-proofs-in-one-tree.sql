-- A proof's key begins with the second at which it was signed, so what is past lies at the front of the table. A second tree
-- in the order of the ends cost every order a page of the log.

DROP INDEX spent_proofs_by_end;
