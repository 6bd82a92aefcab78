"""config.example.toml is true: it loads, with all its examples, and tells the defaults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import tomli

from nexus_core.catalog import BackendType
from nexus_core.config.load import load_config
from nexus_core.config.schema import BackendConfig, Config, PolicyConfig
from nexus_core.config.sections.base import Section
from nexus_core.config.sections.fleet import FleetConfig
from nexus_core.types import PrivacyZone

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
VARIABLES = {
    "OPENAI_API_KEY": "sk-openai",
    "NEXUS_API_KEYS": "laptop:k1,k2",
    "NEXUS_DATABASE_URL": "postgresql://nexus:secret@db/nexus",
    "NEXUS_REDIS_URL": "redis://127.0.0.1:6379",
}
NOT_IN_THE_FILE = {"api_keys", "admin_key", "api_key", "via"}  # read from the environment


def with_every_example(directory: Path) -> Path:
    path = directory / "full.toml"
    text = re.sub(r"^#(?! |$)", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_says_what_the_code_does_by_default() -> None:
    config = load_config(EXAMPLE, {})

    defaults = Config().model_dump(exclude={"path", "backends"})
    assert config.model_dump(exclude={"path", "backends"}) == defaults
    assert config.backends == (
        BackendConfig(
            name="local-llama",
            url="http://127.0.0.1:11434",
            type=BackendType.OLLAMA,
            zone=PrivacyZone.RESTRICTED,
        ),
    )


def test_the_example_loads_with_every_line_in_use(tmp_path: Path) -> None:
    config = load_config(with_every_example(tmp_path), VARIABLES)

    assert [backend.name for backend in config.backends] == ["local-llama", "openai"]
    assert config.backends[1].api_key == "sk-openai"
    assert config.unusable == ()
    assert str(config.backends[0].via) == "http://proxy:3128"
    assert [key.name for key in config.auth.api_keys] == ["laptop", "key-2"]


def test_every_key_of_every_section_stands_in_the_example(tmp_path: Path) -> None:
    text = with_every_example(tmp_path).read_text(encoding="utf-8")
    written = tomli.loads(text)

    for name, field in Config.model_fields.items():
        section = field.default
        if isinstance(section, Section):
            computed = NOT_IN_THE_FILE | {"url"}
            assert set(type(section).model_fields) - computed == set(written[name])
    assert set(written["fleet"]) == set(FleetConfig.model_fields) - {"url"}
    assert keys_of(written["backends"]) == set(BackendConfig.model_fields) - NOT_IN_THE_FILE
    assert keys_of(written["routing"]["policies"]) == set(PolicyConfig.model_fields)


def keys_of(tables: list[dict[str, Any]]) -> set[str]:
    return {key for table in tables for key in table}
