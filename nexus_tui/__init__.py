"""The `nexus` command and its dashboard: draws what the core knows, decides nothing."""
