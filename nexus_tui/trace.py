"""What an unexpected end leaves behind: one line for the user, the traceback in a file."""

from __future__ import annotations

import os
import time


def summary(error: BaseException) -> str:
    """What it died of, in a line; of a group, its first part."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"ended by an unexpected {type(error).__name__}"


def keep_trace(error: BaseException) -> str:
    """Write the traceback to a file that only the user can read; says where."""
    import traceback

    import platformdirs

    stamp = time.strftime("%Y%m%d-%H%M%S")
    directory = platformdirs.user_log_path("nexus", appauthor=False)
    path = directory / f"crash-{stamp}-{os.getpid()}.txt"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
    except OSError as problem:
        return f"the trace could not be written to {path}: {problem.strerror}"
    return f"the trace is in {path}"
