"""What a type implies for its table of the file, and what is wrong with one of its type."""

from __future__ import annotations

from pathlib import Path

import pytest

from nexus_core.catalog import CLOUD_TYPES, LOCAL_TYPES, BackendType
from nexus_core.config.load import load_config
from nexus_core.config.schema import BackendConfig
from nexus_core.errors import ConfigError
from nexus_core.types import PrivacyZone

PLACED = [kind for kind in CLOUD_TYPES if kind.spec.url is not None]
AZURE_V1 = "https://x.openai.azure.com/openai/v1"


def backend(folder: Path, **keys: str) -> BackendConfig:
    """The backend that the file's only table makes, with a key in the environment."""
    lines = [f"{key} = {value}" for key, value in keys.items()]
    path = folder / "nexus.toml"
    path.write_text("\n".join(["[[backends]]", 'name = "a"', *lines]), encoding="utf-8")
    (made,) = load_config(path, {"A_KEY": "sk-0123456789"}).backends
    return made


def problems(folder: Path, **keys: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        backend(folder, **keys)
    return list(caught.value.problems)


def quoted(**keys: str) -> dict[str, str]:
    return {key: f'"{value}"' for key, value in keys.items()}


@pytest.mark.parametrize("kind", PLACED)
def test_a_cloud_brings_its_url_and_is_in_the_open_zone(tmp_path: Path, kind: BackendType) -> None:
    made = backend(tmp_path, **quoted(type=kind, api_key_env="A_KEY"))

    assert (made.url, made.zone) == (kind.spec.url, PrivacyZone.OPEN)
    assert made.api_key == "sk-0123456789"


@pytest.mark.parametrize("kind", PLACED)
def test_another_url_and_zone_win(tmp_path: Path, kind: BackendType) -> None:
    keys = quoted(type=kind, url="http://p:1/v1", zone="restricted", api_key_env="A_KEY")

    made = backend(tmp_path, **keys)

    assert (made.url, made.zone) == ("http://p:1/v1", PrivacyZone.RESTRICTED)


@pytest.mark.parametrize("kind", CLOUD_TYPES)
def test_no_cloud_is_used_without_a_key(tmp_path: Path, kind: BackendType) -> None:
    keys = quoted(type=kind, url="https://h/v1") | {"models": '["m"]'}

    (found,) = problems(tmp_path, **keys)

    assert "api_key_env: is missing" in found
    assert f"type {kind} " in found


@pytest.mark.parametrize("kind", LOCAL_TYPES)
def test_a_local_server_has_no_url_but_its_own(tmp_path: Path, kind: BackendType) -> None:
    assert backend(tmp_path, **quoted(type=kind, url="http://h:1")).zone is PrivacyZone.RESTRICTED
    (found,) = problems(tmp_path, **quoted(type=kind))
    assert found.endswith("backends[0].url: is missing")


def test_azure_says_what_it_needs(tmp_path: Path) -> None:
    found = "\n".join(problems(tmp_path, **quoted(type="azure", api_key_env="A_KEY")))

    assert "backends[0].url: is missing" in found
    assert "backends[0].models: is missing; type azure does not list its deployments" in found


@pytest.mark.parametrize("query", ["", "?api-version=2024-10-21", "?api-version=preview"])
def test_azure_may_have_a_version_in_its_url(tmp_path: Path, query: str) -> None:
    keys = quoted(type="azure", url=AZURE_V1 + query, api_key_env="A_KEY")

    made = backend(tmp_path, **keys, models='{ "gpt-4o" = "d" }')

    assert made.url == AZURE_V1 + query


@pytest.mark.parametrize(
    "query", ["?api-version=", "?api-version=1&key=x", "?key=x", "?api-version=a#b", "?"]
)
def test_azure_has_no_other_query(tmp_path: Path, query: str) -> None:
    keys = quoted(type="azure", url=AZURE_V1 + query, api_key_env="A_KEY")

    (found,) = problems(tmp_path, **keys, models='["d"]')

    assert "without ? or #" in found


@pytest.mark.parametrize("kind", [BackendType.OPENAI, BackendType.VLLM, BackendType.ANTHROPIC])
def test_nobody_else_has_a_version_in_the_url(tmp_path: Path, kind: BackendType) -> None:
    keys = quoted(type=kind, url="https://h/v1?api-version=2024-10-21", api_key_env="A_KEY")

    (found,) = problems(tmp_path, **keys)

    assert "needs no api-version" in found


def test_the_apis_of_a_server_have_names(tmp_path: Path) -> None:
    keys = quoted(type="vllm", url="http://h:1")

    assert backend(tmp_path, **keys, apis='["chat", "messages"]').apis == ("chat", "messages")
    (found,) = problems(tmp_path, **keys, apis='["chat", "smtp"]')
    assert found.endswith("is not one of chat, messages, responses, ollama")


def test_a_vendor_of_its_own_format_speaks_no_other(tmp_path: Path) -> None:
    keys = quoted(type="anthropic", api_key_env="A_KEY")

    (found,) = problems(tmp_path, **keys, apis='["chat"]')

    assert found.endswith("backends[0].apis: has no meaning for type anthropic; remove it")
