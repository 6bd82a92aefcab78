"""Levels of log lines, by rank."""

from __future__ import annotations

LEVELS = ("debug", "info", "warning", "error")  # that can be asked for
ALL_LEVELS = (*LEVELS, "critical")
_RANK = {"critical": len(LEVELS) - 1} | {level: rank for rank, level in enumerate(LEVELS)}
_UNKNOWN = _RANK["info"]


def rank(level: str) -> int:
    """Its place among LEVELS; one that nobody knows counts as info."""
    return _RANK.get(level, _UNKNOWN)
