import pytest

from nexus_core.observe.event_json import UnreadableError
from nexus_tui.sources.client_keys import (
    ClientKey,
    changed_words,
    limits_in_words,
    read_answer,
    read_keys,
)

_TOLD = {
    "name": "laptop",
    "state": "active",
    "rpm": 60,
    "models": ["llama*"],
    "zone": "restricted",
    "created": "2026-11-30T10:00:00+00:00",
    "used": {
        "under_way": 2,
        "rpm_used": 45,
        "rpm_limit": 60,
        "last_used": "2026-11-30T11:00:00+00:00",
    },
}


def test_keys_are_read_and_those_of_the_environment_come_last() -> None:
    told = read_keys({"keys": [_TOLD], "environment": [{"name": "ci"}], "problem": "gone"})

    laptop, ci = told.keys
    assert (laptop.rpm, laptop.models, laptop.used.rpm) == (60, ("llama*",), 45)
    assert laptop.used.last == 1796036400.0
    assert (ci.state, ci.is_created, ci.used.under_way) == ("environment", False, 0)
    assert told.problem == "gone"


def test_an_older_nexus_tells_of_created_ones_only() -> None:
    assert [key.name for key in read_keys({"keys": [_TOLD], "problem": None}).keys] == ["laptop"]


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"keys": [5]},
        {"keys": [{"state": "active"}]},
        {"keys": [{**_TOLD, "rpm": "many"}]},
        {"keys": [{**_TOLD, "created": "soon"}]},
        {"keys": [], "environment": 5},
    ],
)
def test_what_is_no_list_of_keys_is_told(told: dict[str, object]) -> None:
    with pytest.raises(UnreadableError):
        read_keys(told)


def test_a_secret_is_in_no_representation() -> None:
    told = "nx-a-b"
    answer = read_answer({"name": "laptop", "secret": told})

    assert answer.secret == told
    assert "nx-a" not in repr(answer)
    assert read_answer({"name": "laptop"}).secret is None


def test_only_what_differs_is_asked_for() -> None:
    before = limits_in_words(
        ClientKey(name="a", state="active", rpm=60, budget_usd=0.5, zone="open", tier=0)
    )

    assert before == {"rpm": "60", "budget": "0.5", "tier": "0"}
    assert changed_words(before, {"rpm": "60", "tier": "2", "zone": "restricted"}) == {
        "tier": "2",
        "zone": "restricted",
        "budget": "none",
    }
    assert changed_words(before, before) == {}
