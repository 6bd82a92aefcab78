"""`nexus run`: its words, and what it says where it does not start a program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nexus_core.config.schema import AuthConfig, ClientKey, Config
from nexus_core.gateway import Gateway
from tests.api.in_thread import in_thread
from tests.tui.commands.serving import STATE, fake_nexus
from tests.tui.process.test_cli import run

TELL = """#!/bin/sh
{ printf '%s\\n' "$@"; env; } > "$TOLD"
exit 5
"""
ONE = {"/v1/models": {"data": [{"id": "qwen3:8b"}]}, "/v1/models/qwen3%3A8b": {"id": "qwen3:8b"}}
NO_MODEL = {"error": {"message": "no such model"}}
LACKS_GPT = {**ONE, **{f"/v1/models/{name}": NO_MODEL for name in ("gpt-6-sol", "gpt-5.5")}}
KEYS = "first:sk-first-0123456789,agent:sk-agent-0123456789"


def told(folder: Path, name: str, *words: str, **environ: str) -> tuple[Any, str]:
    """`nexus run` with a program of that name, and what this got: its words, then its variables."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    (programs / name).write_text(TELL)
    (programs / name).chmod(0o700)
    path = folder / "told"
    done = run(folder, "run", *words, PATH=f"{programs}:/usr/bin:/bin", TOLD=str(path), **environ)
    return done, path.read_text() if path.exists() else ""


def test_words_after_the_dashes_are_the_programs(tmp_path: Path) -> None:
    with fake_nexus(more=ONE) as (url, asked):
        done, text = told(
            tmp_path,
            "claude",
            *("claude", "--model", "qwen3:8b", "--url", url, "--", "-p", "--url", "hi", "--"),
        )

    assert (done.returncode, done.stdout) == (5, ""), done.stderr
    assert text.startswith("-p\n--url\nhi\n--\n")
    assert f"ANTHROPIC_BASE_URL={url}\n" in text
    assert "ANTHROPIC_MODEL=qwen3:8b\n" in text
    assert ("/v1/models/qwen3%3A8b", None) in asked


def test_the_client_key_is_the_first_or_the_one_named(tmp_path: Path) -> None:
    with fake_nexus(more=LACKS_GPT) as (url, asked):
        _, first = told(tmp_path, "codex", "codex", "--url", url, NEXUS_API_KEYS=KEYS)
        ask = ("codex", "--url", url, "--key", "agent")
        _, named = told(tmp_path, "codex", *ask, NEXUS_API_KEYS=KEYS)
        wrong, _ = told(tmp_path, "codex", *ask[:-1], "other", NEXUS_API_KEYS=KEYS)

    assert "NEXUS_CLIENT_KEY=sk-first-0123456789\n" in first
    assert "NEXUS_CLIENT_KEY=sk-agent-0123456789\n" in named
    assert ("/v1/models", "Bearer sk-agent-0123456789") in asked
    assert wrong.returncode == 2
    assert 'NEXUS_API_KEYS has first, agent, and no key called "other"' in wrong.stderr


def test_a_program_gets_no_keys_but_its_own(tmp_path: Path) -> None:
    with fake_nexus(more=LACKS_GPT) as (url, _):
        ask = ("codex", "--url", url, "--key", "agent")
        admin = "sk-admin-0123456789"
        _, text = told(tmp_path, "codex", *ask, NEXUS_API_KEYS=KEYS, NEXUS_ADMIN_KEY=admin)

    assert "sk-agent-0123456789" in text
    assert "sk-first" not in text
    assert "sk-admin" not in text


