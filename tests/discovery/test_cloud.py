from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from nexus_core.catalog import CLOUD_TYPES, BackendType
from nexus_core.config.schema import BackendConfig, Config
from nexus_core.discovery.cloud import CLOUD_PRIORITY, cloud_keys, keys_without_url, with_cloud
from nexus_core.types import PrivacyZone


class Environment(Mapping[str, str]):
    """Notes what is read."""

    def __init__(self, **values: str) -> None:
        self.values_, self.read = values, list[str]()

    def __getitem__(self, name: str) -> str:
        self.read.append(name)
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def local(name: str = "a", **changes: object) -> BackendConfig:
    values: dict[str, object] = {
        "name": name,
        "url": "http://127.0.0.1:1",
        "type": BackendType.VLLM,
        "zone": PrivacyZone.RESTRICTED,
    }
    return BackendConfig.model_validate(values | changes)


def test_keys_are_only_set_or_not_set() -> None:
    keys = cloud_keys({"OPENAI_API_KEY": "sk-secret", "ANTHROPIC_API_KEY": "  "})

    assert [(key.variable, key.is_set) for key in keys] == [
        ("OPENAI_API_KEY", True),
        ("ANTHROPIC_API_KEY", False),
        ("GOOGLE_API_KEY", False),
    ]
    assert "sk-secret" not in repr(keys)


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"GEMINI_API_KEY": "k"}, "GEMINI_API_KEY"),
        ({"GEMINI_API_KEY": "k", "GOOGLE_API_KEY": "k"}, "GOOGLE_API_KEY"),
    ],
)
def test_google_has_two_names_for_its_key(environ: dict[str, str], variable: str) -> None:
    google = cloud_keys(environ)[2]

    assert (google.variable, google.is_set) == (variable, True)


def test_a_key_that_is_used_makes_an_open_backend_below_anything_local() -> None:
    config = Config(backends=(local(), local("b", priority=5)))

    after = with_cloud(config, {"OPENAI_API_KEY": "sk-1"})

    openai = after.backends[-1]
    assert (openai.name, openai.type, openai.zone) == (
        "openai",
        BackendType.OPENAI,
        PrivacyZone.OPEN,
    )
    assert (openai.priority, openai.api_key) == (4, "sk-1")
    assert (openai.url, openai.models) == ("https://api.openai.com", None)
    assert with_cloud(Config(), {"OPENAI_API_KEY": "k"}).backends[0].priority == CLOUD_PRIORITY


@pytest.mark.parametrize("changes", [{"name": "openai"}, {"type": BackendType.OPENAI}])
def test_a_configured_backend_wins_over_a_key(changes: dict[str, Any]) -> None:
    config = Config(backends=(local(**changes),))

    assert with_cloud(config, {"OPENAI_API_KEY": "k"}).backends == config.backends


def test_a_key_that_no_header_can_carry_is_told() -> None:
    after = with_cloud(Config(), {"OPENAI_API_KEY": "a b"})

    assert after.backends == ()
    assert "OPENAI_API_KEY" in after.unusable[0].why


def test_without_a_key_nothing_is_added() -> None:
    environ = Environment()

    assert with_cloud(Config(), environ) == Config()
    assert set(environ.read) == {name for kind in CLOUD_TYPES for name in kind.spec.key_variables}


@pytest.mark.parametrize("kind", CLOUD_TYPES)
def test_every_cloud_is_known_by_its_variables(kind: BackendType) -> None:
    for variable in kind.spec.key_variables:
        environ = {variable: "sk-1"}

        found = [key for key in (*cloud_keys(environ), *keys_without_url(environ)) if key.is_set]

        assert [(key.type, key.variable) for key in found] == [(kind, variable)]
        used = with_cloud(Config(), environ).backends
        assert [(backend.type, backend.zone, backend.url) for backend in used] == (
            [] if kind.spec.url is None else [(kind, PrivacyZone.OPEN, kind.spec.url)]
        )


def test_of_keys_that_are_not_set_only_the_major_providers_are_told() -> None:
    told = [key.type for key in cloud_keys({})]

    assert told == [kind for kind in CLOUD_TYPES if kind.spec.is_major]
    assert keys_without_url({}) == ()
