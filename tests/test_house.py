"""Rules that every test file keeps."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FILES = sorted(TESTS.rglob("*.py"))
SLEEPERS = {"asyncio", "time", "anyio"}


def sleeps(source: str) -> Iterator[int]:
    """The lines that sleep, or that wait for a fixed time with Textual's pilot."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr="sleep") if module in SLEEPERS:
                yield node.lineno
            case ast.ImportFrom(module=str(module), names=names) if module in SLEEPERS:
                if any(name.name == "sleep" for name in names):
                    yield node.lineno
            case ast.Call(func=ast.Attribute(attr="pause"), args=[_, *_]):
                yield node.lineno


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import asyncio\nawait asyncio.sleep(0)", [2]),
        ("import time\ntime.sleep(1)", [2]),
        ("from time import monotonic, sleep", [1]),
        ("wait = asyncio.sleep", [1]),
        ("await pilot.pause(0.3)", [1]),
        ("await pilot.pause()\nview.pause()\nself.sleep(3)", []),
    ],
)
def test_a_sleep_is_seen(source: str, lines: list[int]) -> None:
    assert list(sleeps(source)) == lines


def test_no_test_sleeps() -> None:
    """It waits for a condition, or puts the clock ahead: `tests/waiting.py` can do both."""
    found = [
        f"{path.relative_to(TESTS)}:{line}"
        for path in FILES
        if path.name != "waiting.py"
        for line in sleeps(path.read_text(encoding="utf-8"))
    ]

    assert found == []
