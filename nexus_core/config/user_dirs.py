"""The user's own folders for configuration, data and logs; None where there is no home.

Containers run with an arbitrary uid that no passwd knows, and without HOME. Some versions of
platformdirs raise then, others give a path that begins with a "~" nobody resolves.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import platformdirs


def config_dir() -> Path | None:
    """Where nexus.toml may lie."""
    return _found(lambda: platformdirs.user_config_path("nexus", appauthor=False))


def data_dir() -> Path | None:
    """Where the ledger lies."""
    return _found(lambda: platformdirs.user_data_path("nexus", appauthor=False))


def log_dir() -> Path | None:
    """Where the trace of a crash goes."""
    return _found(lambda: platformdirs.user_log_path("nexus", appauthor=False))


def expanded(path: str) -> Path | None:
    """A path with a "~" resolved; None where there is no home to resolve it to."""
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
