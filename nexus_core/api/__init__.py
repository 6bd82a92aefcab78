"""The HTTP API: validation, headers, error bodies."""
