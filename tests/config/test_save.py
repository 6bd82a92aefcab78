from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.changes import (
    AddBackend,
    Change,
    ChangeRefusedError,
    SetBackend,
    SetZone,
)
from nexus_core.config.load import load_config
from nexus_core.config.save import backend_table, plan_changes, write, write_new
from nexus_core.config.schema import BackendConfig
from nexus_core.errors import ConfigError
from nexus_core.types import PrivacyZone

TEXT = """\
# mine
[server]
port = 8001  # not 8000

[[backends]]
name = "a"  # the first
url = "http://127.0.0.1:1"
type = "vllm"
enabled = true   # for now

# the second
[[backends]]
  name = "b"
  url = "http://127.0.0.1:2"
  type = "ollama"
  tier = 2
# the end
"""
FOUND = BackendConfig(
    name="found",
    url="http://127.0.0.1:11434",
    type=BackendType.OLLAMA,
    zone=PrivacyZone.RESTRICTED,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "nexus.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def changed(path: Path, *changes: Change) -> str:
    diff = plan_changes(path, changes)
    write(diff, {})
    return path.read_bytes().decode()


def test_a_value_is_replaced_and_nothing_else(path: Path) -> None:
    after = changed(path, SetBackend("a", "enabled", value=False))

    assert after == TEXT.replace("enabled = true ", "enabled = false ")


def test_a_new_key_stands_below_the_name_of_its_own_backend(path: Path) -> None:
    after = changed(path, SetBackend("a", "priority", 7), SetBackend("b", "enabled", value=False))

    first, second = '"a"  # the first\n', '"b"\n'
    assert after == TEXT.replace(first, first + "priority = 7\n").replace(
        second, second + "  enabled = false\n"
    )
    assert [b.priority for b in load_config(path, {}).backends] == [7, 50]


def test_none_takes_a_key_out(path: Path) -> None:
    after = changed(path, SetBackend("b", "tier", None), SetBackend("a", "tier", None))

    assert after == TEXT.replace("  tier = 2\n", "")


def test_a_found_backend_is_added_at_the_end(path: Path) -> None:
    after = changed(path, AddBackend(FOUND))

    assert after.startswith(TEXT)
    assert load_config(path, {}).backends[-1] == FOUND


@pytest.mark.parametrize("text", ["", "[server]\nport = 1", "backends = [ # one\n]\n"])
def test_a_backend_is_added_to_any_file(path: Path, text: str) -> None:
    path.write_text(text)

    changed(path, AddBackend(FOUND))

    assert load_config(path, {}).backends == (FOUND,)


def test_backends_in_a_list_can_be_changed(path: Path) -> None:
    text = 'backends = [ # all\n  {name = "a", url = "http://h", type = "vllm"}, # one\n]\n'
    path.write_text(text)

    after = changed(path, SetBackend("a", "priority", 3))

    assert load_config(path, {}).backends[0].priority == 3
    assert "# all" in after
    assert "# one" in after


def test_line_ends_and_the_byte_order_mark_stay(path: Path) -> None:
    before = b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode()
    path.write_bytes(before)

    changed(path, SetBackend("a", "tier", 1), AddBackend(FOUND))

    after = path.read_bytes()
    assert after.startswith(b"\xef\xbb\xbf# mine\r\n")
    assert after.count(b"\n") == after.count(b"\r\n")
    assert load_config(path, {}).backends[0].tier == 1


def test_the_diff_shows_what_will_be_written_and_nothing_is_yet(path: Path) -> None:
    diff = plan_changes(path, [SetBackend("a", "enabled", value=False)])

    assert diff.text.splitlines()[3:] == [
        ' name = "a"  # the first',
        ' url = "http://127.0.0.1:1"',
        ' type = "vllm"',
        "-enabled = true   # for now",
        "+enabled = false   # for now",
        " ",
        " # the second",
        " [[backends]]",
    ]
    assert path.read_text() == TEXT


def test_a_zone_has_no_key_and_that_is_told(path: Path) -> None:
    diff = plan_changes(path, [SetZone(PrivacyZone.OPEN, enabled=False)])

    assert (diff.text, diff.after) == ("", diff.before)
    assert diff.notes == ("zone open: stays off until restart; zone switches can't be saved",)


@pytest.mark.parametrize(
    "change", [SetBackend("c", "tier", 1), AddBackend(FOUND.model_copy(update={"name": "a"}))]
)
def test_what_does_not_fit_the_file_is_refused(path: Path, change: Change) -> None:
    with pytest.raises(ChangeRefusedError, match=r'the file has (no|a) backend "[ca]"'):
        plan_changes(path, [change])


def test_a_file_that_changed_since_the_plan_is_left_alone(path: Path) -> None:
    diff = plan_changes(path, [SetBackend("a", "tier", 1)])
    path.write_text(TEXT + "# more\n")

    with pytest.raises(ChangeRefusedError, match="was changed meanwhile"):
        write(diff, {})

    assert path.read_text() == TEXT + "# more\n"


def test_a_result_that_would_not_load_is_not_written(path: Path) -> None:
    diff = plan_changes(path, [SetBackend("a", "tier", 9)])

    with pytest.raises(ConfigError, match=r"nexus\.toml:7: backends\[0\]\.tier: 9 is not between"):
        write(diff, {})

    assert path.read_text() == TEXT
    assert os.listdir(path.parent) == ["nexus.toml"]


@pytest.mark.parametrize("content", [b"[server\n", b"\xff"])
def test_a_file_that_is_no_toml_is_told(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"nexus\.toml"):
        plan_changes(path, [])
    path.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        plan_changes(path, [])


def test_the_mode_stays_and_a_link_stays_a_link(path: Path) -> None:
    path.chmod(0o640)
    link = path.parent / "link.toml"
    link.symlink_to(path)

    changed(link, SetBackend("a", "tier", 1))

    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert "tier = 1" in path.read_text()


def test_a_new_file_has_the_usual_mode_and_replaces_none_unasked(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    mask = os.umask(0o022)
    try:
        write_new(path, TEXT, {}, replace=False)
    finally:
        os.umask(mask)

    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    with pytest.raises(ChangeRefusedError, match="exists already"):
        write_new(path, "", {}, replace=False)
    assert path.read_text() == TEXT
    write_new(path, "", {}, replace=True)
    assert path.read_text() == ""


def test_a_new_file_that_would_not_load_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        write_new(tmp_path / "new.toml", "x = 1", {}, replace=False)

    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ChangeRefusedError, match="can't be written"):
        write_new(tmp_path / "no" / "new.toml", "", {}, replace=False)


def test_a_table_holds_the_variable_and_never_the_key(path: Path) -> None:
    backend = BackendConfig(
        name="cloud",
        url="https://h",
        type=BackendType.OPENAI,
        zone=PrivacyZone.OPEN,
        first_byte_timeout_seconds=90,
        models={"a": "b", 'q"': "q"},
        apis=("chat", "responses"),
        api_key_env="CLOUD_KEY",
        api_key="sk-secret",
    )

    table = backend_table(backend, {"zone": "far"})

    assert "sk-secret" not in table
    assert 'zone = "open"  # far' in table
    path.write_text(table)
    assert load_config(path, {"CLOUD_KEY": "sk-secret"}).backends == (backend,)
