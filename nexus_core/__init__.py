"""The gateway itself: configuration, routing, upstream calls and the HTTP surface. Draws nothing."""

__version__ = "0.1.0"