def test_a_created_key_is_taken_from_a_variable(tmp_path: Path) -> None:
    mine, other = "nx-abcdefgh-" + "m" * 43, "nx-abcdefgi-" + "o" * 43
    with fake_nexus(more=LACKS_GPT) as (url, asked):
        ask = ("codex", "--url", url)
        _, usual = told(tmp_path, "codex", *ask, NEXUS_CLIENT_KEY=mine, NEXUS_API_KEYS=KEYS)
        named = {"MY_KEY": other, "NEXUS_CLIENT_KEY": mine}
        _, by_name = told(tmp_path, "codex", *ask, "--key-env", "MY_KEY", **named)
        _, configured = told(
            tmp_path, "codex", *ask, "--key", "first", NEXUS_API_KEYS=KEYS, NEXUS_CLIENT_KEY=mine
        )
        unset, _ = told(tmp_path, "codex", *ask, "--key-env", "NO_KEY")

    assert f"NEXUS_CLIENT_KEY={mine}\n" in usual
    assert f"NEXUS_CLIENT_KEY={other}\n" in by_name
    assert "sk-first-0123456789" in configured
    assert mine not in by_name + configured
    assert ("/v1/models", f"Bearer {other}") in asked
    assert unset.returncode == 2
    assert "NO_KEY is not set" in unset.stderr


def test_a_missing_and_a_wrong_key_are_told_before_the_program_starts(tmp_path: Path) -> None:
    config = Config(auth=AuthConfig(api_keys=(ClientKey(name="ci", value=b"key-of-ci"),)))
    with in_thread(lambda: Gateway(config)) as port:
        url = f"http://127.0.0.1:{port}"
        for words in (("claude", "--url", url), ("--url", url, "--", "claude")):
            without, text = told(tmp_path, "claude", *words)
            wrong, _ = told(tmp_path, "claude", *words, NEXUS_CLIENT_KEY="nx-wrong")
            assert (without.returncode, text) == (2, "")
            assert "needs a client key: export NEXUS_CLIENT_KEY" in without.stderr
            assert "nexus keys create NAME" in without.stderr
            assert "does not take the client key of NEXUS_CLIENT_KEY" in wrong.stderr
            assert "nx-wrong" not in wrong.stderr


def test_the_only_model_is_named_where_it_is_taken(tmp_path: Path) -> None:
    with fake_nexus(more=LACKS_GPT) as (url, _):
        done, text = told(tmp_path, "codex", "codex", "--url", url)

    assert done.stderr == "nexus: run: Codex asks for qwen3:8b, the only model here\n"
    assert '\nmodel="qwen3:8b"\n' in text


def test_a_model_that_is_not_served_is_told_before_the_program_starts(tmp_path: Path) -> None:
    message = 'no model "qwen"; did you mean "qwen3:8b"?'
    with fake_nexus(more={"/v1/models/qwen": {"error": {"message": message}}}) as (url, _):
        done, text = told(tmp_path, "claude", "claude", "--url", url, "--model", "qwen")

    assert (done.returncode, text) == (2, "")
    assert done.stderr == f"nexus: run: --model: {message}\n"


def test_a_command_that_is_not_there_or_can_not_be_executed(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no program")

    missing = run(tmp_path, "run", "--", "no-such-program")
    found = run(tmp_path, "run", "--", str(text))

    assert missing.returncode == 127
    words = "no-such-program is not installed; check its name and your PATH"
    assert missing.stderr == f"nexus: run: {words}\n"
    assert found.returncode == 126
    assert found.stderr == f"nexus: run: {text} is not executable\n"


def test_a_program_that_is_not_installed(tmp_path: Path) -> None:
    done = run(tmp_path, "run", "codex", PATH="/nowhere")

    assert done.returncode == 127
    assert "Codex is not installed (codex); npm install -g @openai/codex" in done.stderr


def test_a_command_that_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("text")
    (tmp_path / "x").chmod(0o700)
    with fake_nexus() as (url, _):
        done = run(tmp_path, "run", "--url", url, "--", "./x")

    assert done.returncode == 126
    assert "./x can't be started: Exec format error" in done.stderr


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "name a program (claude, codex, gemini, opencode), or a command after --"),
        (("aider",), "for other programs: nexus run -- aider"),
        (("claud",), 'did you mean "claude"?'),
        (("claude", "-p", "hi"), "what the program takes stands after --"),
        (("claude", "--modle", "m"), 'did you mean "--model"?'),
        (("claude", "--privacy", "secret"), "--privacy: invalid choice"),
    ],
)
def test_wrong_words_are_told(tmp_path: Path, words: tuple[str, ...], problem: str) -> None:
    done = run(tmp_path, "run", *words)

    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr


