"""Where the configuration is found, and what is told of a file that is no good."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_core.config.load import find_config, load_config
from nexus_core.config.sections.base import may_be_a_key
from nexus_core.errors import ConfigError
from tests.config.test_schema import BACKEND, CLOUD, problems, write


def test_an_option_wins_over_the_variable_and_that_over_the_folder(tmp_path: Path) -> None:
    here = write(tmp_path, "")
    named, chosen = tmp_path / "variable.toml", tmp_path / "option.toml"
    named.touch()
    chosen.touch()
    environ = {"NEXUS_CONFIG": str(named)}

    assert find_config(chosen, environ, tmp_path) == chosen
    assert find_config(None, environ, tmp_path) == named
    assert find_config(None, {"NEXUS_CONFIG": ""}, tmp_path) == here


def test_the_users_folder_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own" / "nexus.toml"
    monkeypatch.setattr("platformdirs.user_config_path", lambda *_, **__: own.parent)

    assert find_config(None, {}, tmp_path) is None
    own.parent.mkdir()
    own.touch()
    assert find_config(None, {}, tmp_path) == own


@pytest.mark.parametrize(
    ("option", "environ", "origin"),
    [(Path("gone.toml"), {}, "--config"), (None, {"NEXUS_CONFIG": "gone.toml"}, "NEXUS_CONFIG")],
)
def test_a_named_file_that_is_missing_is_a_problem(
    tmp_path: Path, option: Path | None, environ: dict[str, str], origin: str
) -> None:
    with pytest.raises(ConfigError, match=rf"gone\.toml: no such file; set by {origin}"):
        find_config(option, environ, tmp_path)


# What is wrong with the file

ONE_PROBLEM = [
    ("[server]\nprot = 1", '2: server.prot: unknown key; did you mean "port"?'),
    ("[bugdet]\nx = 1", '1: bugdet: unknown key; did you mean "budget"?'),
    ("[storage]\nzzz = 1",
     "2: storage.zzz: unknown key; allowed here: path, retention_days, url_env"),
    ("warnings = []", "1: warnings: unknown key; allowed here: server, auth, health_check, "
     "routing, queue, budget, limits, storage, fleet, tui, backends, pricing"),
    ("[server]\nport = 70000", "2: server.port: 70000 is not between 0 and 65535"),
    ('[server]\nport = "1"', "2: server.port: must be a whole number, not a string"),
    ("[server]\nport = true", "2: server.port: must be a whole number, not true or false"),
    ('[server]\nhost = ""', '2: server.host: "" is not an address or a host name'),
    ("[server]\nhost = 2026-01-01", "2: server.host: must be a string, not a date or time"),
    ("[server]\nmax_body_bytes = 1", "2: server.max_body_bytes: 1 is not 1024 or more"),
    ("[queue]\nmax_wait_seconds = inf",
     "2: queue.max_wait_seconds: must be a finite number, not a number with a fraction"),
    ("[queue]\nmax_wait_seconds = 0", "2: queue.max_wait_seconds: 0 is not above 0"),
    ("[budget]\nsoft_limit_percent = 101",
     "2: budget.soft_limit_percent: 101 is not above 0 and at most 100"),
    ('[server]\nupstream = "htp1"',
     '2: server.upstream: "htp1" is not one of http1, httpx; did you mean "http1"?'),
    ("server = 3", "1: server: must be a table, not a number"),
    ("[backends]\nname = 'a'", "1: backends: must be a list, so write [[backends]], not a table"),
    (BACKEND + 'zone = "private"', '5: backends[0].zone: "private" is not one of restricted, open'),
    (BACKEND + "tier = 7", "5: backends[0].tier: 7 is not between 0 and 4"),
    (BACKEND + "models = []",
     "5: backends[0].models: is empty; remove it to discover the models of the backend"),
    (BACKEND + 'models = ["m", "m"]', "5: backends[0].models: contains a duplicate model"),
    (BACKEND + "models = [1]", "5: backends[0].models: must contain names only"),
    (BACKEND + 'models = { "m" = 1 }', "5: backends[0].models.m: must be a string, not a number"),
    (BACKEND + BACKEND, '6: backends[1].name: duplicate name "a", already used by backends[0]'),
    (BACKEND + '[[backends]]\nname = "b"\ntype = "exo"', "5: backends[1].url: is missing"),
    (CLOUD.replace("api_key_env", "# "), "1: backends[0].api_key_env: is missing; type openai "
     "requires the environment variable of its API key"),
    ('[routing.aliases]\na = "a"', '2: routing.aliases.a: is a cycle: "a" -> "a"'),
    ('[routing.aliases]\nx = "a"\na = "b"\nb = "a"',
     '3: routing.aliases.a: is a cycle: "a" -> "b" -> "a"'),
    ('[routing.aliases]\na = "b"\nb = "c"\nc = "d"\nd = "e"',
     '2: routing.aliases.a: is a chain longer than 3: "a" -> "b" -> "c" -> "d" -> "e"'),
    ('[routing.aliases]\n"a*" = "b"\nb = "ax"',
     '2: routing.aliases."a*": is a cycle: "a*" -> "b" -> "ax" -> "b"'),
    ('[routing.aliases]\na = "b-*"',
     '2: routing.aliases.a: leads to "b-*", which has a wildcard; name one model'),
    ('[[routing.policies]]\nmodel_pattern = ""',
     "2: routing.policies[0].model_pattern: must not be empty"),
    ('[[routing.policies]]\nmodel_pattern = "*"\nmin_tier = 5',
     "3: routing.policies[0].min_tier: 5 is not between 0 and 4"),
    ('[pricing.openai]\n"gpt 4" = { input_per_1k = -1, output_per_1k = 1 }',
     '2: pricing.openai."gpt 4".input_per_1k: -1 is not 0 or more'),
    ('[server]\n"a\\u001b\\nb" = 1', "2: server.\"a\\x1b\\nb\": unknown key; allowed here: host, "
     "port, workers, request_timeout_seconds, connect_timeout_seconds, first_byte_timeout_seconds, "
     "idle_timeout_seconds, ping_seconds, max_connections, max_body_bytes, max_response_bytes, "
     "drain_seconds, shutdown_grace_seconds, upstream"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), ONE_PROBLEM)
def test_a_problem_is_told_with_line_key_and_what_is_allowed(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert problems(tmp_path, text) == [f"nexus.toml:{expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[server]\nport = ", "nexus.toml:2:8: no value after ="),
        ("a = 1\na = 2", "nexus.toml:2:6: Cannot overwrite a value"),
        ("a = " + "[" * 5000, "nexus.toml: lists or tables are nested too deeply"),
        ("a = " + "9" * 5000, "nexus.toml: a number has too many digits"),
        ("a = 0x" + "f" * 9000, "nexus.toml: a number has too many digits"),
    ],
)
def test_what_is_not_toml_is_told_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert problems(tmp_path, text) == [expected]


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"a = 1\nb = '\xff'")

    with pytest.raises(ConfigError, match=r"latin\.toml:2: is not UTF-8 text"):
        load_config(latin, {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path, {})


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "nexus.toml"
    path.write_bytes(b"\xef\xbb\xbf[server]\r\nport = 1\r\n")

    assert load_config(path, {}).server.port == 1


def test_all_problems_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "[server]\nport = -1\nprot = 1\n" + BACKEND + "tier = 9\n" + BACKEND

    found = problems(tmp_path, text, NEXUS_PORT="x", NEXUS_API_KEYS=" ")

    assert [line.partition(": ")[0] for line in found] == [
        "nexus.toml:2",
        "nexus.toml:3",
        "nexus.toml:8",
        "nexus.toml:10",
        "NEXUS_PORT",
        "NEXUS_API_KEYS",
    ]


SECRET = "sk-proj-0123456789abcdefghijklmnop"  # noqa: S105 - made up


@pytest.mark.parametrize(
    "text",
    [
        BACKEND + f'api_key = "{SECRET}"',
        BACKEND + f'apiKey = "{SECRET}"',
        BACKEND + f'token = "{SECRET}"',
        BACKEND + f'client_secret = "{SECRET}"',
        BACKEND + f'api_key_env = "{SECRET}"',
        BACKEND + 'api_key_env = "AIzaSyA1234567890"',
        BACKEND + f'zone = "{SECRET}"',
        BACKEND + f'"{SECRET}" = 1',
        BACKEND.replace("http://", f"http://me:{SECRET}@"),
        BACKEND.replace("h:1", f"h:1/?key={SECRET}"),
        f'[auth]\napi_keys = ["{SECRET}"]',
        f'[auth]\nadmin_key = "{SECRET}"',
        f'[auth]\napi_keys_env = "{SECRET}"',
        f'[bugdet]\nx = "{SECRET}"',
        f'a = "{SECRET}',
    ],
)
def test_a_key_in_the_file_is_refused_and_never_repeated(tmp_path: Path, text: str) -> None:
    found = "\n".join(problems(tmp_path, text))

    assert SECRET not in found
    assert "AIza" not in found


@pytest.mark.parametrize(
    "name", ["meta-llama/Llama-3.1-70B-Instruct", "OPENAI_API_KEY_2", "task-1"]
)
def test_names_are_not_taken_for_keys(name: str) -> None:
    assert not may_be_a_key(name)
