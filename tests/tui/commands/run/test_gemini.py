"""Gemini CLI asks Nexus, whatever login its settings choose."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nexus_tui.commands.run.gemini import gemini
from nexus_tui.commands.run.setup import CannotRunError, Target

TARGET = Target("http://127.0.0.1:8000", "sk-client", "qwen3:8b")
GOOGLE = {"security": {"auth": {"selectedType": "oauth-personal", "useExternal": False}}}
BY_KEY = {"security": {"auth": {"selectedType": "gemini-api-key"}}}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def settings(folder: Path, text: str) -> None:
    (folder / ".gemini").mkdir(exist_ok=True)
    (folder / ".gemini/settings.json").write_text(text)


def test_with_a_key_chosen_its_home_is_the_users(tmp_path: Path) -> None:
    settings(tmp_path, f"// mine\n{json.dumps(BY_KEY)} /* so */")

    setup = gemini(TARGET, {"HOME": str(tmp_path)}, [])

    assert setup.home is None
    assert setup.variables["GOOGLE_GEMINI_BASE_URL"] == "http://127.0.0.1:8000"
    assert setup.variables["GEMINI_API_KEY"] == "sk-client"
    assert setup.arguments == ("--model", "qwen3:8b")


def test_a_login_with_google_is_another_one_for_the_time(tmp_path: Path) -> None:
    (tmp_path / ".agents").mkdir()
    settings(tmp_path, json.dumps({"theme": "http://x//y", **GOOGLE}))
    (tmp_path / ".gemini/GEMINI.md").write_text("mine")

    setup = gemini(TARGET, {"HOME": str(tmp_path)}, [])

    assert setup.home_variable == "GEMINI_CLI_HOME"
    assert setup.home is not None
    auth = {"selectedType": "gemini-api-key", "useExternal": False}
    told = {"theme": "http://x//y", "security": {"auth": auth}}
    assert {path: json.loads(text) for path, text in setup.home.items()} == {
        ".gemini/settings.json": told
    }
    assert setup.linked == {
        ".agents": str(tmp_path / ".agents"),
        ".gemini/GEMINI.md": str(tmp_path / ".gemini/GEMINI.md"),
    }
    assert json.loads((tmp_path / ".gemini/settings.json").read_text())["theme"] == "http://x//y"


def test_who_never_logged_in_is_not_asked_to(tmp_path: Path) -> None:
    setup = gemini(TARGET, {"HOME": str(tmp_path)}, [])

    assert setup.home is not None
    assert json.loads(setup.home[".gemini/settings.json"]) == BY_KEY


def test_its_home_may_be_elsewhere(tmp_path: Path) -> None:
    settings(tmp_path, json.dumps(BY_KEY))

    environ = {"HOME": "/nowhere", "GEMINI_CLI_HOME": str(tmp_path)}
    assert gemini(TARGET, environ, []).home is None


def test_a_folders_own_settings_can_not_be_overruled(tmp_path: Path) -> None:
    settings(Path(), json.dumps(GOOGLE))

    with pytest.raises(CannotRunError, match=r"oauth-personal.*remove"):
        gemini(TARGET, {"HOME": str(tmp_path)}, [])


def test_in_the_home_itself_there_is_one_file(tmp_path: Path) -> None:
    settings(tmp_path, json.dumps(GOOGLE))
    os.chdir(tmp_path)

    assert gemini(TARGET, {"HOME": str(tmp_path)}, []).home is not None
