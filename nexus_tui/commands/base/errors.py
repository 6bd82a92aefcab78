"""What a command can't show, and the exit code for it."""

from __future__ import annotations

NOTHING, BAD = 1, 2  # the exit codes: there is no such thing; nobody can say


class NoAnswerError(Exception):
    """No answer to show; the message says why."""

    code = BAD


class NotFoundError(NoAnswerError):
    """The Nexus answered that there is no such thing."""

    code = NOTHING
