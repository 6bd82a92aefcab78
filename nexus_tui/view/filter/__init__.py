"""Filter language: one grammar for every list, with a table of keys for each kind of row."""
