"""What `make demo` installs is a part of what `make test` installs, and all that Nexus needs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def locked(name: str) -> dict[str, str]:
    """Package to pin, marker and hashes."""
    text = (ROOT / "requirements" / name).read_text("utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", text.strip())
    return {entry.partition("==")[0]: entry for entry in entries}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9_-]", requirement)[0] for requirement in requirements}


def pins(entry: str) -> tuple[str, set[str]]:
    """The version, and the hashes."""
    return entry.partition("==")[2].split()[0], set(re.findall(r"sha256:\w{64}", entry))


def test_the_demo_needs_nothing_that_development_has_in_another_version() -> None:
    run, everything = locked("run.lock"), locked("dev.lock")

    assert run.keys() < everything.keys()
    assert {name: pins(entry) for name, entry in run.items()} == {
        name: pins(everything[name]) for name in run
    }


def test_all_dependencies_are_locked_with_hashes() -> None:
    run = locked("run.lock")

    wanted = names(PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["build"])
    assert wanted <= run.keys()
    assert all(pins(entry)[1] for entry in run.values())
    assert names(PROJECT["project"]["optional-dependencies"]["test"]).isdisjoint(run)


def test_no_lock_names_where_packages_come_from() -> None:
    for file in (ROOT / "requirements").glob("*.lock"):
        assert "://" not in file.read_text("utf-8"), file.name
