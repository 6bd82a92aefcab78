"""[storage] url_env: which URLs are taken, and that no message repeats one."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_core.config import database
from nexus_core.config.load import load_config
from nexus_core.errors import ConfigError

URL = "postgresql://nexus:s3cret@db.internal:5432/nexus?sslmode=require"


def written(directory: Path, more: str = "") -> Path:
    path = directory / "nexus.toml"
    path.write_text(f'[storage]\nurl_env = "THE_DATABASE"\n{more}', encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "postgres://db/nexus",
        "postgresql://a:5432,b:5433/nexus?target_session_attrs=read-write",
        "postgresql:///nexus?host=/var/run/postgresql",
    ],
)
def test_the_url_comes_from_the_variable_and_is_in_no_text(tmp_path: Path, url: str) -> None:
    config = load_config(written(tmp_path), {"THE_DATABASE": f" {url}\n"})

    assert config.storage.url == url
    assert url not in repr(config)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "THE_DATABASE: is not set; export it as postgresql://USER:"),
        ({"THE_DATABASE": " "}, "THE_DATABASE: is empty; export it as postgresql://USER:"),
        ({"THE_DATABASE": "s3cret"}, "THE_DATABASE: is no URL of PostgreSQL;"),
        ({"THE_DATABASE": "mysql://u:s3cret@h/d"}, "THE_DATABASE: is no URL of PostgreSQL;"),
        ({"THE_DATABASE": "postgresql:s3cret"}, "THE_DATABASE: is no URL of PostgreSQL;"),
        ({"THE_DATABASE": "postgresql://[s3cret"}, "THE_DATABASE: is no URL of PostgreSQL;"),
        ({"THE_DATABASE": "postgresql://u:s3cret @h/d"}, "THE_DATABASE: is no URL of PostgreSQL;"),
        ({"THE_DATABASE": "postgresql://u:a@s3cret@h/d"}, "THE_DATABASE: has an @ in its password"),
    ],
)
def test_a_wrong_variable_is_named_and_not_repeated(
    tmp_path: Path, environ: dict[str, str], expected: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(written(tmp_path), environ)

    (problem,) = refused.value.found
    assert problem.text.startswith(expected)
    assert "s3cret" not in str(refused.value)


def test_rows_need_a_file_to_wait_in(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a ledger file"):
        load_config(written(tmp_path, 'path = ":memory:"'), {"THE_DATABASE": URL})


def test_a_missing_client_is_told_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "find_spec", lambda _name: None)

    with pytest.raises(ConfigError, match=r"pip install 'nexus-gateway\[fleet\]'"):
        load_config(written(tmp_path), {"THE_DATABASE": URL})


def test_the_url_itself_is_no_key_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"storage\.url: unknown key"):
        load_config(written(tmp_path, f'url = "{URL}"'), {"THE_DATABASE": URL})
