"""What Nexus adds to each event of a stream, with 50 streams at once.

Backend, gateway and clients are processes of their own, as a user has them; the gateway has a core
to itself. The backend writes the time into every event, and one clock serves all processes. The
streams are steady: one begins as another ends, all through the measurement, and each sends at
moments of its own, as those of users who know nothing of each other. With --together all send at
the same ones, as a server does that computes them in batches: the last of 50 events waits for 49,
so its age is 50 times the CPU of one, in the floor as well. Each API of clients goes to a backend
that speaks it and to one that does not. Ways take turns; of each figure the median of the rounds
counts. "Added" is against asking the backend without a gateway. The floor (floor.py) is one of the
ways: what Nexus adds beyond it is its own, and the goal is for that.

On a machine that does other work, a p99 is waiting for a core; the CPU of an event (of the gateway,
requests included, the smallest of the rounds) tells more there.
Run: python benchmarks/streams.py [--seconds 3] [--rounds 3] [--only chat,messages to vllm]
     [--together]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from benchmarks import floor
from benchmarks.side_by_side import timed_backend
from benchmarks.side_by_side.processes import (
    GATEWAY_CORE,
    OTHER_CORE,
    Running,
    free_port,
    pin,
    started,
)

# Clients' APIs and types of backend: those where bytes pass, and those where they can't.
PASSED = (
    *(("chat", "vllm"), ("messages", "anthropic"), ("responses", "openai"), ("gemini", "google")),
)
TRANSLATED = (
    *(("chat", "anthropic"), ("chat", "google"), ("messages", "vllm"), ("responses", "vllm")),
    *(("ollama", "vllm"), ("gemini", "vllm"), ("messages", "google"), ("responses", "anthropic")),
)
KINDS = ("vllm", "openai", "anthropic", "google")
STREAMS = 50
EVENTS_PER_SECOND = 50  # of each stream, as a quick model has it
STREAM_SECONDS = 2.0
GOAL_MS = 1.0  # at p99, beyond the floor
DIRECT, FLOOR = "direct", "floor"

MESSAGES = [{"role": "user", "content": "hi"}]
# Of each API that clients speak: its path and the body of a stream, of a model.
REQUESTS: dict[str, Callable[[str], tuple[str, dict[str, object]]]] = {
    "chat": lambda model: (
        "/v1/chat/completions",
        {"model": model, "stream": True, "messages": MESSAGES},
    ),
    "messages": lambda model: (
        "/v1/messages",
        {"model": model, "stream": True, "max_tokens": 100, "messages": MESSAGES},
    ),
    "responses": lambda model: (
        "/v1/responses",
        {"model": model, "stream": True, "input": "hi"},
    ),
    "ollama": lambda model: ("/api/chat", {"model": model, "messages": MESSAGES}),
    "gemini": lambda model: (
        f"/v1beta/models/{model}:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    ),
}
_CONFIG = """
[health_check]
enabled = false
[storage]
path = "ledger.db"
{backends}
"""
_BACKEND = """
[[backends]]
name = "{kind}"
type = "{kind}"
url = "{url}"
zone = "open"
api_key_env = "BENCH_API_KEY"
models = {{ "{kind}" = "m" }}
"""


class Way(NamedTuple):
    """Where a stream is asked for, and as what."""

    port: int
    api: str
    model: str
    gateway: Running | None = None

    def cpu_seconds(self) -> float:
        """What its gateway has taken so far."""
        return self.gateway.cpu_seconds() if self.gateway else math.nan

    def request(self) -> bytes:
        target, fields = REQUESTS[self.api](self.model)
        body = json.dumps(fields).encode()
        head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-none\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body


class Client(asyncio.Protocol):
    """A connection that asks for one stream after the other, and notes how old events arrive."""

    def __init__(self, request: bytes, note: Callable[[float], None]) -> None:
        self._request = request
        self._note = note  # milliseconds
        self._held = b""
        self._newest = 0.0
        self._transport: asyncio.Transport | None = None
        self.failure = ""
        self.has_ended_one = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 200"):
            self.failure = data.decode(errors="replace")
        held, end = self._held + data, 0
        for found in timed_backend.SENT_AT.finditer(held):
            end = found.end()
            sent = float(found[1])
            if sent > self._newest:  # the end of a response repeats its text
                self._newest = sent
                self._note((now - sent) * 1000)
        self._held = held[end:]
        if held.endswith(b"0\r\n\r\n") and self._transport is not None:
            self._held = b""
            self.has_ended_one.set()
            self._transport.write(self._request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def measure(way: Way, seconds: float) -> tuple[list[float], float]:
    """The age of every event in milliseconds, and the gateway's CPU seconds, while all run."""
    ages: list[float] = []
    notes = [False]
    loop, clients = asyncio.get_running_loop(), list[Client]()

    def note(milliseconds: float) -> None:
        if notes[0]:
            ages.append(milliseconds)

    try:
        for _ in range(STREAMS):
            client = Client(way.request(), note)
            clients.append(client)
            await loop.create_connection(lambda one=client: one, "127.0.0.1", way.port)  # type: ignore[misc]
            await asyncio.sleep(STREAM_SECONDS / STREAMS)
        notes[0], before = True, way.cpu_seconds()
        await asyncio.sleep(seconds)
        notes[0], cpu = False, way.cpu_seconds() - before
    finally:
        for client in clients:
            client.close()
    failures = [client.failure for client in clients if client.failure]
    if failures or not ages:
        raise SystemExit(f"{way}: {failures[0] if failures else 'no event'}")
    return ages, cpu


