"""Painting: theme, terminal driver, pacing, clipboard."""
