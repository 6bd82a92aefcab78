"""What only one engine does, and that only the one asked for is imported."""

from __future__ import annotations

import subprocess
import sys
from typing import Literal

import httpx
import pytest

from nexus_core.upstream.httpx_engine import HttpxEngine
from tests.upstream.test_engines import exchange, post


async def test_httpx_speaks_to_an_application_in_memory() -> None:
    def application(request: httpx.Request) -> httpx.Response:
        return httpx.Response(201, headers={"X-Path": request.url.path}, content=request.content)

    engine = HttpxEngine(httpx.MockTransport(application))

    response, body = await exchange(engine, post("http://in-memory", b"echo"))
    await engine.close()

    assert (response.status, body) == (201, b"echo")
    assert ("x-path", "/v1/chat/completions") in response.headers


# The modules


@pytest.mark.parametrize(
    ("kind", "unwanted"),
    [("http1", {"httpx", "httpcore"}), ("httpx", {"nexus_core.upstream.http1"})],
)
def test_only_the_engine_asked_for_is_imported(
    kind: Literal["http1", "httpx"], unwanted: set[str]
) -> None:
    script = (
        "import sys; from nexus_core.upstream import create_engine;"
        f"create_engine({kind!r}); print(*sys.modules)"
    )

    loaded = subprocess.run(  # noqa: S603  this interpreter, our own words
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not unwanted & set(loaded)
