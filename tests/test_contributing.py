"""CONTRIBUTING.md against the code: what it names is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PATHS = sorted(set(re.findall(r"`((?:nexus_core|nexus_tui|tests|docs|benchmarks)/[\w./]+)`", TEXT)))
# Names that a walk-through says are in a module.
NAMES = [
    ("nexus_core.catalog.spec", "AuthScheme"),
    ("nexus_core.dialects.base.dialect", "Dialect"),
    ("nexus_core.types", "DialectName"),
    ("nexus_core.observe.events", "RequestFinished"),
    ("nexus_core.observe.facts", "Fact"),
    ("nexus_core.observe.facts", "SCREEN_LIST"),
    ("nexus_core.observe.facts", "TEXT_LIST"),
    ("nexus_core.config.schema", "AT_START"),
    ("nexus_core.config.schema", "HealthCheckConfig"),
    ("nexus_core.config.schema", "WeightsConfig"),
    ("nexus_core.routing.scoring", "TERMS"),
    ("nexus_core.errors", "ActionableErrorContext"),
]


@pytest.mark.parametrize("path", PATHS)
def test_every_path_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_every_name_stands_in_its_module_and_in_the_text(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)
    assert f"`{name}`" in TEXT


def test_every_make_target_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))

    assert set(re.findall(r"\bmake ([a-z]+)", TEXT)) <= targets
