"""The gateway itself: configuration, routing, upstream calls, the HTTP surface. Draws nothing."""

__version__ = "0.1.0"
