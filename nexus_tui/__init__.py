"""The `nexus` command and its dashboard: draws the state of the core, decides nothing."""
