"""HTTP in and out: validation, headers, error bodies."""
