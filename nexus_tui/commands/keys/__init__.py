"""`nexus keys`: client keys made at run time."""
