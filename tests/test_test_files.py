"""Rules that every test file keeps."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tested_elsewhere import ELSEWHERE

TESTS = Path(__file__).parent
FILES = sorted(TESTS.rglob("*.py"))
ROOT = TESTS.parent
OWN_TESTS = {"nexus_core": TESTS, "nexus_tui": TESTS / "tui"}  # each mirrors its package
TABLES = {"dialects/test_history.py", "dialects/test_usage.py"}  # of what clients and vendors send
MOST_LINES = 400
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


def own_test(module: Path) -> Path:
    """Where the test of its own name would be; `module` is seen from the repository."""
    package, *folders, name = module.parts
    return OWN_TESTS[package].joinpath(*folders, f"test_{name}")


def test_every_module_has_a_test_of_its_name_or_says_which_one_tests_it() -> None:
    modules = {
        path.relative_to(ROOT)
        for package in OWN_TESTS
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    }
    without = {module.as_posix() for module in modules if not own_test(module).exists()}

    assert without == ELSEWHERE.keys()
    assert [test for test in ELSEWHERE.values() if not (TESTS / test).is_file()] == []


def test_no_test_file_is_long() -> None:
    lines = {
        path.relative_to(TESTS).as_posix(): path.read_text(encoding="utf-8").count("\n")
        for path in FILES
    }

    assert {name for name, count in lines.items() if count > MOST_LINES} == TABLES
