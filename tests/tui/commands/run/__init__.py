"""`nexus run`."""
