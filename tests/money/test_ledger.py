"""The ledger keeps every row but those of the last second, and troubles no request."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from nexus_core.config.schema import Config, StorageConfig
from nexus_core.money import ledger as ledger_module
from nexus_core.money.ledger import BATCH_SECONDS, Ledger, ledger_path
from nexus_core.money.ledger_schema import COLUMNS
from nexus_core.types import PrivacyZone
from tests.money.ledger_rows import AT, PLAIN, row, stored
from tests.waiting import wait_until

DAY = 86_400
ROOT = Path(__file__).parents[2]


@contextmanager
def opened(path: Path | None, **options: int) -> Iterator[Ledger]:
    ledger = Ledger(path, retention_days=options.get("retention_days"), now=lambda: AT)
    ledger.open()
    try:
        yield ledger
    finally:
        ledger.close()


def integrity(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        found: str = connection.execute("PRAGMA integrity_check").fetchone()[0]
    return found


# Rows ---------------------------------------------------------------------------------------------


def test_a_row_is_kept_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"

    with opened(path) as ledger:
        ledger.append(PLAIN)

    (kept,) = stored(path, ", ".join(COLUMNS))
    assert kept == PLAIN


def test_a_row_is_in_the_file_within_a_second(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"

    with opened(path) as ledger:
        ledger.append(PLAIN)
        wait_until(lambda: stored(path) == ["req-1"], seconds=1)


def test_closing_writes_all_that_waits(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    names = [str(number) for number in range(10_000)]

    with opened(path) as ledger:
        for name in names:
            ledger.append(row(request_id=name))

    assert stored(path) == names
    assert ledger.lost == 0


@pytest.mark.parametrize("count", [10**16, 10**30])  # one of them fits an integer of SQLite
def test_what_strangers_name_and_count_cannot_stop_the_writer(count: int, tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"

    with opened(path) as ledger:
        ledger.append(row(asked_model="\ud800\x00漢", prompt_tokens=count))
        ledger.append(row(request_id="req-2"))

    first, second = stored(path, "asked_model, prompt_tokens")
    assert first == ("\\ud800\x00漢", 10**15)
    assert second == ("gpt-4o", 1000)


@pytest.mark.usefixtures("hasty")
def test_a_row_that_cannot_be_stored_holds_up_no_other(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"

    with opened(path) as ledger:
        ledger.append(row(status=None))
        wait_until(lambda: ledger.lost == 1)
        ledger.append(row(request_id="req-2", zone=PrivacyZone.OPEN))

    assert stored(path, "request_id, zone") == [("req-2", "open")]


def test_memory_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with opened(ledger_path(Config(storage=StorageConfig(path=":memory:")))) as ledger:
        ledger.append(PLAIN)

    assert list(tmp_path.iterdir()) == []
    assert (ledger.lost, ledger.problem) == (0, None)


def test_rows_past_their_time_are_deleted_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    with opened(path) as ledger:
        for age in (50, 41, 39, 0):
            ledger.append(row(request_id=f"{age} days", at=AT - age * DAY))

    with opened(path, retention_days=40):
        pass

    assert stored(path) == ["39 days", "0 days"]


# Where it is, and who may look --------------------------------------------------------------------


def test_the_file_is_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    if sys.platform != "linux":
        pytest.skip("XDG_DATA_HOME is for Linux")

    assert ledger_path(Config()) == Path("/somewhere/nexus/nexus.db")


def test_a_relative_path_is_seen_from_the_config_files_folder() -> None:
    config = Config(storage=StorageConfig(path="data/n.db"), path=Path("/etc/nexus/nexus.toml"))

    assert ledger_path(config) == Path("/etc/nexus/data/n.db")


def test_only_the_owner_may_look(tmp_path: Path) -> None:
    path = tmp_path / "new" / "nexus.db"

    with opened(path) as ledger:
        ledger.append(PLAIN)
        wait_until(lambda: stored(path) == ["req-1"])
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}

    assert modes.pop("nexus.db") == 0o600
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    path.touch(0o644)

    with opened(path):
        pass

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# When it can't be written -------------------------------------------------------------------------


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once, and do not wait long for a lock."""
    monkeypatch.setattr(ledger_module, "BATCH_SECONDS", 0.02)
    monkeypatch.setattr(ledger_module, "_BUSY_SECONDS", 0.02)


def test_a_file_that_is_no_ledger_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "nexus.db"
    path.write_text("dear diary, " * 100)

    with opened(path) as ledger:
        ledger.append(PLAIN)
        assert ledger.problem == "file is not a database"

    assert path.read_text().startswith("dear diary")
    assert ledger.lost == 1
    assert messages(caplog) == [
        f"ledger {path}: file is not a database; requests are served but not recorded",
        "ledger: 1 requests were not recorded",
    ]


def test_a_folder_that_cannot_be_made_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()

    with opened(tmp_path / "file" / "nexus.db") as ledger:
        for _ in range(3):
            ledger.append(PLAIN)

    assert ledger.lost == 3
    assert len([text for text in messages(caplog) if "not recorded; set" in text]) == 1


