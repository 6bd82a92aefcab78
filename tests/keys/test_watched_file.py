import sqlite3
import subprocess
import sys
from pathlib import Path

from nexus_core.keys.watched_file import Watched, is_there


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
    watched = Watched(file)
    assert watched.signature() is None
    file.write_bytes(b"\0" * 28)
    before = watched.signature()

    assert before == watched.signature() is not None
    file.write_bytes(b"\0" * 27 + b"\1")
    changed = watched.signature()
    assert changed not in (None, before)
    other = tmp_path / "other"
    other.write_bytes(b"\0" * 27 + b"\2")
    other.replace(file)
    assert watched.signature() not in (None, before, changed)
    file.unlink()
    assert watched.signature() is None
    watched.close()


def test_a_look_gives_up_no_lock_of_this_process(tmp_path: Path) -> None:
    """SQLite's locks are POSIX's: closing the file anywhere in the process would end them."""
    file = tmp_path / "keys.db"
    writing = sqlite3.connect(file, isolation_level=None)
    writing.execute("CREATE TABLE t (x)")
    writing.execute("BEGIN EXCLUSIVE")
    watched = Watched(file)
    watched.signature()
    watched.signature()

    asked = "import sqlite3,sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT * FROM t')"
    command = [sys.executable, "-c", asked, str(file)]
    other = subprocess.run(command, capture_output=True)  # noqa: S603 - our own text

    assert b"locked" in other.stderr
    writing.execute("ROLLBACK")
    watched.close()
    writing.close()
