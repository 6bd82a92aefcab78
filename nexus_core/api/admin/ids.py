"""Ids of events and log lines over HTTP: the word of a run and a number within it."""

from __future__ import annotations

import re

PATTERN = "^([0-9a-f]{1,16})-([0-9]{1,15})$"

_ID = re.compile(PATTERN)


def numbered(run: str, number: int) -> str:
    """`1f0c9a2b-17`: another run of Nexus begins to count anew, under another word."""
    return f"{run}-{number}"


def is_id(text: str) -> bool:
    """Whether it is written like one."""
    return _ID.fullmatch(text) is not None


def number_of(text: str, run: str, last: int) -> int | None:
    """The number in an id of this run, `last` at most; None where it is of another one."""
    found = _ID.fullmatch(text)
    if found is None or found[1] != run or int(found[2]) > last:
        return None
    return int(found[2])
