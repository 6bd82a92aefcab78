"""Who may know a wire format: the dialects and those who translate, and nobody else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import nexus_core

CORE = Path(nexus_core.__file__).parent
JSON = {"json", "orjson", "simplejson", "ujson"}
# Of msgspec they may use its structs, as values.
MSGSPEC = {"Struct", "structs", "field", "UNSET", "UnsetType", "msgpack", "MsgspecError"}
KNOWN = {"nexus_core.dialects.base", "nexus_core.dialects.request"}


def imports(file: Path) -> Iterator[str]:
    """The names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def msgspec_names(file: Path) -> Iterator[str]:
    """What a file uses of msgspec."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "msgspec":
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("msgspec"):
            _, _, part = (node.module or "").partition(".")
            yield from (part,) if part else (alias.name for alias in node.names)


def modules_of(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (CORE / folder).rglob("*.py"))


@pytest.mark.parametrize("file", modules_of("proxy", "money", "routing"), ids=str)
def test_who_moves_requests_parses_no_json_and_knows_no_format(file: Path) -> None:
    named = set(imports(file))

    assert not {name.partition(".")[0] for name in named} & JSON
    assert set(msgspec_names(file)) <= MSGSPEC
    for name in named:
        if name.startswith("nexus_core.dialects"):
            assert name.startswith(tuple(KNOWN)), name


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    file = tmp_path / "late.py"
    file.write_text("def f():\n    from json import loads\n    import nexus_core.dialects.sse\n")

    assert set(imports(file)) == {"json", "json.loads", "nexus_core.dialects.sse"}
    file.write_text("import msgspec\nfrom msgspec.json import decode\nmsgspec.convert(1, int)\n")

    assert set(msgspec_names(file)) == {"json", "convert"}
