"""Completion token limit and number of choices of a request: read in one place."""

from __future__ import annotations

from collections.abc import Mapping

LIMITS = frozenset({"max_completion_tokens", "max_tokens", "n"})  # the fields read here
MAX_CHOICES = 128  # more than any provider gives


def completion_limit(fields: Mapping[str, object]) -> int | None:
    """The completion tokens that a request allows for one choice; None when it sets no limit.

    `max_completion_tokens` takes the place of `max_tokens`, and wins where both are there.
    https://platform.openai.com/docs/api-reference/chat/create
    """
    for name in ("max_completion_tokens", "max_tokens"):
        limit = fields.get(name)
        if isinstance(limit, int) and limit > 0:
            return limit
    return None


def number_of_choices(fields: Mapping[str, object]) -> int:
    """Number of answers requested (`n`); 1 where the value is invalid."""
    number = fields.get("n")
    return min(number, MAX_CHOICES) if isinstance(number, int) and number > 1 else 1
