"""Tabs and dialogs, composed of widgets."""
