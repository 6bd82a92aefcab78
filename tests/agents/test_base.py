from __future__ import annotations

import pytest

from nexus_core.agents.base import read_whole
from nexus_core.upstream.base import UpstreamProtocolError
from tests.proxy.fakes import ScriptedResponse


async def test_a_whole_answer_has_a_limit() -> None:
    assert await read_whole(ScriptedResponse(b"12345", b"67890"), 10) == b"1234567890"
    with pytest.raises(UpstreamProtocolError, match="over 9 bytes"):
        await read_whole(ScriptedResponse(b"12345", b"67890"), 9)
