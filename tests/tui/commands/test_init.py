from __future__ import annotations

import argparse
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from nexus_core.catalog import CLOUD_TYPES, BackendType
from nexus_core.config.load import load_config
from nexus_core.discovery.cloud import cloud_keys, keys_without_url
from nexus_core.discovery.local import DiscoveryResult, Place, Sight
from nexus_core.discovery.new_config import config_text
from nexus_core.types import PrivacyZone, ProbeResult
from nexus_tui.commands.base.target import load
from nexus_tui.commands.completion import SHELLS
from tests.tui.process.test_cli import run

KEYS = {"OPENAI_API_KEY": "sk-secret-1", "GEMINI_API_KEY": "sk-secret-2"}
HOSTILE = ("m\n[[backends]]", "\x1b[2J\u202e", "sk-abcdefghijklmnopqrstuvwxyz123456")


def seen(kind: BackendType, port: int, *models: str) -> DiscoveryResult:
    return DiscoveryResult(
        Place(kind, port), Sight.FOUND, kind, ProbeResult(elapsed_ms=1, models=models)
    )


FOUND = (
    seen(BackendType.OLLAMA, 11434, "llama3:latest", *HOSTILE),
    DiscoveryResult(Place(BackendType.VLLM, 8000), Sight.NEXUS, BackendType.VLLM),
    seen(BackendType.OLLAMA, 11435),
)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "nexus.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_was_found_loads_as_it_was_found(tmp_path: Path) -> None:
    path = written(tmp_path, config_text(FOUND, (), use_cloud=False))

    backends = load_config(path, {}).backends

    assert [(b.name, b.url, b.type, b.zone) for b in backends] == [
        ("ollama", "http://127.0.0.1:11434", BackendType.OLLAMA, PrivacyZone.RESTRICTED),
        ("ollama-2", "http://127.0.0.1:11435", BackendType.OLLAMA, PrivacyZone.RESTRICTED),
    ]


def test_the_names_of_models_stay_in_their_comment() -> None:
    text = config_text(FOUND, (), use_cloud=False)

    assert '# Ollama, with 4 models: "llama3:latest", "m\\n[[backends]]", ' in text
    assert all(line.isprintable() for line in text.splitlines())
    assert HOSTILE[2] not in text


@pytest.mark.parametrize("use_cloud", [False, True])
def test_keys_are_named_by_their_variables_only(tmp_path: Path, use_cloud: bool) -> None:
    text = config_text((), cloud_keys(KEYS), use_cloud=use_cloud)

    config = load_config(written(tmp_path, text), KEYS)

    assert "sk-secret" not in text
    assert "OPENAI_API_KEY" in text
    assert "ANTHROPIC" not in text
    named = {b.name for b in config.backends} | {b.name for b in config.unusable}
    assert named == ({"openai", "google"} if use_cloud else set())


def test_the_comments_are_right_once_their_sign_is_taken_away(tmp_path: Path) -> None:
    text = config_text((), cloud_keys(KEYS), use_cloud=False)
    without = "\n".join(
        line[1:] if line.startswith("#") and line[1:2] not in (" ", "") else line
        for line in text.splitlines()
    )

    config = load_config(written(tmp_path, without), KEYS)

    assert {b.name for b in config.backends} >= {"ollama", "openai"}
    assert config.routing.aliases == {"gpt-4": "llama3:70b", "claude-*": "llama3:70b"}


EVERY_KEY = {kind.spec.key_variables[0]: f"sk-secret-{kind}" for kind in CLOUD_TYPES}


@pytest.mark.parametrize("use_cloud", [False, True])
def test_every_cloud_is_written_as_it_is_known(tmp_path: Path, use_cloud: bool) -> None:
    keys = (*cloud_keys(EVERY_KEY), *keys_without_url(EVERY_KEY))

    text = config_text((), keys, use_cloud=use_cloud)

    config = load_config(written(tmp_path, text), EVERY_KEY)
    placed = {kind: kind.spec.url for kind in CLOUD_TYPES if kind.spec.url is not None}
    assert {b.type: b.url for b in config.backends} == (placed if use_cloud else {})
    assert all(f" {kind.spec.title}" in text for kind in CLOUD_TYPES)
    assert "sk-secret" not in text


