"""How many examples a property is tried with.

By default few, so that the tests are run often; `--hypothesis-profile=thorough` tries many. What
Nexus promises about privacy and money is tried with 200 at least: `@promised()` above `@given`.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings

PROMISED = 200

USUAL = "usual"
settings.register_profile(USUAL, max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=500, deadline=None)


def promised(**more: Any) -> settings:
    """Settings of a property about privacy or money."""
    return settings(max_examples=max(PROMISED, settings().max_examples), deadline=None, **more)
