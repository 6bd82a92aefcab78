"""Which model a program asks for: the one named, its own, or the only one there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from nexus_core.config.schema import Config
from nexus_tui.commands.run.beside import Beside
from nexus_tui.commands.run.models import (
    ModelError,
    Models,
    is_all_restricted,
    state_of,
    window_of,
)
from nexus_tui.commands.run.programs import PROGRAMS
from nexus_tui.commands.run.setup import UsedKey
from tests.tui.commands.serving import fake_nexus

CLAUDE, OPENCODE = PROGRAMS["claude"], PROGRAMS["opencode"]


@contextmanager
def serving(*names: str, **aliases: Any) -> Iterator[Models]:
    """The models of a fake Nexus that lists these names, and answers for `aliases` as well."""
    found = {f"/v1/models/{name.replace(':', '%3A')}": {"id": name} for name in (*names, *aliases)}
    listed = {"object": "list", "data": [{"id": name} for name in names]}
    missing = {"error": {"message": 'no model "x"; did you mean "y"?', "code": "model_not_found"}}
    more = {**dict.fromkeys((f"/v1/models/{name}" for name in MISSING), missing), **found}
    with fake_nexus(more={"/v1/models": listed, **more}) as (url, _):
        yield Models(Beside(url), UsedKey("sk-client", "MY_KEY"), Config())


MISSING = ("x", *CLAUDE.asks)


def test_a_model_that_is_served_is_taken() -> None:
    with serving("qwen3:8b") as models:
        models.require("qwen3:8b")


def test_a_model_that_is_not_served_is_told_with_what_is_near() -> None:
    with serving("y") as models, pytest.raises(ModelError, match='did you mean "y"') as refused:
        models.require("x")

    assert refused.value.code == 2


def test_a_program_keeps_its_own_models_where_they_are_served() -> None:
    with serving("claude-sonnet-5", "qwen3:8b") as models:
        assert models.choose(CLAUDE) is None


def test_names_that_only_begin_like_its_own_are_taken_and_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving("claude-qwen", "qwen3:8b") as models:
        assert models.choose(CLAUDE) is None

    told = capsys.readouterr().err
    assert f"{CLAUDE.asks[0]} and {CLAUDE.asks[1]} are not served here" in told
    assert told.endswith("name one with --model: claude-qwen\n")


def test_an_alias_with_wildcards_serves_them_as_well() -> None:
    with serving("qwen3:8b", "llama3", **{CLAUDE.asks[0]: True}) as models:
        assert models.choose(CLAUDE) is None


@pytest.mark.parametrize("program", [CLAUDE, OPENCODE])
def test_the_only_model_is_taken(program: Any) -> None:
    with serving("qwen3:8b", "nomic-embed-text") as models:
        assert models.choose(program) == "qwen3:8b"


def test_of_several_one_has_to_be_chosen() -> None:
    names = [f"m{number}" for number in range(7)]
    with serving(*names) as models, pytest.raises(ModelError) as refused:
        models.choose(CLAUDE)

    assert 'called "claude…"' in str(refused.value)
    assert "--model: m0, m1, m2, m3, m4, …" in str(refused.value)


def test_opencode_would_ask_somebody_else_without_one() -> None:
    with serving("claude-sonnet-5", "qwen3:8b") as models, pytest.raises(ModelError) as refused:
        models.choose(OPENCODE)

    assert str(refused.value) == "choose a model with --model: claude-sonnet-5, qwen3:8b"


def test_without_any_model_the_check_is_named() -> None:
    with serving() as models, pytest.raises(ModelError, match="nexus check"):
        models.choose(CLAUDE)


# The state ----------------------------------------------------------------------------------------


def backend(zone: str, **windows: int | None) -> dict[str, Any]:
    details = {name: {"context_tokens": window} for name, window in windows.items()}
    return {"zone": zone, "details": details}


@pytest.mark.parametrize(
    ("backends", "is_all"),
    [
        ([backend("restricted"), backend("restricted")], True),
        ([backend("restricted"), backend("open")], False),
        ([], False),
        (None, False),
    ],
)
def test_a_fleet_is_restricted_as_a_whole_or_not(backends: Any, is_all: bool) -> None:
    assert is_all_restricted({"backends": backends}) is is_all
    assert is_all_restricted(None) is False


def test_the_smallest_known_window_counts() -> None:
    state: Mapping[str, Any] = {
        "backends": [
            *(backend("open", m=65536, n=1), backend("open", m=32768), backend("open", m=None)),
            {"zone": "open", "details": None},
        ]
    }

    assert window_of(state, "m") == 32768
    assert window_of(state, "other") is None


@pytest.mark.parametrize(
    ("aliases", "window"), [({"claude-*": "m"}, 65536), ({"claude-*": "other"}, None), (None, None)]
)
def test_an_alias_has_the_window_of_its_model(aliases: Any, window: int | None) -> None:
    routing = {"routing": {"aliases": aliases}}
    state: Mapping[str, Any] = {"backends": [backend("open", m=65536)], "config": routing}

    assert window_of(state, "claude-local") == window


def test_without_its_key_the_state_is_unknown() -> None:
    refused = {"error": {"message": "wrong key", "code": "permission_denied"}}
    with fake_nexus(state=refused) as (url, _):
        assert state_of(Beside(url), Config()) is None
    with fake_nexus() as (url, _):
        assert state_of(Beside(url), Config()) is not None
