"""What a gateway costs where there is no kernel: CPU microseconds of its loop's thread.

Real protocols on both sides, of the server and of the client to the backend, with transports in
memory; 16 connections; everything on: ledger in a file, log lines at INFO in a file, headers,
prices. The smallest of 25 short rounds counts, since a busy machine only adds. Beside Nexus stand
the floor (floor.py) and the bare pair of parsers (in_process/bare.py): what is above the latter is
Nexus's own logic. With --swap NAME=VALUE a second Nexus runs in the same rounds, in which one part
is another, beside those of --both; --profile N samples where the time of N requests goes.
Run: python benchmarks/harness.py [--swap log=off] [--loads chat,sse] [--profile 4000] [--json]
     python benchmarks/harness.py --both budget=on keys=on limits=on --swap fleet=on
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import socket
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from benchmarks.floor import Floor, uvicorn_config
from benchmarks.in_process.bare import BareClient, BareServer
from benchmarks.in_process.fake_wires import BackendWire, ClientWire, FakeLoop, ask, attach
from benchmarks.in_process.nexus_side import (
    Swap,
    at_rest,
    backend_that_never_reads,
    nexus_in_this_loop,
)
from benchmarks.in_process.samples import Samples, sampling
from benchmarks.loads import LOADS, Load
from nexus_tui.process.loop import hold_gc, resume_gc

CONNECTIONS = 16
PASSES, ROUNDS = 5, 5
WARM_UP = 64  # requests of each side and load


@dataclass
class Side:
    """One gateway, its clients' connections, and what each load took of it."""

    name: str
    clients: list[ClientWire]
    takes: frozenset[str]  # loads
    begin: Callable[[], None] = lambda: None  # before each measurement
    cpu: dict[str, float] = field(default_factory=dict)  # microseconds a request; the smallest
    all_threads: dict[str, float] = field(default_factory=dict)  # the same, of the whole process
    samples: defaultdict[str, Samples] = field(default_factory=lambda: defaultdict(Samples))

    async def measure(self, load: Load, requests: int) -> None:
        self.begin()
        gc.collect()
        request = load.request
        began, began_all = time.thread_time(), time.process_time()
        await ask(self.clients, request, requests)
        took = (time.thread_time() - began) / requests * 1e6
        took_all = (time.process_time() - began_all) / requests * 1e6
        self.cpu[load.name] = min(took, self.cpu.get(load.name, took))
        self.all_threads[load.name] = min(took_all, self.all_threads.get(load.name, took_all))

    async def sample(self, load: Load, requests: int) -> None:
        """Find out where the time goes; it is longer while that is done."""
        self.begin()
        with sampling(self.samples[load.name]):
            for _ in range(0, requests, 100):
                await ask(self.clients, load.request, 100)


@asynccontextmanager
async def floor_side(loop: FakeLoop, url: str) -> AsyncGenerator[Side]:
    app = Floor(url)
    config = uvicorn_config(app)
    config.load()
    state = ServerState()
    pairs = [socket.socketpair() for _ in range(CONNECTIONS)]
    wires = [ClientWire(loop, pair[0]) for pair in pairs]
    for wire in wires:
        attach(wire, lambda: HttpToolsProtocol(config, state, {}))
    try:
        yield Side("floor", wires, frozenset({"chat", "sse", "bursts"}))
    finally:
        await app.close()
        for one, other in pairs:
            one.close()
            other.close()


@asynccontextmanager
async def bare_side(loop: FakeLoop) -> AsyncGenerator[Side]:
    idle = socket.socket()
    wires = []
    for _ in range(CONNECTIONS):
        backend = BareClient()
        attach(BackendWire(loop, idle), lambda one=backend: one)  # type: ignore[misc]
        wire = ClientWire(loop, idle)
        attach(wire, lambda one=backend: BareServer(one))  # type: ignore[misc]
        wires.append(wire)
    try:
        yield Side("bare", wires, frozenset({"chat", "sse", "bursts"}))
    finally:
        idle.close()


@asynccontextmanager
async def nexus_side(loop: FakeLoop, url: str, swap: Swap) -> AsyncGenerator[Side]:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            nexus_in_this_loop(url, Path(folder), swap) as nexus,
            loop.clients_of(nexus.port, CONNECTIONS) as clients,
        ):
            yield Side(swap.name, clients, frozenset(LOADS), nexus.log_here)


