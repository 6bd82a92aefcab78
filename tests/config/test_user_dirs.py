"""Folders of a user who may have none."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from nexus_core.config import user_dirs
from nexus_core.config.schema import Config, StorageConfig
from nexus_core.control.check import Level, check_storage
from nexus_core.demo.backends import DemoFleet
from nexus_core.money.ledger import ledger_path
from nexus_core.money.ledger_queries import NoLedgerError, read_ledger
from nexus_tui.process.crash_report import keep_trace

FOLDERS = [user_dirs.config_dir, user_dirs.data_dir, user_dirs.log_dir]


def _raise(*arguments: object, **options: object) -> Path:
    raise RuntimeError("could not determine the home directory")


def _unresolved(*arguments: object, **options: object) -> Path:
    return Path("~/.local/share/nexus")


@pytest.fixture(params=[_raise, _unresolved])
def homeless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("user_config_path", "user_data_path", "user_log_path"):
        monkeypatch.setattr(platformdirs, name, request.param)


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("folder", FOLDERS)
def test_without_a_home_there_is_no_folder(folder: Callable[[], Path | None]) -> None:
    assert folder() is None


@pytest.mark.parametrize("folder", FOLDERS)
def test_with_a_home_there_is_one(folder: Callable[[], Path | None]) -> None:
    found = folder()

    assert found is not None
    assert found.is_absolute()


@pytest.mark.usefixtures("homeless")
def test_without_a_home_there_is_a_ledger_only_where_one_is_named(tmp_path: Path) -> None:
    named = Config(storage=StorageConfig(path=str(tmp_path / "n.db")))

    assert ledger_path(Config()) is None
    assert ledger_path(named) == tmp_path / "n.db"


def test_a_tilde_that_nobody_resolves_is_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "expanduser", _raise)

    assert ledger_path(Config(storage=StorageConfig(path="~/n.db"))) is None
    assert check_storage("~/n.db").level is Level.ERROR


@pytest.mark.usefixtures("homeless")
def test_check_warns_and_says_what_to_do() -> None:
    finding = check_storage(None)

    assert finding.level is Level.WARNING
    assert finding.hint == "set storage.path to a writable file"


def test_a_ledger_in_a_folder_of_somebody_else_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refuse)

    with pytest.raises(NoLedgerError, match="Permission denied"), read_ledger(Path("/theirs/n.db")):
        pass


@pytest.mark.usefixtures("homeless")
def test_without_a_home_a_trace_goes_where_temporary_files_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))

    told = keep_trace(ValueError("x"))

    (file,) = tmp_path.iterdir()
    assert told == f"the trace is in {file}"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "ValueError: x" in file.read_text()


def _no_folder() -> str:
    raise FileNotFoundError(2, "No usable temporary directory found")


@pytest.mark.usefixtures("homeless")
def test_where_no_trace_can_be_kept_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", _no_folder)

    told = keep_trace(ValueError("x"))

    assert told == ("the trace could not be written: there is no folder for it; set HOME or TMPDIR")


async def test_without_a_folder_the_demo_keeps_its_ledger_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", _no_folder)

    async with DemoFleet() as fleet:
        assert fleet.config(Config()).storage.path == ":memory:"
