"""Signatures of Nexus's own: what they carry, and that nothing else is taken for one."""

from __future__ import annotations

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.gemini.inbound.signatures import MARK, carried_by, is_own, sign

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(carried=st.dictionaries(st.text(), JSON, min_size=1, max_size=3))
def test_what_is_carried_comes_back(carried: dict[str, object]) -> None:
    signature = sign(carried)

    assert is_own(signature)
    assert MARK in signature.encode()
    assert carried_by(signature) == carried


def test_a_client_of_googles_takes_it_as_bytes_and_returns_it() -> None:
    part = types.Part.model_validate({"text": "a", "thoughtSignature": sign({"a": 1})})

    sent = part.model_dump(mode="json", by_alias=True, exclude_none=True)

    assert carried_by(sent["thoughtSignature"]) == {"a": 1}


@pytest.mark.parametrize("other", [None, 7, "", "c2ln", "RmFrZVNpZw==", "nexus1"])
def test_no_other_is_taken_for_one(other: object) -> None:
    assert not is_own(other)
    assert carried_by(other) is None


@pytest.mark.parametrize("broken", [sign(), sign({"a": 1})[:-6] + "%%", MARK.decode() + "AAAA"])
def test_a_broken_one_carries_nothing(broken: str) -> None:
    assert is_own(broken)
    assert carried_by(broken) is None
