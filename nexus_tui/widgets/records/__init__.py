"""Widgets of what happened: log lines, and what operators did."""
