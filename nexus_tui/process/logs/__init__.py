"""Where log lines go: to stderr or into memory, also if nobody reads."""
