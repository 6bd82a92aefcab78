"""The user's directories for configuration, data and logs; None without a home directory.

Containers run with an arbitrary uid that no passwd knows, and without HOME. Some versions of
platformdirs raise then, others give a path that begins with a "~" nobody resolves.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import platformdirs


def config_dir() -> Path | None:
    """The user's directory for nexus.toml."""
    return _found(lambda: platformdirs.user_config_path("nexus", appauthor=False))


def data_dir() -> Path | None:
    """The user's directory for the ledger."""
    return _found(lambda: platformdirs.user_data_path("nexus", appauthor=False))


def log_dir() -> Path | None:
    """The user's directory for crash reports."""
    return _found(lambda: platformdirs.user_log_path("nexus", appauthor=False))


def expanded(path: str) -> Path | None:
    """Expand "~" in a path; None without a home directory."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return None


def _found(look: Callable[[], Path]) -> Path | None:
    try:
        path = look()
    except RuntimeError:
        return None
    return path if path.is_absolute() else None
