"""nexus.toml: where it is found, what is wrong with it and on which line, what the keys become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.catalog import BackendType
from nexus_core.config.load import Overrides, find_config, load_config
from nexus_core.config.loopback import is_loopback
from nexus_core.config.schema import (
    BackendConfig,
    Config,
    KeyPath,
    RoutingConfig,
    ServerConfig,
    at_start,
    may_be_a_key,
)
from nexus_core.config.toml_lines import locate
from nexus_core.errors import ConfigError
from nexus_core.types import PrivacyZone

BACKEND = '[[backends]]\nname = "a"\nurl = "http://h:1"\ntype = "vllm"\n'
CLOUD = '[[backends]]\nname = "c"\nurl = "https://h"\ntype = "openai"\napi_key_env = "C_KEY"\n'


def write(directory: Path, text: str) -> Path:
    path = directory / "nexus.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(directory: Path, text: str, **environ: str) -> Config:
    return load_config(write(directory, text), environ)


def problems(directory: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(directory, text, **environ)
    return [line.removeprefix(f"{directory}/") for line in caught.value.problems]


# Finding the file


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
    ("[storage]\nzzz = 1", "2: storage.zzz: unknown key; allowed here: path, retention_days"),
    ("warnings = []", "1: warnings: unknown key; allowed here: server, auth, health_check, "
     "routing, queue, budget, storage, tui, backends, pricing"),
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
    ('[server]\nupstream = "aiohtp"',
     '2: server.upstream: "aiohtp" is not one of aiohttp, httpx; did you mean "aiohttp"?'),
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
    ('[[routing.policies]]\nmodel_pattern = ""',
     "2: routing.policies[0].model_pattern: must not be empty"),
    ('[[routing.policies]]\nmodel_pattern = "*"\nmin_tier = 5',
     "3: routing.policies[0].min_tier: 5 is not between 0 and 4"),
    ('[pricing.openai]\n"gpt 4" = { input_per_1k = -1, output_per_1k = 1 }',
     '2: pricing.openai."gpt 4".input_per_1k: -1 is not 0 or more'),
    ('[server]\n"a\\u001b\\nb" = 1', "2: server.\"a\\x1b\\nb\": unknown key; allowed here: host, "
     "port, request_timeout_seconds, connect_timeout_seconds, first_byte_timeout_seconds, "
     "idle_timeout_seconds, max_connections, max_body_bytes, max_response_bytes, "
     "shutdown_grace_seconds, upstream"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), ONE_PROBLEM)
def test_a_problem_is_told_with_line_key_and_what_is_allowed(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert problems(tmp_path, text) == [f"nexus.toml:{expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[server]\nport = ", "nexus.toml:2:8: Invalid value"),
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


# What the values become


@pytest.mark.parametrize(
    "url",
    [
        "http://h:1/",
        "https://h/v1",
        "https://h/v1beta/openai/",
        "https://h/api/paas/v4",
        "http://[::1]:8080/v1/chat/completions",
    ],
)
def test_a_url_stays_as_it_is_written(tmp_path: Path, url: str) -> None:
    config = load(tmp_path, BACKEND.replace("http://h:1", url))

    assert config.backends[0].url == url


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://h/v1?key=abcdefg", "without ? or #"),
        ("https://h/v1#top", "without ? or #"),
        (
            "https://h/openai/deployments/d?api-version=2024-10-21",
            "/openai/v1 needs no api-version",
        ),
        ("https://me:abcdefg@h/v1", "not contain a user name or password"),
    ],
)
def test_a_url_holds_neither_query_nor_credentials(tmp_path: Path, url: str, told: str) -> None:
    (found,) = problems(tmp_path, BACKEND.replace("http://h:1", url))

    assert told in found
    assert "abcdefg" not in found


@pytest.mark.parametrize(
    "url", ["h:1", "ftp://h", "http://", "http://h:x", "http://[::1", "http://h a"]
)
def test_what_is_no_url_is_refused(tmp_path: Path, url: str) -> None:
    (found,) = problems(tmp_path, BACKEND.replace("http://h:1", url))

    assert found.startswith("nexus.toml:3: backends[0].url: ")


def test_models_are_a_list_or_a_table_or_discovered(tmp_path: Path) -> None:
    assert load(tmp_path, BACKEND).backends[0].models is None
    assert load(tmp_path, BACKEND + 'models = ["m"]').backends[0].models == {"m": "m"}
    assert load(tmp_path, BACKEND + "models = {a = 'b'}").backends[0].models == {"a": "b"}


def test_a_zone_is_implied_by_the_type(tmp_path: Path) -> None:
    config = load(tmp_path, BACKEND + CLOUD, C_KEY="k")

    assert [b.zone for b in config.backends] == [PrivacyZone.RESTRICTED, PrivacyZone.OPEN]


def test_a_whole_number_is_good_where_a_fraction_is_allowed(tmp_path: Path) -> None:
    assert load(tmp_path, "[server]\nidle_timeout_seconds = 7").server.idle_timeout_seconds == 7.0


def test_three_aliases_in_a_row_are_allowed(tmp_path: Path) -> None:
    assert load(tmp_path, "[routing.aliases]\na='b'\nb='c'\nc='d'").routing.aliases["c"] == "d"


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({}, "C_KEY is not set; export it or remove the backend"),
        ({"C_KEY": " "}, "C_KEY is empty; export it or remove the backend"),
        ({"C_KEY": "a\nb"}, "C_KEY contains a character not allowed in HTTP headers"),
    ],
)
def test_a_backend_without_its_key_is_left_out(
    tmp_path: Path, environ: dict[str, str], why: str
) -> None:
    config = load(tmp_path, CLOUD + BACKEND, **environ)

    assert [backend.name for backend in config.backends] == ["a"]
    assert [backend.why for backend in config.unusable] == [f'backend "c": {why}']


@pytest.mark.parametrize("kind", ["anthropic", "google"])
def test_every_cloud_type_is_served(tmp_path: Path, kind: str) -> None:
    config = load(tmp_path, CLOUD.replace("openai", kind), C_KEY="k")

    assert config.unusable == ()
    assert config.backends[0].type is BackendType(kind)


def test_keys_do_not_show_in_a_repr(tmp_path: Path) -> None:
    config = load(
        tmp_path, CLOUD, C_KEY="k-backend", NEXUS_API_KEYS="k-client", NEXUS_ADMIN_KEY="k-a"
    )

    assert config.backends[0].api_key == "k-backend"
    assert "k-" not in repr(config).replace("key-1", "")


# Options, variables, keys


def test_an_option_wins_over_a_variable_over_the_file_over_the_default(tmp_path: Path) -> None:
    path = write(tmp_path, "[server]\nport = 2")

    assert load_config(None, {}).server.port == 8000
    assert load_config(path, {}).server.port == 2
    assert load_config(path, {"NEXUS_PORT": "3"}).server.port == 3
    assert load_config(path, {"NEXUS_PORT": "3"}, Overrides(port=4)).server.port == 4
    assert load_config(path, {"NEXUS_HOST": "::1"}).server.host == "::1"


def test_client_keys_may_have_names() -> None:
    auth = load_config(None, {"NEXUS_API_KEYS": " k1 ,team:k2", "NEXUS_ADMIN_KEY": "adm"}).auth

    assert [(key.name, key.value) for key in auth.api_keys] == [("key-1", b"k1"), ("team", b"k2")]
    assert auth.admin_key == b"adm"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is set but empty"),
        (" ", "is set but empty"),
        ("hush,", "entry 2 is empty"),
        ("hush,name:", "entry 2 is empty"),
        (":hush", "entry 1 has no usable name"),
        ("hush hush", "entry 1 contains a character"),
        ("a:hush,a:hush2", "contains a duplicate name"),
        ("a:hush,b:hush", "contains a duplicate key"),
    ],
)
def test_client_keys_that_are_no_keys_are_refused(text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as caught:
        load_config(None, {"NEXUS_API_KEYS": text})

    assert "hush" not in str(caught.value)


def test_an_empty_admin_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="NEXUS_ADMIN_KEY: is empty"):
        load_config(None, {"NEXUS_ADMIN_KEY": ""})


@pytest.mark.parametrize(
    "environ",
    [
        {"NEXUS_PORT": "tcp://10.0.0.1:8000"},
        {"NEXUS_PORT": "tcp://[fd00::1]:8000"},
        {"NEXUS_PORT": "UDP://10.0.0.1:8000"},
        {"NEXUS_HOST": "tcp://172.17.0.5:8000"},
        {"NEXUS_CONFIG": "tcp://10.0.0.1:8000"},
    ],
)
def test_a_variable_that_is_not_meant_for_nexus_is_passed_over_with_a_note(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    assert find_config(None, environ, tmp_path) is None
    config = load(tmp_path, '[server]\nport = 7\nhost = "127.0.0.2"', **environ)

    (name,) = environ
    assert (config.server.host, config.server.port) == ("127.0.0.2", 7)
    assert len(config.notes) == 1
    assert config.notes[0].startswith(f'{name} is ignored: "{environ[name]}" is set by Kuber')


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_variable_is_one_that_is_not_set(tmp_path: Path, empty: str) -> None:
    environ = {"NEXUS_HOST": empty, "NEXUS_PORT": empty, "NEXUS_CONFIG": empty}

    config = load(tmp_path, "[server]\nport = 7", **environ)

    assert (config.server.host, config.server.port, config.notes) == ("127.0.0.1", 7, ())


@pytest.mark.parametrize("port", ["80a", "tcp:8000", "http://h:1", "70000", "-1"])
def test_a_really_wrong_port_is_still_told(tmp_path: Path, port: str) -> None:
    (found,) = problems(tmp_path, "", NEXUS_PORT=port)

    assert found.startswith("NEXUS_PORT: ")


def test_a_note_is_no_key_of_the_file(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "notes = []")

    assert "unknown key" in found


def test_a_folder_that_may_not_be_looked_into_has_no_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)

    assert find_config(None, {}, tmp_path) is None


def test_other_machines_need_a_key(tmp_path: Path) -> None:
    text = '[server]\nhost = "0.0.0.0"'

    (found,) = problems(tmp_path, text)

    assert found.startswith("nexus.toml:2: server.host: ")
    assert "set NEXUS_API_KEYS" in found
    assert load(tmp_path, text, NEXUS_API_KEYS="k").server.host == "0.0.0.0"  # noqa: S104
    with pytest.raises(ConfigError, match=r"^--host: .*NEXUS_API_KEYS"):
        load_config(None, {}, Overrides(host="192.0.2.1"))
    with pytest.raises(ConfigError, match=r"^NEXUS_HOST: .*NEXUS_API_KEYS"):
        load_config(None, {"NEXUS_HOST": "::", "NEXUS_ADMIN_KEY": "k"})


@pytest.mark.parametrize("host", ["a b", "a\tb"])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="NEXUS_HOST: is not an address"):
        load_config(None, {"NEXUS_HOST": host, "NEXUS_API_KEYS": "k"})


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("LOCALHOST", True)]
    + [(host, False) for host in ("0.0.0.0", "::", "192.168.0.1", "example.org", "")],  # noqa: S104
)
def test_loopback_is_this_machine_only(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


# Lines. A document is generated in which every number is the line on which it stands.

WORDS = st.sampled_from(["a", "b-1", "3", '"q.u"', "'l # ['", '"\\u0041\\" ]"', '""'])
FILLER = st.sampled_from(
    [
        "",
        "# x = [1",
        '"f" = "]}#"',
        "f = '''\n[a]\n# '''",
        'f = """\n\\"""\n[[b]] """""',
        "f = {}",
        "f = 1979-05-27 07:32:00  # t",
        "f = [ [\n], # ]\n '}', ]",
        "f = { x = '}' }",
    ]
)