def test_an_account_with_a_url_of_its_own_is_left_to_fill_in(tmp_path: Path) -> None:
    keys = keys_without_url(EVERY_KEY)
    text = config_text((), keys, use_cloud=True)
    lines = text[text.index('#[[backends]]\n#name = "azure"') :].splitlines()

    config = load_config(written(tmp_path, "\n".join(line[1:] for line in lines)), EVERY_KEY)

    (azure,) = config.backends
    assert (azure.type, azure.url) == (BackendType.AZURE, BackendType.AZURE.spec.url_example)
    assert azure.models == {"gpt-4o": "DEPLOYMENT"}
    assert "and fill in what is yours" in text


def test_the_command_tells_which_keys_are_set(tmp_path: Path) -> None:
    done = run(tmp_path, "init", GROQ_API_KEY="sk-secret", AZURE_OPENAI_API_KEY="sk-secret")

    told = dict(line.strip().split(": ", 1) for line in done.stdout.splitlines() if "_KEY" in line)
    assert told["GROQ_API_KEY"].startswith("set; added as a comment (--cloud")
    assert told["AZURE_OPENAI_API_KEY"].endswith("fill in the URL of your account")
    assert told["OPENAI_API_KEY"] == "not set"
    assert "XAI_API_KEY" not in told


def test_the_command_writes_a_file_that_a_start_accepts(tmp_path: Path) -> None:
    done = run(tmp_path, "init", OPENAI_API_KEY="sk-secret")

    path = tmp_path / "nexus.toml"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("wrote nexus.toml; next: nexus check\n")
    assert "OPENAI_API_KEY: set" in done.stdout
    assert "sk-secret" not in done.stdout + path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~current_umask()
    assert load_config(path, {}).path == path


def test_a_file_is_never_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("# mine\n")

    refused = run(tmp_path, "init", "--output", "mine.toml")
    kept = (tmp_path / "mine.toml").read_text()
    forced = run(tmp_path, "init", "--output", "mine.toml", "--force")

    assert refused.returncode == 1
    assert "mine.toml exists already; --force replaces it" in refused.stderr
    assert kept == "# mine\n"
    assert forced.returncode == 0
    assert (tmp_path / "mine.toml").read_text() != kept


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, "init", "--output", "no/nexus.toml")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# The keys of the environment


@pytest.mark.parametrize("cloud", [False, True])
def test_a_key_is_used_only_with_the_option(tmp_path: Path, cloud: bool) -> None:
    (tmp_path / "nexus.toml").write_text("")
    options = argparse.Namespace(
        config=tmp_path / "nexus.toml", host=None, port=None, workers=None, cloud=cloud
    )

    config = load(options, KEYS)

    assert [b.name for b in config.backends][:1] == (["openai"] if cloud else [])


# Completion


@pytest.mark.parametrize("shell", SHELLS)
def test_a_completion_script_knows_every_command(tmp_path: Path, shell: str) -> None:
    done = run(tmp_path, "completion", shell)

    assert (done.returncode, done.stderr) == (0, "")
    for word in ("explain", "status", "backends", "requests", "check", "init", "watch", "captured"):
        assert word in done.stdout


def test_another_shell_is_refused(tmp_path: Path) -> None:
    assert run(tmp_path, "completion", "cmd").returncode == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_commands_options_and_files(tmp_path: Path) -> None:
    script = run(tmp_path, "completion", "bash").stdout
    (tmp_path / "nexus.sh").write_text(script)
    (tmp_path / "other.toml").write_text("")
    program = """
source ./nexus.sh
complete_words() {
  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
  _shtab_nexus; echo "${COMPREPLY[@]}"
}
complete_words nexus sta
complete_words nexus backends --j
complete_words nexus check --config oth
complete_words nexus reque
complete_words nexus request --an
complete_words nexus costs --d
complete_words nexus costs --by h
complete_words nexus run co
complete_words nexus run claude --pr
"""

    done = subprocess.run(  # noqa: S603 - ours
        ["bash", "-c", program],  # noqa: S607
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert [line.split() for line in done.stdout.splitlines()] == [
        ["status"],
        ["--json"],
        ["other.toml"],
        ["requests", "request"],
        ["--answer"],
        ["--day"],
        ["hour"],
        ["codex"],
        ["--privacy", "--print"],
    ]