# What a program can't send -----------------------------------------------------------------------


@pytest.mark.parametrize("option", [("--privacy", "restricted"), ("--tier", "3")])
def test_nothing_is_promised_that_a_program_can_not_send(
    tmp_path: Path, option: tuple[str, str]
) -> None:
    with fake_nexus() as (url, _):
        done = run(tmp_path, "run", "--url", url, *option, "--", "echo", "started")

    assert (done.returncode, done.stdout) == (2, "")
    assert f"{option[0]}: nothing can make echo send X-Nexus-* headers" in done.stderr
    assert "[[routing.policies]]" in done.stderr


def test_where_every_backend_is_restricted_so_is_any_program(tmp_path: Path) -> None:
    local = [one for one in STATE["backends"] if one["zone"] == "restricted"]
    ask = ("--privacy", "restricted", "--", "echo", "started")
    with fake_nexus(state={**STATE, "backends": local}) as (url, _):
        done = run(tmp_path, "run", "--url", url, *ask)

    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr


# --print -----------------------------------------------------------------------------------------


def test_print_starts_nothing_and_shows_no_key(tmp_path: Path) -> None:
    ask = ("run", "--print", "claude", "--model", "m", "--port", "9", "--tier", "2", "--", "-c")
    done = run(tmp_path, *ask, NEXUS_API_KEYS=KEYS)

    assert (done.returncode, done.stderr) == (0, "")
    assert "sk-first" not in done.stdout
    lines = done.stdout.splitlines()
    assert 'export ANTHROPIC_AUTH_TOKEN="$NEXUS_CLIENT_KEY"' in lines
    assert "export ANTHROPIC_BASE_URL=http://127.0.0.1:9" in lines
    settings = json.dumps({"env": {"ANTHROPIC_CUSTOM_HEADERS": "X-Nexus-Min-Tier: 2"}})
    assert lines[-1] == f"claude --settings '{settings}' -c"


def test_print_says_that_what_stands_for_a_key_is_none(tmp_path: Path) -> None:
    ask = ("run", "--print", "claude", "--model", "m", "--port", "9")

    without = run(tmp_path, *ask)
    told = run(tmp_path, *ask, NEXUS_CLIENT_KEY="sk-mine")

    assert "export ANTHROPIC_AUTH_TOKEN=nexus\n" in without.stdout
    assert without.stderr == (
        'nexus: run: no client key is set, and "nexus" stands for one; where Nexus has keys, '
        "set NEXUS_CLIENT_KEY to yours\n"
    )
    assert (told.returncode, told.stderr) == (0, "")


def test_print_needs_a_port(tmp_path: Path) -> None:
    done = run(tmp_path, "run", "--print", "--port", "0", "--", "true")

    assert done.returncode == 2
    assert "set --port or --url" in done.stderr


def test_a_temporary_home_is_gone_with_its_program(tmp_path: Path) -> None:
    (tmp_path / ".gemini").mkdir()
    (tmp_path / ".gemini/GEMINI.md").write_text("mine")
    with fake_nexus(more=ONE) as (url, _):
        done, text = told(tmp_path, "gemini", "gemini", "--url", url, "--model", "qwen3:8b")

    assert done.returncode == 5, done.stderr
    (home,) = [line for line in text.splitlines() if line.startswith("GEMINI_CLI_HOME=")]
    assert not Path(home.partition("=")[2]).exists()
    assert (tmp_path / ".gemini/GEMINI.md").read_text() == "mine"
    assert not (tmp_path / ".gemini/settings.json").exists()
