from pathlib import Path

from nexus_core.keys.file import is_there, signature


def test_what_cannot_be_looked_at_is_there(tmp_path: Path) -> None:
    loop, file = tmp_path / "loop", tmp_path / "keys.db"
    loop.symlink_to(loop)

    assert not is_there(file)
    assert is_there(loop / "keys.db")
    file.symlink_to(tmp_path / "not-mounted" / "keys.db")
    assert is_there(file)
    assert not is_there(tmp_path / "no-folder" / "keys.db")


def test_a_file_that_changes_is_told_from_before(tmp_path: Path) -> None:
    file = tmp_path / "keys.db"
    assert signature(file) is None
    file.write_bytes(b"\0" * 28)
    before = signature(file)

    assert before == signature(file) is not None
    file.write_bytes(b"\0" * 27 + b"\1")
    assert signature(file) not in (None, before)
