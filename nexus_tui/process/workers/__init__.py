"""Several workers on one port: their supervisor, and what each of them runs."""
