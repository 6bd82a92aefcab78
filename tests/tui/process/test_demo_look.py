"""The demo's dashboard is the user's own; its backends and everything else are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_core.config.schema import Config
from nexus_core.config.tui import TuiConfig
from nexus_tui.process.demo_look import with_own_look


def look(directory: Path, text: str | bytes) -> Config:
    content = text if isinstance(text, bytes) else text.encode()
    (directory / "nexus.toml").write_bytes(content)
    return with_own_look(Config(), {}, directory)


def test_the_section_of_the_file_is_used_and_nothing_else_of_it(tmp_path: Path) -> None:
    text = '[server]\nport = "no port"\n[tui]\nascii = true\nquit = "leave"\nrefresh_hz = 1\n'

    config = look(tmp_path, text + '[tui.keys]\npanic = "f2"\n')

    tui = config.tui
    assert (tui.ascii, tui.quit, tui.refresh_hz, tui.keys) == (True, "leave", 1, {"panic": "f2"})
    assert config.model_copy(update={"tui": TuiConfig(), "notes": ()}) == Config()
    assert config.notes == (f"[tui] of {tmp_path}/nexus.toml is used, nothing else of it",)


def test_without_a_file_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    assert with_own_look(Config(), {}, tmp_path) == Config()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[tui]\ntheme = "pink"\n', 'tui.theme: "pink" is not one of nexus-dark'),
        ("[tui]\nacsii = true\n", 'tui.acsii: unknown key; did you mean "ascii"?'),
        ('[tui.keys]\nexport = "q"\n', 'tui.keys.export: "q" is also the key of quit'),
        ("[tui\n", "is not valid; nexus check names its faults"),
        (b"[tui]\n#\xff\n", "is not valid; nexus check names its faults"),
        ("tui = 1\n", "tui: must be a table"),
    ],
)
def test_a_faulty_file_is_a_note_and_the_demo_starts(
    tmp_path: Path, text: str | bytes, problem: str
) -> None:
    config = look(tmp_path, text)

    (note,) = config.notes
    assert note.startswith(f"[tui] is not used: {tmp_path}/nexus.toml: {problem}")
    assert config.tui == TuiConfig()


def test_a_file_that_is_missing_is_a_note(tmp_path: Path) -> None:
    config = with_own_look(Config(), {"NEXUS_CONFIG": str(tmp_path / "gone.toml")}, tmp_path)

    (note,) = config.notes
    assert note.startswith("[tui] is not used: ")
    assert note.endswith("no such file; set by NEXUS_CONFIG")
