"""The line of the file below a problem: the caret's place, and that no secret is in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli
from hypothesis import given

from nexus_core.config.load import load_config
from nexus_core.config.toml_lines import places
from nexus_core.errors import ConfigError, ConfigProblem
from tests.config.test_schema import BACKEND, write
from tests.config.test_toml_lines import documents, leaves

CARET = "^"


def problem(directory: Path, text: str) -> ConfigProblem:
    with pytest.raises(ConfigError) as caught:
        load_config(write(directory, text), {})
    (found,) = caught.value.found
    return found


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('zone = "private"  # or open', 'zone = "private"', 7),
        ("  tier   =  7", "tier   =  7", 10),
        ("teir = 3", "teir = 3", 0),
        ("'zone' = 'offen'", "'zone' = 'offen'", 9),
        ('models = ["m", "m"] # twice', 'models = ["m", "m"]', 9),
        ('models = { "模型" = 1, b = "c" }', '"模型" = 1', 9),
        ('models = [\n "m",\n "m"]', "models = […", 9),
        ('name = "ä\\u001b\\n"', 'name = "ä\\u001b\\n"', 7),
    ],
)
def test_the_caret_is_below_the_value_or_the_unknown_key(
    tmp_path: Path, text: str, line: str, column: int
) -> None:
    backend = BACKEND.replace('name = "a"\n', "") if text.startswith("name") else BACKEND

    found = problem(tmp_path, backend + text)

    assert found.excerpt == (f"  {line}", f"  {' ' * column}{CARET}")


def test_what_is_missing_is_shown_at_its_table(tmp_path: Path) -> None:
    found = problem(tmp_path, BACKEND + '  [[ backends ]] # 2\nname = "b"\ntype = "exo"')

    assert found.text.endswith("nexus.toml:5: backends[1].url: is missing")
    assert found.excerpt == ("  [[ backends ]]", "  ^")


def test_people_are_told_line_and_caret_and_programs_one_line_each(tmp_path: Path) -> None:
    path = write(tmp_path, BACKEND + 'zone = "private"\ntier = 9')

    with pytest.raises(ConfigError) as caught:
        load_config(path, {"NEXUS_PORT": "x"})

    error = caught.value
    zone = f'{path}:5: backends[0].zone: "private" is not one of restricted, open'
    tier = f"{path}:6: backends[0].tier: 9 is not between 0 and 4"
    port = 'NEXUS_PORT: "x" is not a port between 0 and 65535'
    assert error.problems == [zone, tier, port]
    assert str(error) == "\n".join(error.problems)
    assert error.lines == [
        zone,
        '  zone = "private"',
        "         ^",
        tier,
        "  tier = 9",
        "         ^",
        port,
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[auth]\napi_keys = ["hunter2"]', "  api_keys = […]"),
        ('[auth]\nadmin_key = "hunter2"', '  admin_key = "…"'),
        ("[auth]\npassword = 'hunter2'", "  password = '…'"),
        ('[auth]\napi_keys_env = ["hunter2"]', "  api_keys_env = […]"),
        ('auth = "hunter2"', '  auth = "…"'),
        ('[bugdet]\nx = "hunter2"', "  [bugdet]"),
        ('bugdet = "hunter2"', '  bugdet = "…"'),
        ('server = { api_key = "hunter2" }', '  api_key = "…"'),
        ('server = [{ x = "hunter2" }]', "  server = […]"),
        (BACKEND + 'api_key = """\nhunter2"""', '  api_key = "…"'),
        (BACKEND + "api_key = '''hunter2''' # hunter2", "  api_key = '…'"),
        (BACKEND + 'tier = 9 # hunter2 was "hunter2"', "  tier = 9"),
        (BACKEND.replace("http://", "ftp://me:hunter2@"), '  url = "…"'),
        (BACKEND.replace("h:1", "h:1/?x=hunter2"), '  url = "…"'),
        ('backends = [{ api_key_env = "A", name = "hunter2" }]', "  {…}"),
    ],
)
def test_what_may_be_a_secret_is_masked(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text), {})

    assert "hunter2" not in "\n".join(caught.value.lines)
    assert line in caught.value.lines


def test_a_long_line_is_cut_and_keeps_its_caret(tmp_path: Path) -> None:
    key = "k" * 90

    found = problem(tmp_path, f"[routing.aliases]\n{key} = 5")

    line, caret = found.excerpt
    assert len(line) <= 74
    assert line[len(caret) - 1] == "5"


@pytest.mark.parametrize(
    ("text", "excerpt"),
    [
        ("[server]\nport = ", ("  port = ", "         ^")),
        ("[server]\n\tport = 80 80", ("  port = …", "         ^")),
        ("[server]\nport = 1\nport = 2", ("  port = 2", "          ^")),
        ("[server", ("  [server", "         ^")),
        ("[auth]\nadmin_key_env = hunter2", ("  admin_key_env = …", "                  ^")),
        ("[auth]\nadmin_key = hunter2", ("  admin_key = …", "              ^")),
        ("[auth]\nadmin_key = 4711 4711", ("  admin_key = …", "              ^")),
        ('[server]\nhost = """\nhunter2', ("  host = …", "         ^")),
        ("[auth]\napi_keys = [\nhunter2", ()),
        ("[server]\nhunter2 = = 1", ()),
    ],
)
def test_of_what_is_no_toml_only_words_of_the_format_are_shown(
    tmp_path: Path, text: str, excerpt: tuple[str, ...]
) -> None:
    assert problem(tmp_path, text).excerpt == excerpt


@given(documents())
def test_every_value_of_a_document_is_found_whole(text: str) -> None:
    document = tomli.loads(text)

    found = places(text)

    for path, value in leaves(document):
        span = found[path].value
        assert span is not None
        assert text[span.start : span.end] == str(value)
