"""Files that an export writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_tui.actions.new_file import write_new, wrong_path


def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = write_new(str(tmp_path / "requests.har"), "hi \ud800")

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text("utf-8") == "hi \\ud800"


def test_what_exists_is_never_written_over(tmp_path: Path) -> None:
    there = tmp_path / "kept"
    there.write_text("mine")

    with pytest.raises(FileExistsError):
        write_new(str(there), "other")

    assert there.read_text() == "mine"
    assert wrong_path(str(there)) == "file exists"
    assert wrong_path(str(tmp_path / "new")) is None


@pytest.mark.parametrize("name", ["", "x" * 5000])
def test_a_name_that_no_file_can_have_is_told(name: str) -> None:
    assert wrong_path(name)
