"""What a command can't show, and the exit code for it."""

from __future__ import annotations

BAD = 2  # the exit code where nobody can say


class NoAnswerError(Exception):
    """No answer to show; the message says why."""
