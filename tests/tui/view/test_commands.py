from __future__ import annotations

from collections.abc import Mapping

import pytest

from nexus_tui.view.commands import Found, Noun, Offers, Suggestion, Vocabulary, name_then, one_of

ACTIONS = [
    Suggestion("panic", "Cut the open zone at once", "!"),
    Suggestion("theme", "Next theme", "T"),
    Suggestion("cut", "Cut: switch off; asks first", "K"),
]
BACKENDS = ["gpu-box", "gpu-old", "cloud"]


def verbs(name: str) -> Mapping[str, Offers | str]:
    tiers = one_of(f"backend {name} tier", lambda: {"0": "Tier 0", "1": "Tier 1"})
    return {"on": "Switch it on", "off": "Switch it off", "tier": tiers}


def make() -> Vocabulary:
    themes = one_of("theme", lambda: {"nexus-dark": "dark", "nexus-light": "light"})
    backend = name_then("backend", lambda: BACKENDS, "Go to its row", verbs)
    return Vocabulary(
        ACTIONS,
        [
            Noun("backend", "Go to its row", backend, lambda: BACKENDS),
            Noun("theme", "Change the colours", themes),
        ],
    )


def texts(found: Found) -> list[str]:
    return [one.text for one in found.suggestions]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", ["panic", "theme", "cut", "backend ", "theme "]),
        ("cut", ["cut", "panic"]),
        ("theme", ["theme", "theme "]),
        ("THEM", ["theme ", "theme"]),
        ("gpu", ["backend gpu-box", "backend gpu-old"]),
        ("zone open", ["panic"]),
        ("theme ", ["theme nexus-dark", "theme nexus-light"]),
        ("theme light", ["theme nexus-light"]),
        ("theme nexus-l", ["theme nexus-light"]),
        ("backend ", ["backend cloud", "backend gpu-box", "backend gpu-old"]),
        ("backend box", ["backend gpu-box"]),
        ("backend gpu-box", ["backend gpu-box"]),
        ("backend gpu-box ", ["backend gpu-box on", "backend gpu-box off", "backend gpu-box tier"]),
        ("backend gpu-box o", ["backend gpu-box on", "backend gpu-box off"]),
        ("Backend GPU-BOX off", ["backend gpu-box off"]),
        ("backend gpu-box tier ", ["backend gpu-box tier 0", "backend gpu-box tier 1"]),
        ("backend gpu-box tier 1", ["backend gpu-box tier 1"]),
    ],
)
def test_what_is_typed_is_completed(typed: str, expected: list[str]) -> None:
    assert texts(make().find(typed)) == expected


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("pannic", 'Nothing is called "pannic". Did you mean panic?'),
        ("backnd", 'Nothing is called "backnd". Did you mean backend?'),
        ("zzz", 'Nothing is called "zzz". An action\'s name, or backend, theme.'),
        ("theme nexus-drak", 'theme: no "nexus-drak". Did you mean nexus-dark'),
        ("theme zzz", 'theme: no "zzz". nexus-dark, nexus-light'),
        ("backend gpu off", 'backend: no "gpu".'),
        ("backend gpu-bx off", 'backend: no "gpu-bx". Did you mean gpu-box'),
        ("backend gpu-box of f", 'backend gpu-box: no "of f".'),
    ],
)
def test_what_is_called_nothing_is_told_with_what_would_be(typed: str, told: str) -> None:
    found = make().find(typed)

    assert texts(found) == []
    assert found.told.startswith(told)


def test_a_noun_alone_cannot_be_carried_out() -> None:
    whole = {one.text: one.is_whole for one in make().find("").suggestions}

    assert whole == {
        "panic": True,
        "theme": True,
        "cut": True,
        "backend ": False,
        "theme ": False,
    }
