"""Observability: typed events, the event bus, and statistics folded from events."""
