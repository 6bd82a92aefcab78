from __future__ import annotations

import re
from pathlib import Path

import pytest

from nexus_tui.view.filter.requests import REQUESTS, parse_filter
from nexus_tui.view.filter.table import GRAMMAR, LANGUAGES, documented, table

DOCUMENT = (Path(__file__).parents[4] / "docs" / "filter.md").read_text("utf-8")


@pytest.mark.parametrize("name", documented())
def test_the_document_has_the_tables(name: str) -> None:
    found = re.search(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", DOCUMENT, re.DOTALL)

    assert found is not None
    assert found[1].splitlines() == documented()[name]


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_value_in_the_table_is_one(name: str) -> None:
    language = LANGUAGES[name]

    for key in language.keys:
        for value in key.values.split("  "):
            assert language.parse(f"{key.name}:{value}").problem is None, (key.name, value)
            for also in key.also:
                again = language.parse(f"{also}:{value}")
                assert str(again) == str(language.parse(f"{key.name}:{value}"))


def test_the_grammars_examples_are_filters() -> None:
    for row in GRAMMAR[:-2]:
        assert parse_filter(row.written).problem is None, row.written


def test_every_key_is_documented_once() -> None:
    written = [row.written.partition(":")[0] for row in table(REQUESTS)]

    assert len({*written}) == len(written) == 1 + len(REQUESTS.keys) + len(REQUESTS.flags)


def test_the_commands_of_the_document_hold_filters() -> None:
    commands = re.findall(r"^nexus requests (.*)$", DOCUMENT, re.MULTILINE)

    assert len(commands) == 3
    for command in commands:
        text = command.replace("--json", "").replace("'", "")
        assert parse_filter(text).problem is None, command
