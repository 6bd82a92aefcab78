"""Ids of events and log lines in the API: the id of the run and a number within it."""

from __future__ import annotations

import re

PATTERN = "^([0-9a-f]{1,16})-([0-9]{1,15})$"

_ID = re.compile(PATTERN)


def numbered(run: str, number: int) -> str:
    """An id such as `1f0c9a2b-17`: the run's id and a number that starts anew with each run."""
    return f"{run}-{number}"


def is_id(text: str) -> bool:
    """Whether the text has the form of an id."""
    return _ID.fullmatch(text) is not None


def number_of(text: str, run: str, last: int) -> int | None:
    """The number of an id of this run, `last` at most; None for an id of another run."""
    found = _ID.fullmatch(text)
    if found is None or found[1] != run or int(found[2]) > last:
        return None
    return int(found[2])
