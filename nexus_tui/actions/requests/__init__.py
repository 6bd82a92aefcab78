"""Actions on requests: open, follow up, replay and edit, read, copy and export."""
