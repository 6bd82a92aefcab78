"""How big rooms, doors and values may be, and that no two rooms need each other."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("nexus_core", "nexus_tui")
MOST_LINES = 400
MOST_FILES = 15  # of a folder, its __init__ not counted
MOST_PARAMETERS = 7


@cache
def sources() -> dict[str, ast.Module]:
    """Every module by its path; parsed once."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def test_no_file_is_longer_than_a_room() -> None:
    long = {
        path
        for path in sources()
        if len((ROOT / path).read_text("utf-8").splitlines()) > MOST_LINES
    }

    assert long == set()


def test_no_folder_is_fuller_than_a_glance() -> None:
    paths = [Path(path) for path in sources()]
    files = Counter(path.parent.as_posix() for path in paths if path.name != "__init__.py")

    assert {folder for folder, count in files.items() if count > MOST_FILES} == set()


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def test_what_travels_together_is_one_value() -> None:
    wide = {
        f"{path}:{node.name}"
        for path, module in sources().items()
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and len(parameters(node)) > MOST_PARAMETERS
    }

    assert wide == set()


def imports(module: ast.Module) -> Iterator[str]:
    """The modules, or names in modules, that an import needs: none for types only, none late."""
    waiting: list[ast.stmt] = list(module.body)
    while waiting:
        node = waiting.pop()
        match node:
            case ast.Import():
                yield from (one.name for one in node.names)
            case ast.ImportFrom(module=str(name)):
                yield from (f"{name}.{one.name}" for one in node.names)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                waiting += node.orelse
            case ast.If() | ast.Try():
                waiting += [*node.body, *node.orelse]
            case _:
                pass


def cycles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The groups of more than one node that all reach each other (Tarjan's algorithm)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    found: list[set[str]] = []

    def visit(node: str) -> None:
        number[node] = low[node] = len(number)
        path.append(node)
        for other in graph[node]:
            if other not in number:
                visit(other)
            if other in path:
                low[node] = min(low[node], low[other])
        if low[node] == number[node]:
            group = set(path[path.index(node) :])
            del path[path.index(node) :]
            if len(group) > 1 or node in graph[node]:
                found.append(group)

    for node in graph:
        if node not in number:
            visit(node)
    return found


def test_no_two_modules_need_each_other() -> None:
    modules = {
        path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): module
        for path, module in sources().items()
    }

    def of_ours(wanted: str) -> str | None:
        return next((one for one in (wanted, wanted.rpartition(".")[0]) if one in modules), None)

    graph = {
        name: {one for wanted in imports(module) if (one := of_ours(wanted)) is not None}
        for name, module in modules.items()
    }

    assert len(graph["nexus_core.gateway"]) > 10
    assert cycles(graph) == []


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}, "c": {"a"}}, [{"a", "b"}]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}}, [{"a", "b", "c"}]),
        ({"a": {"a"}}, [{"a"}]),
        ({"a": {"b", "c"}, "b": {"c"}, "c": set()}, []),
    ],
)
def test_cycles_are_found(graph: dict[str, set[str]], found: list[set[str]]) -> None:
    assert cycles(graph) == found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import a.b", ["a.b"]),
        ("from a import b", ["a.b"]),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    import b", ["b"]),
        ("try:\n    import a\nexcept ImportError:\n    pass", ["a"]),
        ("def late():\n    import a", []),
    ],
)
def test_imports_are_those_of_a_start(code: str, found: list[str]) -> None:
    assert list(imports(ast.parse(code))) == found


def test_parameters_are_counted_without_self() -> None:
    (function,) = ast.parse("async def f(self, a, /, b, *rest, c=1, **more): ...").body

    assert isinstance(function, ast.AsyncFunctionDef)
    assert parameters(function) == ["a", "b", "c"]
