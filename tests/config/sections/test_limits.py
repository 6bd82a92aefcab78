"""[limits]: what holds for a key, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from nexus_core.config.sections.limits import LimitsConfig


def test_what_is_not_set_for_a_key_alone_holds_as_for_all() -> None:
    limits = LimitsConfig.model_validate(
        {"requests_per_minute": 600, "max_concurrent": 8, "keys": {"laptop": {"max_concurrent": 2}}}
    )

    laptop, other = limits.of("laptop"), limits.of("other")

    assert (laptop.requests_per_minute, laptop.max_concurrent) == (600, 2)
    assert (other.requests_per_minute, other.max_concurrent) == (600, 8)
    assert laptop.tokens_per_minute is None


def test_without_any_limit_none_is_set() -> None:
    assert not LimitsConfig().is_set
    assert LimitsConfig(tokens_per_minute=1).is_set


@pytest.mark.parametrize("wrong", [{"requests_per_minute": 0}, {"rpm": 1}, {"max_concurrent": 1.5}])
def test_a_limit_that_lets_nobody_in_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LimitsConfig.model_validate(wrong)