async def compare(
    loop: FakeLoop, loads: list[Load], requests: int, swaps: list[Swap], sampled: int
) -> list[Side]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(backend_that_never_reads())
        sides = [
            await stack.enter_async_context(floor_side(loop, url)),
            await stack.enter_async_context(bare_side(loop)),
            *[await stack.enter_async_context(nexus_side(loop, url, swap)) for swap in swaps],
        ]
        await at_rest()
        resume_gc()
        work = [(side, load) for load in loads for side in sides if load.name in side.takes]
        for side, load in work:
            await side.measure(load, WARM_UP)
        for side in sides:
            side.cpu.clear()
            side.all_threads.clear()
        for _ in range(PASSES):
            for side, load in work:
                for _ in range(ROUNDS):
                    await side.measure(load, requests // (4 if load.is_stream else 1))
        for side, load in work if sampled else ():
            if side.name != "bare":
                await side.sample(load, sampled // (4 if load.is_stream else 1))
        return sides


def report_samples(side: Side, loads: list[Load]) -> None:
    """The time of each package, in microseconds of a request."""
    for load in loads:
        if load.name not in side.samples:
            continue
        whole, samples = side.cpu[load.name], side.samples[load.name]
        print(f"\n{side.name}, {load.name}: {samples.packages.total()} samples of {whole:.0f} us")
        for name, share in samples.shares(16):
            print(f"{share * whole:8.1f}  {name}")
        print("  of which, by function")
        for name, share in samples.function_shares(24):
            print(f"{share * whole:8.1f}  {name}")


def derived(side: Side, bare: Side) -> dict[str, float]:
    """What the budgets are of: own logic a request, a read, a translated event."""
    found: dict[str, float] = {}
    mine, least = side.cpu, bare.cpu
    if "chat" in mine:
        found["logic, a request"] = mine["chat"] - least["chat"]
    if "chat" in mine and "sse" in mine:
        added = (mine["sse"] - mine["chat"]) - (least["sse"] - least["chat"])
        found["logic, a read"] = added / len(LOADS["sse"].reads)
    if "chat" in mine and "bursts" in mine:
        added = (mine["bursts"] - mine["chat"]) - (least["bursts"] - least["chat"])
        found["bursts, a read"] = added / len(LOADS["bursts"].reads)
    for name in ("anthropic", "google"):
        if "sse" in mine and name in mine:
            found[f"{name}, an event"] = (mine[name] - mine["sse"]) / LOADS[name].events
        if "bursts" in mine and (bursts := f"{name}-bursts") in mine:
            added = mine[bursts] - mine["bursts"]
            found[f"{bursts}, an event"] = added / LOADS[name].events
    return found


def report(sides: list[Side], loads: list[Load]) -> None:
    print(f"{'CPU us of the thread':22}" + "".join(f" {side.name:>13}" for side in sides))
    for load in loads:
        cells = (
            f"{side.cpu[load.name]:14.1f}" if load.name in side.cpu else " " * 14 for side in sides
        )
        print(f"{load.name:22}" + "".join(cells))
    bare = sides[1]
    rows = [derived(side, bare) if side.name != "bare" else {} for side in sides]
    for name in rows[-1]:
        cells = (f"{row[name]:14.1f}" if name in row else " " * 14 for row in rows)
        print(f"{name:22}" + "".join(cells))
    print("all threads of the process")
    for load in loads:
        cells = (
            f"{side.all_threads[load.name]:14.1f}" if load.name in side.all_threads else " " * 14
            for side in sides
        )
        print(f"{load.name:22}" + "".join(cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--swap", action="append", default=[], help=f"{Swap.choices()}; B beside A")
    parser.add_argument("--both", nargs="*", default=[], help="the same, of A and of B")
    parser.add_argument("--loads", default=",".join(LOADS), help="some of them, with commas")
    parser.add_argument("--requests", type=int, default=64, help="a round; a quarter of streams")
    parser.add_argument("--profile", type=int, default=0, metavar="N", help="sample N requests")
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
    asked = parser.parse_args()
    loads = [LOADS[name] for name in asked.loads.split(",")]
    swaps = [replace(Swap.of(asked.both), name="nexus")]
    if asked.swap:
        swaps.append(replace(Swap.of([*asked.both, *asked.swap]), name=" ".join(asked.swap)))
    hold_gc()
    with asyncio.Runner(loop_factory=FakeLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, FakeLoop)
        sides = runner.run(compare(loop, loads, asked.requests, swaps, asked.profile))
    if asked.json:
        json.dump({side.name: side.cpu for side in sides}, sys.stdout, indent=2)
        print()
    else:
        report(sides, loads)
        for side in sides:
            report_samples(side, loads)


if __name__ == "__main__":
    main()
