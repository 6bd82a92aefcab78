"""The line of every value of a document in which each number is the line on which it stands."""

from __future__ import annotations

from typing import Any

import tomli
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.config.schema import KeyPath
from nexus_core.config.toml_lines import locate

WORDS = st.sampled_from(["a", "b-1", "3", '"q.u"', "'l # ['", '"\\u0041\\" ]"', '""'])
FILLER = st.sampled_from(
    [
        "",
        "# x = [1",
        '"f" = "]}#"',
        "f = '''\n[a]\n# '''",
        'f = """\n\\"""\n[[b]] """""',
        "f = {}",
        "f = 1979-05-27 07:32:00  # t",
        "f = [ [\n], # ]\n '}', ]",
        "f = { x = '}' }",
    ]
)


class Writer:
    """Writes TOML, and knows its line."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""

    def put(self, text: str) -> None:
        self.text += text

    @property
    def line(self) -> str:
        return str(self.text.count("\n") + 1)

    def keys(self) -> list[str]:
        return self.draw(st.lists(WORDS, min_size=1, max_size=4, unique_by=_plain))

    def pairs(self, prefix: str) -> None:
        for key in self.keys():
            self.put(f"{prefix}{self.draw(st.sampled_from(['', ' ']))}{key} = ")
            self.value(2)
            self.put("\n")

    def value(self, depth: int) -> None:
        kind = self.draw(st.sampled_from(["number", "list", "table"])) if depth else "number"
        gap = self.draw(st.sampled_from(["", " ", "\n", " # ]},\n\n"]))
        if kind == "number":
            self.put(self.line)
        elif kind == "list":
            self.put("[")
            for _ in range(self.draw(st.integers(0, 3))):
                self.put(gap)
                self.value(depth - 1)
                self.put(",")
            self.put(gap + "]")
        else:
            self.put("{")
            for index, key in enumerate(self.keys()):
                self.put(", " if index else " ")
                self.put(f"{key} = ")
                self.value(depth - 1)
            self.put(" }")

    def filler(self, number: int) -> None:
        self.put(self.draw(FILLER).replace("f", f"f{number}", 1) + "\n")


def _plain(word: str) -> str:
    return str(next(iter(tomli.loads(f"{word} = 1"))))


@st.composite
def documents(draw: st.DrawFn) -> str:
    writer = Writer(draw)
    writer.pairs("")
    for number in range(draw(st.integers(0, 4))):
        header = draw(
            st.sampled_from([f"[t{number}]", f'[x."t {number}"]', "[[list]]", "[[ x . 'list' ]]"])
        )
        writer.put(f"{header} # [[no]]\n")
        writer.filler(number)
        writer.pairs(draw(st.sampled_from(["", "d.", 'd . "e" .'])))
        if header == "[[list]]":
            writer.put("[[list.inner]]\n")
            writer.pairs("")
            writer.put("[list.inner.most]\n")
            writer.pairs("")
    return writer.text


def leaves(value: Any, path: KeyPath = ()) -> list[tuple[KeyPath, int]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    if isinstance(value, list):
        return [leaf for index, item in enumerate(value) for leaf in leaves(item, (*path, index))]
    in_filler = any(str(part).startswith("f") for part in path)
    return [] if in_filler or not isinstance(value, int) else [(path, value)]


@given(documents())
def test_every_value_of_a_document_is_found_on_its_line(text: str) -> None:
    document = tomli.loads(text)

    lines = locate(text)

    # A key and its value share a line in these documents; an item of a list may stand further on.
    assert {path: lines.get(path) for path, _ in leaves(document)} == dict(leaves(document))


@given(documents())
def test_line_endings_do_not_matter(text: str) -> None:
    assert locate(text.replace("\n", "\r\n")) == locate(text)
