"""A request and its bodies as text: to read, to edit, to send again, to archive."""
