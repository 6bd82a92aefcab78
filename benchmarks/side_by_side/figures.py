"""What is measured of gateways that run side by side: throughput, stalls, memory, start."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Thread
from types import MappingProxyType

from benchmarks.loads import HOLD, LOADS, MODELS, PATHS, Load, as_request, chat_body
from benchmarks.side_by_side.generator import Result, generate
from benchmarks.side_by_side.processes import Running
from benchmarks.side_by_side.rivals import Bench

_NO_LOADS: Mapping[str, Load] = MappingProxyType({})
_PING = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_PARAGRAPH = "All happy families are alike; each unhappy family is unhappy in its own way. "


@dataclass(slots=True)
class Rounds:
    """What the rounds of one gateway and one load brought."""

    results: list[Result] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # microseconds a request

    @property
    def per_second(self) -> float:
        return statistics.median(one.per_second for one in self.results)

    @property
    def p50_ms(self) -> float:
        return statistics.median(one.p50_ms for one in self.results)

    @property
    def p99_ms(self) -> float:
        return statistics.median(one.p99_ms for one in self.results)

    @property
    def cpu_micros(self) -> float:
        return min(self.cpu)

    @property
    def failures(self) -> int:
        return sum(one.failures for one in self.results)


@dataclass(frozen=True, slots=True)
class Effort:
    """How long one load is measured."""

    rounds: int
    seconds: float  # of each gateway in each round


def alternate(
    gateways: Sequence[Running],
    body: bytes,
    connections: int,
    effort: Effort,
    path: str = PATHS["chat"],
    others: Mapping[str, Load] = _NO_LOADS,
) -> dict[str, Rounds]:
    """Rounds of each gateway in turn, by name; one that is not kept warms up.

    `body` and `path` are the request's. Gateways in `others`, by name, are asked for these.
    """
    found = {gateway.name: Rounds() for gateway in gateways}
    for number in range(effort.rounds + 1):
        for gateway in gateways if number % 2 else reversed(gateways):
            before = gateway.cpu_seconds()
            seconds = effort.seconds if number else 0.5
            other = others.get(gateway.name)
            asked = (body, path) if other is None else (other.request_body, other.path)
            result = generate(gateway.port, asked[0], connections, seconds, asked[1])
            if number:
                rounds = found[gateway.name]
                rounds.results.append(result)
                took = gateway.cpu_seconds() - before
                rounds.cpu.append(took / max(1, result.requests) * 1e6)
    return found


# --- stalls ---------------------------------------------------------------------------------------


def long_prompts() -> dict[str, bytes]:
    """Bodies of 1 MB: one message, and 4,500 of them."""
    text = _PARAGRAPH * (1_000_000 // len(_PARAGRAPH))
    line = (_PARAGRAPH * 3)[:180]
    messages = ",".join(f'{{"role":"user","content":"{line}"}}' for _ in range(4_500))
    many = f'{{"model":"{MODELS["openai"]}","messages":[{messages}]}}'
    return {"1 message": chat_body(MODELS["openai"], prompt=text), "4,500 messages": many.encode()}


def longest_stalls(gateway: Running, body: bytes, times: int) -> float:
    """Milliseconds that the loop stands still for a request: the longest wait of a ping beside it.

    The median of some requests.
    """
    request = as_request(body)
    with socket.create_connection(("127.0.0.1", gateway.port)) as pinging:
        _longest_ping(pinging, gateway, request)
        return statistics.median(_longest_ping(pinging, gateway, request) for _ in range(times))


def _longest_ping(pinging: socket.socket, gateway: Running, request: bytes) -> float:
    asking = Thread(target=_ask, args=(gateway.port, request))
    asking.start()
    longest = 0.0
    while asking.is_alive():
        began = time.perf_counter()
        pinging.sendall(_PING)
        pinging.recv(4096)
        longest = max(longest, time.perf_counter() - began)
    asking.join()
    return longest * 1e3


def _ask(port: int, request: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as wire:
        wire.sendall(request)
        held = b""
        while not held.endswith(b"}") and (data := wire.recv(65536)):
            held += data


# --- memory ---------------------------------------------------------------------------------------


def kilobytes_per_stream(gateway: Running, streams: int) -> float:
    """What each of so many streams takes that have begun and wait for the backend."""
    request = as_request(chat_body(MODELS["openai"], is_stream=True, prompt=HOLD))
    with ExitStack() as stack:
        _hold(stack, gateway, request, streams // 4)  # the heap's first growth is not theirs,
        gateway.rest()  # nor is what the first request loads
        before = gateway.resident_mb()
        _hold(stack, gateway, request, streams)
        return (gateway.resident_mb() - before) * 1e3 / streams


def _hold(stack: ExitStack, gateway: Running, request: bytes, streams: int) -> None:
    wires = []
    for _ in range(streams):
        wire = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), 30))
        wire.sendall(request)
        wires.append(wire)
    for wire in wires:
        held = b""
        while b"data: " not in held:
            held += wire.recv(4096)


def growth_mb(gateway: Running, body: bytes, requests: int) -> float:
    """What so many requests leave behind, once as many as are listed have been."""
    made = make_requests(gateway, body, min(12_000, requests // 2))
    before = gateway.resident_mb()
    make_requests(gateway, body, requests - made)
    return gateway.resident_mb() - before


def make_requests(gateway: Running, body: bytes, requests: int) -> int:
    """Make at least so many; gives how many there were."""
    made = 0
    while made < requests:
        made += generate(gateway.port, body, 16, 1).requests
    return made


# --- start ----------------------------------------------------------------------------------------


def start_seconds(bench: Bench, name: str) -> tuple[float, float]:
    """From the start of the process to a 200 of /health: by the clock, and CPU."""
    began = time.perf_counter()
    with bench.begun(name) as gateway:
        gateway.wait_for_health()
        return time.perf_counter() - began, gateway.cpu_seconds()


def stall_after_start(bench: Bench, name: str, seconds: float) -> float:
    """The longest wait of a ping, in milliseconds, from ready on, beside a few first requests.

    Whatever is loaded late is loaded then.
    """
    longest = 0.0
    with bench.begun(name) as gateway:
        gateway.wait_for_health()
        with socket.create_connection(("127.0.0.1", gateway.port)) as pinging:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                request = as_request(LOADS["chat"].request_body)
                longest = max(longest, _longest_ping(pinging, gateway, request))
                time.sleep(0.005)  # time in which something may begin to be loaded
    return longest
