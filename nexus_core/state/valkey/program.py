"""The Lua program that the store runs for each call: common parts, one file per part, dispatch."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_FIRST, _LAST = "common.lua", "dispatch.lua"


class Program(NamedTuple):
    """A program and the name that EVALSHA knows it by."""

    body: bytes
    sha1: bytes


@cache
def program() -> Program:
    """The program; every file of `scripts` is a part of it."""
    folder = files("nexus_core.state.valkey") / "scripts"
    names = {one.name for one in folder.iterdir() if one.name.endswith(".lua")}
    order = [_FIRST, *sorted(names - {_FIRST, _LAST}), _LAST]
    # A file's locals end with it, all but those of the first: Lua has room for 200 of them.
    bodies = [(folder / name).read_text("utf-8") for name in order]
    parts = [f"do\n{body}\nend" for body in bodies[1:-1]]
    body = "\n".join([bodies[0], *parts, bodies[-1]]).encode()
    return Program(body, hashlib.sha1(body, usedforsecurity=False).hexdigest().encode())
