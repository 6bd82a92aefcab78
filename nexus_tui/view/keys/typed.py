"""A key's name and limits as they are typed: `laptop rpm=60 budget=20 models=llama*`."""

from __future__ import annotations

import time
from collections.abc import Mapping

from nexus_core.errors import InvalidRequestError
from nexus_core.keys.asked import FIELDS, changed, read_name
from nexus_core.keys.key import NO_LIMITS
from nexus_core.near_names import near_names

EXAMPLE = "rpm=60  tpm=100k  parallel=4  budget=20  models=llama*  zone=restricted  expires=30d"


def read_typed(text: str) -> tuple[str, dict[str, str]]:
    """The name, which may be empty, and the limits, as options are typed.

    Raises:
        InvalidRequestError: it can't be read.
    """
    names: list[str] = []
    asked: dict[str, str] = {}
    for word in text.split():
        field, sign, value = word.partition("=")
        if not sign:
            names.append(word)
            continue
        if field not in FIELDS:
            near = near_names(field, FIELDS)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(FIELDS)}"
            raise InvalidRequestError(f"{field}= is not known; {hint}")
        asked[field] = value
    if len(names) > 1:
        raise InvalidRequestError(f"a key has one name; {names[1]!r} is neither that nor a limit")
    return (names[0] if names else ""), asked


def written(limits: Mapping[str, str]) -> str:
    """Limits as they are typed."""
    return " ".join(f"{name}={value}" for name, value in limits.items())


def wrong_key(text: str) -> str | None:
    """What is wrong with a new key as it is typed."""
    try:
        name, asked = read_typed(text)
        if not name:
            return "begin with the key's name, such as laptop"
        read_name(name)
        changed(NO_LIMITS, asked, time.time())
    except InvalidRequestError as error:
        return error.message
    return None


def wrong_limits(text: str) -> str | None:
    """What is wrong with limits as they are typed."""
    try:
        name, asked = read_typed(text)
        if name:
            return f"{name!r} is no limit: write rpm=60, budget=20, …"
        changed(NO_LIMITS, asked, time.time())
    except InvalidRequestError as error:
        return error.message
    return None
