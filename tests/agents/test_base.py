from __future__ import annotations

import pytest

from nexus_core.agents.base import KeyCutter, read_whole
from nexus_core.upstream.base import UpstreamProtocolError
from tests.proxy.fakes import ScriptedResponse


async def test_a_whole_answer_has_a_limit() -> None:
    assert await read_whole(ScriptedResponse(b"12345", b"67890"), 10) == b"1234567890"
    with pytest.raises(UpstreamProtocolError, match="over 9 bytes"):
        await read_whole(ScriptedResponse(b"12345", b"67890"), 9)


def test_what_a_backend_says_can_be_written_down() -> None:
    assert KeyCutter("sk-1").cut_text("bad sk-1 \ud800") == "bad [key] ?"
