"""Coding agents themselves, each for a turn with a tool; `make test-programs` runs them."""
