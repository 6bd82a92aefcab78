"""What went wrong with a store's server, in words."""

from __future__ import annotations

import pytest

from nexus_core.state.base import StoreUnavailableError
from nexus_core.state.valkey.words import at_first, in_words, our_errors


def test_passwords_in_errors_are_cut_out() -> None:
    assert in_words(OSError("redis://user:p@ss@h:1 refused")) == "redis://h:1 refused"
    assert in_words(OSError("x\n  y")) == "x y"
    assert in_words(OSError()) == "OSError"


@pytest.mark.parametrize(
    ("url", "error", "told"),
    [
        ("redis://h:1", ConnectionResetError("reset by peer"), "write rediss://"),
        ("unix:///run/x.sock", ConnectionResetError("reset by peer"), "reset by peer"),
        (None, ConnectionResetError("reset by peer"), "reset by peer"),
        ("rediss://h:1", ConnectionResetError("reset by peer"), "a certificate of this client"),
        ("rediss://h:1", TimeoutError(), "write redis://"),
        ("redis://h:1", TimeoutError(), "it does not answer in time"),
        ("unix:///run/x.sock", OSError("No such file or directory"), "No such file or directory"),
    ],
)
def test_at_first_it_may_be_the_wrong_scheme(url: str, error: Exception, told: str) -> None:
    with pytest.raises(StoreUnavailableError) as raised, at_first(url), our_errors():
        raise error

    assert str(raised.value).rpartition(told)[2] in ("", " in the URL") or told in str(raised.value)
    assert ("write" in str(raised.value)) == ("write" in told)
