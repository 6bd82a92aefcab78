"""Saturating load: wrk where it is installed, else a generator of our own; each answer is awaited.

Run: python benchmarks/side_by_side/generator.py PORT CONNECTIONS SECONDS PATH < request body
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.loads import PATHS, as_request
from benchmarks.side_by_side.processes import OTHER_CORE, pin

_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer sk-none"
wrk.body = [==[%s]==]
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("RESULT %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""
_ENDS = (b"}", b"\r\n0\r\n\r\n")  # of a whole answer, and of a stream


@dataclass(frozen=True, slots=True)
class Result:
    """What the clients saw in one round."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failures: int  # connections, time-outs and answers that are no 200

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def generate(
    port: int, body: bytes, connections: int, seconds: float, path: str = PATHS["chat"]
) -> Result:
    """Ask from so many connections at once, for so long."""
    if shutil.which("wrk"):
        printed = _wrk(port, body, connections, seconds, path)
    else:
        arguments = (str(port), str(connections), str(seconds), path)
        printed = _run([sys.executable, __file__, *arguments], body)
    found = printed.rpartition("RESULT ")[2].split()
    requests, micros, p50, p99, failures = map(int, found)
    return Result(requests, micros / 1e6, p50 / 1e3, p99 / 1e3, failures)


def _wrk(port: int, body: bytes, connections: int, seconds: float, path: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "post.lua")
        script.write_text(_SCRIPT % body.decode())
        url = f"http://127.0.0.1:{port}{path}"
        options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
        return _run(["wrk", *options, "-s", str(script), url], b"")


def _run(command: list[str], given: bytes) -> str:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        pin(child.pid, OTHER_CORE)
        out, _ = child.communicate(given)
    if child.returncode:
        raise SystemExit(f"{command[0]} ended with {child.returncode}")
    return out.decode()


class _Client(asyncio.Protocol):
    def __init__(self, request: bytes, end: float, took: list[float]) -> None:
        self._request = request
        self._end = end
        self._took = took
        self._began = 0.0
        self._has_begun = False  # the answer
        self.failures = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._began = time.perf_counter()
        self._has_begun = False
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._has_begun:
            self._has_begun = True
            self.failures += not data.startswith(b"HTTP/1.1 200")
        if not data.endswith(_ENDS) and data != b"0\r\n\r\n":
            return
        now = time.perf_counter()
        self._took.append(now - self._began)
        if now < self._end:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def _ask(port: int, connections: int, seconds: float, path: str, body: bytes) -> None:
    loop = asyncio.get_running_loop()
    took: list[float] = []
    began = time.perf_counter()
    request = as_request(body, path)
    clients = [
        (
            await loop.create_connection(
                lambda: _Client(request, began + seconds, took), "127.0.0.1", port
            )
        )[1]
        for _ in range(connections)
    ]
    for client in clients:
        await client.done
    whole = time.perf_counter() - began
    cuts = statistics.quantiles(took, n=100)
    failures = sum(client.failures for client in clients)
    micros = (whole * 1e6, cuts[49] * 1e6, cuts[98] * 1e6)
    print("RESULT", len(took), *(round(value) for value in micros), failures)


if __name__ == "__main__":
    asked = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    uvloop.run(_ask(*asked, sys.stdin.buffer.read()))
