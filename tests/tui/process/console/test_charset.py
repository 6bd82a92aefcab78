from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Literal

import pytest

from nexus_tui.process.console.charset import fault_of_variable, in_reach, wants_ascii, write_ascii
from tests.tui.process.test_cli import BACKEND, OFFLINE, run


@pytest.mark.parametrize(
    ("environ", "is_ascii"),
    [
        ({"LANG": "C"}, True),
        ({"LANG": "POSIX"}, True),
        ({"LC_ALL": "C"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
        ({"LANG": "de_DE.ISO-8859-15@euro"}, True),
        ({"LC_CTYPE": "ru_RU.KOI8-R", "LANG": "ru_RU.UTF-8"}, True),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, True),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "en_US.utf8"}, False),
        ({"LANG": "C.UTF-8"}, False),
        ({"LANG": "ca_ES.UTF-8@valencia"}, False),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, False),
        ({}, False),
        ({"LANG": ""}, False),
    ],
)
def test_the_locale_says_what_can_be_drawn(environ: dict[str, str], is_ascii: bool) -> None:
    assert wants_ascii("auto", environ, is_coerced=False) is is_ascii


@pytest.mark.parametrize(
    ("environ", "is_ascii"),
    [
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),
        ({"LANG": "de_DE.ISO-8859-1", "LC_CTYPE": "C.UTF-8"}, True),
        ({"LC_CTYPE": "C.UTF-8"}, False),
        ({"LC_ALL": "C"}, True),
    ],
)
def test_what_python_set_is_not_the_user_s_word(environ: dict[str, str], is_ascii: bool) -> None:
    assert wants_ascii("auto", environ, is_coerced=True) is is_ascii


@pytest.mark.parametrize(
    ("term", "is_ascii"),
    [("linux", True), ("linux-16color", True), ("vt100", True), ("vt220", True), ("dumb", False),
     ("xterm-256color", False), ("screen", False), ("tmux-256color", False), ("", False)],
)  # fmt: skip
def test_a_terminal_without_the_glyphs_gets_ascii(term: str, is_ascii: bool) -> None:
    environ = {"TERM": term, "LANG": "en_US.UTF-8"}

    assert wants_ascii("auto", environ, is_coerced=False) is is_ascii


@pytest.mark.parametrize(
    ("variable", "setting", "is_ascii"),
    [
        ("true", False, True),
        ("1", "auto", True),
        ("no", True, False),
        ("False", "auto", False),
        ("auto", True, True),
        ("", True, True),
        ("", False, False),
    ],
)
def test_the_variable_is_before_the_file_and_both_before_the_locale(
    variable: str, setting: Literal[True, False, "auto"], is_ascii: bool
) -> None:
    environ = {"NEXUS_ASCII": variable, "LANG": "C", "TERM": "vt100"}

    assert wants_ascii(setting, environ) is is_ascii


@pytest.mark.parametrize("value", ["", "auto", "TRUE", "0"])
def test_a_good_variable_has_no_fault(value: str) -> None:
    assert fault_of_variable({"NEXUS_ASCII": value}) is None


def test_a_variable_that_says_neither_is_told() -> None:
    assert fault_of_variable({"NEXUS_ASCII": "perhaps"}) == (
        "NEXUS_ASCII: is not one of true, false, auto"
    )


def test_what_a_stream_cannot_write_becomes_its_twin_or_is_escaped() -> None:
    assert "● é → ≈$1 日".encode("ascii", in_reach()) == b"* \\xe9 > ~$1 \\u65e5"
    assert "● é →".encode("latin-1", in_reach()) == b"* \xe9 >"


def test_standard_streams_can_be_held_to_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="utf-8", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)

    write_ascii()
    print("✗ down", file=stream)

    assert written.getvalue() == b"x down\n"


# The real command ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environ",
    [{"LANG": "C"}, {"NEXUS_ASCII": "1"}, {"LC_ALL": "de_DE.ISO-8859-1"}],
    ids=["locale", "variable", "charset"],
)
def test_plain_commands_write_ascii_where_there_is_no_more(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    (tmp_path / "nexus.toml").write_text(OFFLINE + BACKEND.replace('["m"]', '["m", "é"]'))

    result = run(tmp_path, "explain", "--model", "é", **environ)

    assert result.stdout.isascii()
    assert "\\xe9" in result.stdout


def test_the_file_and_the_option_ask_for_ascii_too(tmp_path: Path) -> None:
    text = OFFLINE + BACKEND.replace('["m"]', '["m", "é"]')
    (tmp_path / "nexus.toml").write_text(text)
    plain = run(tmp_path, "explain", "--model", "é", LANG="C.UTF-8")
    by_option = run(tmp_path, "explain", "--model", "é", "--ascii", LANG="C.UTF-8")
    before = run(tmp_path, "--ascii", "explain", "--model", "é", LANG="C.UTF-8")
    (tmp_path / "nexus.toml").write_text(text + "[tui]\nascii = true\n")
    by_file = run(tmp_path, "explain", "--model", "é", LANG="C.UTF-8")

    assert "é" in plain.stdout
    assert [one.stdout.isascii() for one in (by_option, before, by_file)] == [True] * 3


def test_a_variable_for_ascii_that_says_neither_is_refused(tmp_path: Path) -> None:
    result = run(tmp_path, "--no-ui", "--port", "0", NEXUS_ASCII="perhaps")

    assert result.returncode == 2
    assert "NEXUS_ASCII: is not one of true, false, auto" in result.stderr
