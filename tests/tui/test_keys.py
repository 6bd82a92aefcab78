from __future__ import annotations

import re

import pytest

from nexus_tui.app import NexusApp
from nexus_tui.keys import KEYS, Key, bindings, by_place, hints
from nexus_tui.screens.help import help_lines


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.id)
def test_the_action_of_each_key_exists(key: Key) -> None:
    name = re.match(r"\w+", key.action)

    assert name is not None
    assert callable(getattr(NexusApp, f"action_{name[0]}", None))


def test_no_key_has_two_meanings() -> None:
    keys = [name for key in KEYS for name in key.keys.split(",")]

    assert len(keys) == len(set(keys))
    assert len({key.id for key in KEYS}) == len(KEYS)


def test_bindings_carry_the_ids_by_which_keys_are_remapped() -> None:
    assert [binding.id for binding in bindings()] == [key.id for key in KEYS]


@pytest.mark.parametrize("place", ["dashboard", "requests", "detail", "backends"])
def test_every_place_hints_at_help_and_quit(place: str) -> None:
    ids = [key.id for key in hints(place)]

    assert ids[-2:] == ["help", "quit"]


def test_the_help_names_every_key() -> None:
    text = "\n".join("".join(part for part, _ in line) for line in help_lines())

    assert all(key.help in text and key.shown in text for key in KEYS)
    assert sum(len(keys) for _, keys in by_place()) == len(KEYS)


@pytest.mark.parametrize("never", ["ctrl+s", "ctrl+z", "f10", "f11", "f12"])
def test_keys_that_terminals_eat_are_not_used(never: str) -> None:
    assert never not in {name for key in KEYS for name in key.keys.split(",")}
