"""Dialogs of a fleet."""