async def warm_up(ways: Iterable[Way]) -> None:
    """One stream of each way: what is loaded with a first request is there."""
    loop = asyncio.get_running_loop()
    for way in ways:
        client = Client(way.request(), lambda _: None)
        await loop.create_connection(lambda one=client: one, "127.0.0.1", way.port)  # type: ignore[misc]
        async with asyncio.timeout(STREAM_SECONDS + 30):
            await client.has_ended_one.wait()
        client.close()


@dataclass(slots=True)
class Ages:
    """What the rounds of one way brought: milliseconds."""

    p50: list[float]
    p99: list[float]
    cpu: list[float]  # microseconds an event
    events: int = 0

    def take(self, ages: list[float], cpu_seconds: float) -> None:
        self.cpu.append(cpu_seconds / len(ages) * 1e6)
        cuts = statistics.quantiles(ages, n=100)
        self.p50.append(cuts[49])
        self.p99.append(cuts[98])
        self.events += len(ages)

    def added(self, to: Ages) -> tuple[float, float]:
        """At p50 and p99, against another way in the same rounds."""
        p50, p99 = (
            statistics.median(mine - its for mine, its in zip(one, other, strict=True))
            for one, other in ((self.p50, to.p50), (self.p99, to.p99))
        )
        return p50, p99


async def run(ways: dict[str, Way], seconds: float, rounds: int) -> dict[str, Ages]:
    found: defaultdict[str, Ages] = defaultdict(lambda: Ages([], [], []))
    await warm_up(ways.values())
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].take(*await measure(way, seconds))
    return found


def report(found: dict[str, Ages]) -> None:
    direct = found[DIRECT]
    for name, ages in found.items():
        p50, p99 = statistics.median(ages.p50), statistics.median(ages.p99)
        line = f"{name:22} {ages.events:6} events   p50 {p50:6.3f} ms   p99 {p99:6.3f} ms"
        if name != DIRECT:
            line += f"   CPU {min(ages.cpu):5.1f} us"
            added = ages.added(direct)
            line += f"   added p50 {added[0]:6.3f} ms   p99 {added[1]:6.3f} ms"
            if name != FLOOR:
                over = ages.added(found[FLOOR])
                verdict = "met" if over[1] < GOAL_MS else "MISSED"
                line += f"   beyond the floor {over[0]:+6.3f} and {over[1]:+6.3f} ms   {verdict}"
        print(line, flush=True)
    waits = found[FLOOR].added(direct)[1]
    if waits > GOAL_MS:
        print(f"The floor itself waits {waits:.1f} ms: a busy machine, or --together.")


def nexus_command(url: str, folder: Path, port: int) -> list[str]:
    backends = "".join(_BACKEND.format(kind=kind, url=url) for kind in KINDS)
    config = folder / "nexus.toml"
    config.write_text(_CONFIG.format(backends=backends))
    nexus = [sys.executable, "-m", "nexus_tui.cli", "--no-ui", "--log-level", "info"]
    return [*nexus, "--config", str(config), "--port", str(port)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each way in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="some of the ways, with commas")
    parser.add_argument("--together", action="store_true", help="all streams at the same moments")
    asked = parser.parse_args()
    pin(os.getpid(), OTHER_CORE)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pace = [str(EVENTS_PER_SECOND), str(STREAM_SECONDS), *["together"] * asked.together]
        backend = stack.enter_context(
            started(
                [sys.executable, timed_backend.__file__, *pace], folder / "backend.log", OTHER_CORE
            )
        )
        assert backend.stdout is not None
        upstream_port = int(backend.stdout.readline())
        url = f"http://127.0.0.1:{upstream_port}"
        ports = {FLOOR: free_port(), "nexus": free_port()}
        commands = {
            FLOOR: [sys.executable, floor.__file__, str(ports[FLOOR]), url],
            "nexus": nexus_command(url, folder, ports["nexus"]),
        }
        gateways: dict[str, Running] = {}
        for name, command in commands.items():
            key = {"BENCH_API_KEY": "sk-none-0123456789"}
            child = started(command, folder / f"{name}.log", GATEWAY_CORE, key)
            gateway = gateways[name] = Running(name, ports[name], stack.enter_context(child))
            gateway.wait_for_health()
            gateway.rest()
        ways = {
            DIRECT: Way(upstream_port, "chat", "m"),
            FLOOR: Way(ports[FLOOR], "chat", "m", gateways[FLOOR]),
        }
        for api, model in PASSED + TRANSLATED:
            is_translated = (api, model) in TRANSLATED
            name = f"{api} to {model}" if is_translated else f"{api}, passed on"
            if not asked.only or {name, name.partition(",")[0]} & set(asked.only.split(",")):
                ways[name] = Way(ports["nexus"], api, model, gateways["nexus"])
        gc.disable()  # its pauses would be nobody's
        report(uvloop.run(run(ways, asked.seconds, asked.rounds)))


if __name__ == "__main__":
    main()