class Writer:
    """Writes TOML, and knows its line."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""

    def put(self, text: str) -> None:
        self.text += text

    @property
    def line(self) -> str:
        return str(self.text.count("\n") + 1)

    def keys(self) -> list[str]:
        return self.draw(st.lists(WORDS, min_size=1, max_size=4, unique_by=_plain))

    def pairs(self, prefix: str) -> None:
        for key in self.keys():
            self.put(f"{prefix}{self.draw(st.sampled_from(['', ' ']))}{key} = ")
            self.value(2)
            self.put("\n")

    def value(self, depth: int) -> None:
        kind = self.draw(st.sampled_from(["number", "list", "table"])) if depth else "number"
        gap = self.draw(st.sampled_from(["", " ", "\n", " # ]},\n\n"]))
        if kind == "number":
            self.put(self.line)
        elif kind == "list":
            self.put("[")
            for _ in range(self.draw(st.integers(0, 3))):
                self.put(gap)
                self.value(depth - 1)
                self.put(",")
            self.put(gap + "]")
        else:
            self.put("{")
            for index, key in enumerate(self.keys()):
                self.put(", " if index else " ")
                self.put(f"{key} = ")
                self.value(depth - 1)
            self.put(" }")

    def filler(self, number: int) -> None:
        self.put(self.draw(FILLER).replace("f", f"f{number}", 1) + "\n")


def _plain(word: str) -> str:
    return str(next(iter(tomli.loads(f"{word} = 1"))))


@st.composite
def documents(draw: st.DrawFn) -> str:
    writer = Writer(draw)
    writer.pairs("")
    for number in range(draw(st.integers(0, 4))):
        header = draw(
            st.sampled_from([f"[t{number}]", f'[x."t {number}"]', "[[list]]", "[[ x . 'list' ]]"])
        )
        writer.put(f"{header} # [[no]]\n")
        writer.filler(number)
        writer.pairs(draw(st.sampled_from(["", "d.", 'd . "e" .'])))
        if header == "[[list]]":
            writer.put("[[list.inner]]\n")
            writer.pairs("")
            writer.put("[list.inner.most]\n")
            writer.pairs("")
    return writer.text


def leaves(value: Any, path: KeyPath = ()) -> list[tuple[KeyPath, int]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    if isinstance(value, list):
        return [leaf for index, item in enumerate(value) for leaf in leaves(item, (*path, index))]
    in_filler = any(str(part).startswith("f") for part in path)
    return [] if in_filler or not isinstance(value, int) else [(path, value)]


@given(documents())
def test_every_value_of_a_document_is_found_on_its_line(text: str) -> None:
    document = tomli.loads(text)

    lines = locate(text)

    # A key and its value share a line in these documents; an item of a list may stand further on.
    assert {path: lines.get(path) for path, _ in leaves(document)} == dict(leaves(document))


@given(documents())
def test_line_endings_do_not_matter(text: str) -> None:
    assert locate(text.replace("\n", "\r\n")) == locate(text)


def test_a_missing_key_is_told_at_its_table() -> None:
    lines = locate("[a.b]\nx = 1\n\n[a]\ny = 2\n[[c]]\n[[c]]\n")

    assert lines[("a",)] == 4
    assert lines[("c", 0)] == 6
    assert lines[("c", 1)] == 7


def test_a_backend_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    inline = 'backends = [{ name = "a", url = "http://h:1", type = "vllm" }]'

    assert load(tmp_path, inline).backends == load(tmp_path, BACKEND).backends
    assert isinstance(load(tmp_path, inline).backends[0], BackendConfig)


def test_the_schema_says_which_keys_need_a_restart() -> None:
    assert at_start(Config) == ("auth", "queue", "storage")
    assert at_start(ServerConfig) == (
        "host",
        "port",
        "max_connections",
        "shutdown_grace_seconds",
        "upstream",
    )
    assert at_start(RoutingConfig) == ()
