"""No widget or screen hands text to Textual where it would be read as markup."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import nexus_tui

ROOM = Path(nexus_tui.__file__).parent
DRAWING = ("widgets", "screens", "actions")
FILES = sorted(
    [ROOM / "app.py", *(file for name in DRAWING for file in (ROOM / name).rglob("*.py"))]
)

# What Textual reads as markup: the call, and which of its arguments.
# https://textual.textualize.io/guide/content/#markup
_READERS = frozenset(
    {"Static", "Label", "Button", "Checkbox", "RadioButton", "Link", "Collapsible"}
)
_METHODS = frozenset({"notify", "update", "set_label", "from_markup", "render_markup"})
_ATTRIBUTES = frozenset({"border_title", "border_subtitle", "tooltip", "label", "sub_title"})
_PLAIN = frozenset({"Content", "Text"})


def faults(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in _READERS:
                yield from _unsafe(node, name)
            case ast.Call(func=ast.Attribute(attr=name)) if name in _METHODS and node.args:
                yield from _unsafe(node, name)
            case ast.Assign(targets=[ast.Attribute(attr=name)], value=value):
                if name in _ATTRIBUTES and not _is_plain(value):
                    yield f"{node.lineno}: {name} is read as markup"
            case _:
                pass


def _unsafe(call: ast.Call, name: str) -> Iterator[str]:
    says_not = any(
        word.arg == "markup" and isinstance(word.value, ast.Constant) and word.value.value is False
        for word in call.keywords
    )
    if not says_not and not all(map(_is_plain, call.args)):
        yield f"{call.lineno}: {name} reads its text as markup"


def _is_plain(value: ast.expr) -> bool:
    """A constant that is no f-string, or text that was made plain on purpose."""
    if isinstance(value, ast.Constant):
        return not (isinstance(value.value, str) and "[" in value.value)
    return (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in _PLAIN
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOM)))
def test_no_text_is_read_as_markup(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))

    assert list(faults(tree)) == []


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("Static(f'{model}')", 1),
        ("Label(model)", 1),
        ("self.notify(error.message)", 1),
        ("self.border_title = backend.name", 1),
        ("widget.tooltip = f'{name}'", 1),
        ("Static('[b]x')", 1),
        ("Static('plain')", 0),
        ("Static(Content(model))", 0),
        ("Static(model, markup=False)", 0),
        ("self.border_title = Text(name)", 0),
    ],
)
def test_the_lint_sees_what_it_is_for(code: str, count: int) -> None:
    assert len(list(faults(ast.parse(code)))) == count