@pytest.mark.usefixtures("hasty")
def test_rows_wait_while_the_file_is_locked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "nexus.db"

    with opened(path) as ledger:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            ledger.append(PLAIN)
            wait_until(lambda: ledger.problem is not None)
            ledger.append(row(request_id="req-2"))
        wait_until(lambda: ledger.problem is None)

    assert stored(path) == ["req-1", "req-2"]
    assert [text.partition(": ")[2] for text in messages(caplog)] == [
        "database is locked; requests are served but not recorded",
        "recording again; 0 requests were lost",
    ]


@pytest.mark.usefixtures("hasty")
def test_a_full_disk_loses_what_does_not_fit_and_counts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "nexus.db"
    monkeypatch.setattr(ledger_module, "CAPACITY", 5)
    monkeypatch.setattr(ledger_module, "_BATCH_ROWS", 3)

    with opened(path) as ledger:
        connection = ledger._connection
        assert connection is not None
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connect = sqlite3.connect

        def full(*arguments: object, **options: object) -> sqlite3.Connection:
            made: sqlite3.Connection = connect(*arguments, **options)  # type: ignore[call-overload]
            made.execute(f"PRAGMA max_page_count = {pages}")
            return made

        connection.execute(f"PRAGMA max_page_count = {pages}")
        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", full)
            ledger.append(row(asked_model="x" * 100_000))
            wait_until(lambda: ledger.problem == "database or disk is full")
            for number in range(20):
                ledger.append(row(request_id=str(number)))
            wait_until(lambda: len(ledger._rows) == 5 or len(ledger._batch) == 3)
        wait_until(lambda: ledger.problem is None)
        lost = ledger.lost

    assert lost > 0
    assert len(stored(path)) == 21 - lost
    assert integrity(path) == "ok"


@pytest.mark.usefixtures("hasty")
def test_closing_a_ledger_that_cannot_be_written_ends(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    before = set(threading.enumerate())
    ledger = Ledger(tmp_path / "file" / "nexus.db")
    ledger.open()
    for _ in range(5000):
        ledger.append(PLAIN)

    ledger.close(timeout_seconds=5)

    assert not set(threading.enumerate()) - before
    assert ledger.lost == 5000


def test_a_row_after_the_end_is_lost_and_counted(tmp_path: Path) -> None:
    with opened(tmp_path / "nexus.db") as ledger:
        pass

    ledger.append(PLAIN)

    assert ledger.lost == 1


# Processes ----------------------------------------------------------------------------------------


@contextmanager
def child(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that records under load; its first line says whether it may write."""
    process = subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-m", "tests.money.ledger_child", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_killed_process_loses_the_last_second_at_most(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    answered: list[tuple[str, float]] = []

    with child(path) as process:
        assert first_line(process) == "ready"
        assert process.stdout is not None
        for line in process.stdout:
            number, at = line.split()
            answered.append((number, float(at)))
            if len(answered) > 600 and answered[600][1] < time.monotonic() - 1:
                break  # more than that are older than the last second
        killed_at = time.monotonic()
        os.kill(process.pid, signal.SIGKILL)
        for line in process.stdout:
            number, _, at = line.strip().partition(" ")
            if number and at:
                answered.append((number, float(at)))

    kept = stored(path)
    older = [number for number, at in answered if at < killed_at - 1]
    assert len(older) > 500
    assert set(older) <= set(kept)
    assert kept == [str(number + 1) for number in range(len(kept))]
    assert integrity(path) == "ok"


def test_the_ledger_of_a_killed_process_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    with child(path) as process:
        assert first_line(process) == "ready"
        wait_until(lambda: len(stored(path)) > 0)

    with opened(path) as ledger:
        ledger.append(row(request_id="afterwards"))

    assert stored(path)[-1] == "afterwards"


@pytest.mark.usefixtures("hasty")
def test_a_second_process_is_told_which_one_writes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "nexus.db"

    with child(path) as process:
        assert first_line(process) == "ready"
        with opened(path) as ledger:
            ledger.append(row(request_id="the second's"))
            problem = ledger.problem
            process.kill()
            wait_until(lambda: ledger.problem is None)

    assert problem == (
        f"is in use by another Nexus (process {process.pid}); stop it, "
        "or set another file in [storage] path"
    )
    assert stored(path)[-1] == "the second's"
    assert len([text for text in messages(caplog) if "another Nexus" in text]) == 1


def test_two_ledgers_in_one_process_are_told_apart_as_well(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"

    with opened(path), opened(path) as second:
        assert second.problem is not None
        assert f"process {os.getpid()}" in second.problem


def test_a_batch_is_shorter_than_the_second_that_may_be_lost() -> None:
    assert BATCH_SECONDS < 1


def test_rows_that_do_not_fit_into_a_batch_are_in_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_BATCH_ROWS", 1)

    with opened(tmp_path / "n.db") as ledger:
        began = time.monotonic()
        for _ in range(10):
            ledger.append(PLAIN)
        wait_until(lambda: len(stored(tmp_path / "n.db")) == 10)
        assert time.monotonic() - began < 9 * BATCH_SECONDS  # no wait for each
