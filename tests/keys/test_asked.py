"""Limits as they are asked for: what is understood, and what is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_core.errors import InvalidRequestError
from nexus_core.keys.asked import changed, read_name
from nexus_core.keys.key import NO_LIMITS, Limits
from nexus_core.types import PrivacyZone

AT = 1_800_000_000.0


@pytest.mark.parametrize(
    ("asked", "limits"),
    [
        ({"budget": "20"}, Limits(budget_usd=20.0)),
        ({"budget": 0.5}, Limits(budget_usd=0.5)),
        ({"rpm": "60", "tpm": "100k", "parallel": 4}, Limits(rpm=60, tpm=100_000, parallel=4)),
        ({"models": "llama*, qwen2:72b"}, Limits(models=("llama*", "qwen2:72b"))),
        ({"models": ["gpt-4o"]}, Limits(models=("gpt-4o",))),
        ({"zone": "restricted", "tier": "0"}, Limits(zone=PrivacyZone.RESTRICTED, tier=0)),
        ({"expires": "30d"}, Limits(expires=AT + 30 * 86_400)),
        ({"expires": "3s"}, Limits(expires=AT + 3)),
        ({"expires": "2027-02-01T00:00:00Z"}, Limits(expires=1_801_440_000.0)),
    ],
)
def test_options_and_json_are_read(asked: dict[str, Any], limits: Limits) -> None:
    assert changed(NO_LIMITS, asked, AT) == limits


@pytest.mark.parametrize("nothing", ["none", None])
def test_none_lifts_a_limit_and_the_others_stay(nothing: str | None) -> None:
    before = Limits(rpm=1, tpm=2, budget_usd=3.0, zone=PrivacyZone.RESTRICTED, tier=1)

    after = changed(before, {"rpm": nothing, "zone": nothing, "tier": nothing}, AT)

    assert after == Limits(tpm=2, budget_usd=3.0)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("budget", ["-1", "x", "nan", "inf", True, "1e300"]),
        ("rpm", ["0", "-1", "1.5", "", True, "9" * 20, "²"]),
        ("tpm", ["k", "1kk", 0]),
        ("parallel", ["0", 1.5]),
        ("models", ["", ",", [], [1], ["a", ""], "x" * 300, 7]),
        ("zone", ["closed", 1, ""]),
        ("tier", ["5", "-1", "x", True, 1.5]),
        ("expires", ["0s", "yesterday", "2020-01-01T00:00:00Z", "2027-02-01", "30", 5, "9999999d"]),
        ("owner", ["me"]),
    ],
)
def test_what_is_no_limit_is_refused_by_its_name(field: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(InvalidRequestError) as refused:
            changed(NO_LIMITS, {field: value}, AT)
        assert refused.value.param == field
        assert refused.value.message.startswith(f"{field}: ")


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", ".", "ü", "x" * 65, "admin", "a\n"])
def test_a_name_that_fits_no_url_or_log_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^name: "):
        read_name(name)
