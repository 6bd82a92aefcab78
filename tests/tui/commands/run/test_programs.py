"""What each program is given, and that its own settings can't take it elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from nexus_tui.commands.run.command import NAMES
from nexus_tui.commands.run.programs import PROGRAMS, chosen_by_user, command
from nexus_tui.commands.run.setup import NO_KEY, CannotRunError, Setup, Target

URL, KEY = "http://127.0.0.1:8000", "sk-client-secret"
RESTRICTED = {"X-Nexus-Privacy-Zone": "restricted"}


def prepared(name: str, *rest: str, environ: dict[str, str] | None = None, **more: Any) -> Setup:
    target = Target(URL, **{"key": KEY, **more})
    return PROGRAMS[name].prepare(target, {"HOME": "/nowhere", **(environ or {})}, rest)


def options(setup: Setup) -> dict[str, Any]:
    """Codex's -c flags as it reads them."""
    flags = dict(zip(setup.arguments[::2], setup.arguments[1::2], strict=True))
    assert set(flags) == {"-c"}
    return tomllib.loads("\n".join(setup.arguments[1::2]))


def test_the_names_are_those_of_the_table() -> None:
    assert tuple(PROGRAMS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_no_key_stands_on_a_command_line(name: str) -> None:
    setup = prepared(name, model="m", headers=RESTRICTED)

    assert KEY not in " ".join(setup.arguments)
    assert KEY in setup.variables.values()


@pytest.mark.parametrize("name", NAMES)
def test_the_headers_reach_it(name: str) -> None:
    setup = prepared(name, model="m", headers={**RESTRICTED, "X-Nexus-Min-Tier": "3"})

    told = json.dumps([*setup.arguments, *setup.variables.values()]).replace("\\", "")
    for part in ("X-Nexus-Privacy-Zone", "restricted", "X-Nexus-Min-Tier"):
        assert part in told


def test_claude_code_asks_here_whatever_its_settings_say() -> None:
    setup = prepared("claude", model="qwen3:8b", environ={"ANTHROPIC_API_KEY": "sk-ant-own"})

    made = setup.environment({"ANTHROPIC_API_KEY": "sk-ant-own", "CLAUDE_CODE_USE_BEDROCK": "1"})
    assert made["ANTHROPIC_BASE_URL"] == URL
    assert made["ANTHROPIC_AUTH_TOKEN"] == KEY
    assert made["CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST"] == "1"
    assert {"ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK"} & set(made) == set()
    models = {value for name, value in made.items() if name.endswith("_MODEL")}
    assert models == {"qwen3:8b"}
    assert setup.arguments == ()


def test_claude_codes_headers_go_by_a_flag_that_wins_over_its_settings() -> None:
    setup = prepared("claude", headers=RESTRICTED, environ={"ANTHROPIC_CUSTOM_HEADERS": "X-Own: 1"})

    flag, value = setup.arguments
    assert flag == "--settings"
    headers = "X-Own: 1\nX-Nexus-Privacy-Zone: restricted"
    assert json.loads(value) == {"env": {"ANTHROPIC_CUSTOM_HEADERS": headers}}
    assert setup.variables["ANTHROPIC_CUSTOM_HEADERS"] == headers
    assert setup.variables["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"


@pytest.mark.parametrize("own", [("--settings", "mine.json"), ("--settings=mine.json",)])
def test_settings_of_the_users_own_would_replace_the_headers(own: tuple[str, ...]) -> None:
    assert prepared("claude", *own).arguments == ()  # nothing to lose

    with pytest.raises(CannotRunError, match="X-Nexus-Privacy-Zone: restricted"):
        prepared("claude", *own, headers=RESTRICTED)


@pytest.mark.parametrize(
    ("window", "compacts", "output"),
    [
        (None, None, None),
        (32768, "100000", "8192"),
        (100_000, "100000", "25000"),
        (200_000, "200000", None),
    ],
)
def test_claude_code_hears_of_a_window(
    window: int | None, compacts: str | None, output: str | None
) -> None:
    variables = prepared("claude", model="m", window=window).variables

    assert variables.get("CLAUDE_CODE_AUTO_COMPACT_WINDOW") == compacts
    assert variables.get("CLAUDE_CODE_MAX_OUTPUT_TOKENS") == output


@pytest.mark.parametrize("window", [1, 4096, 8192, 32768, 65536, 99_999])
def test_claude_code_compacts_before_a_window_smaller_than_it_knows_is_full(window: int) -> None:
    variables = prepared("claude", model="m", window=window).variables

    output = int(variables["CLAUDE_CODE_MAX_OUTPUT_TOKENS"])
    left = int(variables["CLAUDE_CODE_AUTO_COMPACT_WINDOW"]) - output
    percent = int(variables["CLAUDE_AUTOCOMPACT_PCT_OVERRIDE"])
    assert 1 <= percent <= 100
    assert percent == 1 or left * percent // 100 + output < window


def test_codex_has_a_provider_of_its_own() -> None:
    setup = prepared("codex", model='odd "name"', window=32768, headers=RESTRICTED)

    told = options(setup)
    assert told["model_provider"] == "nexus"
    assert (told["model"], told["model_context_window"]) == ('odd "name"', 32768)
    provider = told["model_providers"]["nexus"]
    assert provider["base_url"] == f"{URL}/v1"
    assert provider["wire_api"] == "responses"
    assert provider["http_headers"] == RESTRICTED
    assert setup.variables[provider["env_key"]] == KEY


def test_codex_without_a_model_keeps_its_own() -> None:
    assert "model" not in options(prepared("codex"))


def test_opencode_keeps_what_else_its_variable_says() -> None:
    own = {"theme": "x", "provider": {"other": {"npm": "y"}}, "model": "other/z"}
    environ = {"OPENCODE_CONFIG_CONTENT": json.dumps(own)}

    setup = prepared("opencode", model="m:7b", models=("m:7b", "n"), window=8192, environ=environ)

    told = json.loads(setup.variables["OPENCODE_CONFIG_CONTENT"])
    assert (told["theme"], told["model"], told["small_model"]) == ("x", "nexus/m:7b", "nexus/m:7b")
    assert set(told["provider"]) == {"other", "nexus"}
    nexus = told["provider"]["nexus"]
    assert nexus["options"]["baseURL"] == f"{URL}/v1"
    limit = {"context": 8192, "output": 2048}
    assert nexus["models"] == {"m:7b": {"name": "m:7b", "limit": limit}, "n": {"name": "n"}}


@pytest.mark.parametrize("content", ["[]", "{"])
def test_opencodes_variable_must_be_readable(content: str) -> None:
    with pytest.raises(CannotRunError, match="OPENCODE_CONFIG_CONTENT"):
        prepared("opencode", environ={"OPENCODE_CONFIG_CONTENT": content})


def test_another_program_has_every_vendors_variables() -> None:
    program = command(["python", "app.py"])

    made = program.prepare(Target(URL, KEY, "m"), {}, ["app.py"]).environment({})
    assert made["OPENAI_BASE_URL"] == made["OPENAI_API_BASE"] == f"{URL}/v1"
    assert (
        made["ANTHROPIC_BASE_URL"] == made["GOOGLE_GEMINI_BASE_URL"] == made["OLLAMA_HOST"] == URL
    )
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        assert made[name] == KEY
    assert made["OPENAI_MODEL"] == "m"
    assert not program.sends_headers


def test_a_program_that_wants_a_key_gets_one_where_none_is_needed() -> None:
    assert prepared("claude", key=None).variables["ANTHROPIC_AUTH_TOKEN"] == NO_KEY


@pytest.mark.parametrize(
    ("name", "environ", "rest", "chosen"),
    [
        ("claude", {}, ["-p", "hi"], None),
        ("claude", {}, ["--model", "opus"], "opus"),
        ("claude", {}, ["--model=opus"], "opus"),
        ("claude", {"ANTHROPIC_MODEL": "x"}, [], "x"),
        ("codex", {}, ["exec", "-m", "gpt"], "gpt"),
        ("codex", {"ANTHROPIC_MODEL": "x"}, [], None),
        ("gemini", {"GEMINI_MODEL": "g"}, [], "g"),
        ("opencode", {}, ["--model"], None),
    ],
)
def test_a_model_may_be_chosen_by_the_programs_own_means(
    name: str, environ: dict[str, str], rest: list[str], chosen: str | None
) -> None:
    assert chosen_by_user(PROGRAMS[name], environ, rest) == chosen


ASKED = """
import json, anthropic, ollama, openai
from google import genai
print(json.dumps([
    str(openai.OpenAI().base_url), openai.OpenAI().api_key,
    str(anthropic.Anthropic().base_url), anthropic.Anthropic().api_key,
    genai.Client()._api_client._http_options.base_url, genai.Client()._api_client.api_key,
    str(ollama.Client()._client.base_url), ollama.Client()._client.headers["authorization"],
]))
"""


def test_the_vendors_sdks_ask_here_with_the_key(tmp_path: Path) -> None:
    setup = command(["python"]).prepare(Target(URL, KEY), {}, [])

    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-W", "ignore", "-c", ASKED],
        env=setup.environment({"HOME": str(tmp_path), "ANTHROPIC_AUTH_TOKEN": "sk-own"}),
        capture_output=True,
        text=True,
        check=True,
    )

    urls, keys = (json.loads(done.stdout)[start::2] for start in (0, 1))
    assert [url.rstrip("/") for url in urls] == [f"{URL}/v1", URL, URL, URL]
    assert keys == [KEY, KEY, KEY, f"Bearer {KEY}"]
