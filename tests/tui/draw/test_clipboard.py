"""The clipboard of the desktop, and the files where nothing is sure."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from nexus_tui.app import NexusApp
from nexus_tui.draw import clipboard
from tests.tui.fleet import fixed_now
from tests.tui.screen import press, screen_text
from tests.tui.staged import make_stage
from tests.waiting import until


def texts_in(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.iterdir()]


def run_copy(text: str, environ: dict[str, str], *, may_keep: bool = True) -> clipboard.Copied:
    files = clipboard.CopiedFiles() if may_keep else None
    return asyncio.run(clipboard.copy(text, environ, files))


def fake_tool(directory: Path, name: str, script: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_desktop_s_tool_takes_the_text(tmp_path: Path) -> None:
    fake_tool(tmp_path, "wl-copy", f"/bin/cat > {tmp_path}/taken")

    copied = run_copy("héllo", {"PATH": str(tmp_path), "WAYLAND_DISPLAY": "w"})

    assert copied == clipboard.Copied(is_sure=True)
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "héllo"


@pytest.mark.parametrize(
    "environ", [{}, {"DISPLAY": ":0", "SSH_CONNECTION": "1 2 3 4"}, {"DISPLAY": ":0"}]
)
def test_where_no_tool_is_sure_a_file_holds_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fake_tool(tmp_path, "xclip", "exit 1")

    copied = run_copy("text", {"PATH": str(tmp_path), **environ})

    assert not copied.is_sure
    assert copied.path is not None
    kept = Path(copied.path)
    assert kept.read_text() == "text"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_what_must_not_be_in_a_file_is_in_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    copied = run_copy("secret", {"PATH": ""}, may_keep=False)

    assert copied == clipboard.Copied(is_sure=False)
    assert texts_in(tmp_path) == []


def test_the_files_are_gone_at_the_end(tmp_path: Path) -> None:
    files = clipboard.CopiedFiles(tmp_path)
    kept = [files.keep("one"), files.keep("two")]
    others = tmp_path / "nexus-copy-of-another.txt"
    others.write_text("of another program")

    files.remove()

    assert None not in kept
    assert [path.name for path in tmp_path.iterdir()] == [others.name]


def test_a_file_is_gone_after_an_hour_whoever_wrote_it(tmp_path: Path) -> None:
    at = time.time()
    old, new, other = (tmp_path / f"nexus-copy-{n}" for n in ("old.txt", "new.txt", "x.md"))
    for path, age in ((old, 3601), (new, 3000), (other, 9999)):
        path.write_text("text")
        os.utime(path, (at - age, at - age))

    clipboard.CopiedFiles(tmp_path, lambda: at).keep("now")

    left = {path.name for path in tmp_path.iterdir()}
    assert old.name not in left
    assert {new.name, other.name} <= left


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    assert clipboard.CopiedFiles(tmp_path / "none").keep("text") is None


async def test_what_was_copied_is_in_no_file_once_the_screen_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    app = NexusApp(make_stage().source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", "y", "enter")
        await until(lambda: "for an hour or until" in screen_text(app))
        during = texts_in(tmp_path)

    assert len(during) == 1
    assert during[0].startswith("curl ")
    assert texts_in(tmp_path) == []
