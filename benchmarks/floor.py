"""The floor: the least that a gateway in Python does, to measure others by.

A plain ASGI application on uvicorn with httptools and uvloop. It parses the request, asks the
backend with aiohttp, and passes the answer on: parsed where it is whole, as it comes where it is a
stream. It routes nothing, counts nothing and knows one backend.
Run: python benchmarks/floor.py PORT BACKEND_URL
"""

from __future__ import annotations

import json
import sys
from typing import Any

import aiohttp
import uvicorn

_JSON = [(b"content-type", b"application/json")]
_SSE = [(b"content-type", b"text/event-stream")]


class Floor:
    """The application; `close` ends its connections."""

    def __init__(self, backend: str) -> None:
        self._url = backend + "/v1/chat/completions"
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "GET":
            await _send_whole(send, b'{"status":"ok"}')
            return
        pieces = []
        while True:
            message = await receive()
            pieces.append(message["body"])
            if not message.get("more_body", False):
                break
        body = b"".join(pieces)
        is_stream = json.loads(body).get("stream", False)
        session = self._session or self._open()
        headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-none"}
        async with session.post(self._url, data=body, headers=headers) as answer:
            if not is_stream:
                whole = await answer.read()
                json.loads(whole)
                await _send_whole(send, whole)
                return
            await send({"type": "http.response.start", "status": 200, "headers": _SSE})
            async for piece in answer.content.iter_any():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        )
        return self._session


async def _send_whole(send: Any, body: bytes) -> None:
    headers = [*_JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def uvicorn_config(app: Any, port: int = 0) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        port=port,
        http="httptools",
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
        backlog=2048,
        timeout_keep_alive=600,  # as long as a benchmark may leave it alone
    )


if __name__ == "__main__":
    uvicorn.Server(uvicorn_config(Floor(sys.argv[2]), int(sys.argv[1]))).run()
