"""Two workers on two cores against one process: how much more a machine serves.

Clients and backend need cores as well, and on a machine of two there is none for them: so what
counts is the CPU that an answer takes of Nexus's own processes: workers, supervisor and private
store together. Two cores full of the one serve as many times more as

    2 * (CPU per answer of one process) / (CPU per answer of all of theirs)

The throughput that clients saw stands beside it; it is theirs to limit.
Run: python benchmarks/workers.py [--rounds 5] [--seconds 3] [--workers 2]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.loads import MODELS, chat_body
from benchmarks.side_by_side import upstream
from benchmarks.side_by_side.generator import generate
from benchmarks.side_by_side.processes import OTHER_CORE, Running, free_port, started
from benchmarks.side_by_side.rivals import NEXUS, Bench

CONNECTIONS, GENERATORS = 32, 2
GOAL = 1.7
_KEYS = {f"{kind.upper()}_API_KEY": "sk-none-0123456789" for kind in MODELS}


@dataclass(frozen=True, slots=True)
class Seen:
    """One round: what clients saw, and the CPU microseconds of each answer."""

    per_second: float
    failures: int
    cpu_micros: float


def one_round(gateway: Running, body: bytes, seconds: float) -> Seen:
    """Ask from two processes at once: one alone does not fill two workers."""
    before = gateway.cpu_seconds()
    with ThreadPoolExecutor(GENERATORS) as threads:
        connections = CONNECTIONS // GENERATORS
        asking = [
            threads.submit(generate, gateway.port, body, connections, seconds)
            for _ in range(GENERATORS)
        ]
    results = [one.result() for one in asking]
    answers = sum(one.requests for one in results)
    return Seen(
        per_second=sum(one.per_second for one in results),
        failures=sum(one.failures for one in results),
        cpu_micros=(gateway.cpu_seconds() - before) / answers * 1e6,
    )


def begin(stack: ExitStack, folder: Path, backend: str, workers: int) -> Running:
    folder.mkdir()
    port = free_port()
    command = [*Bench(backend, folder).command(NEXUS, port), "--workers", str(workers)]
    child = stack.enter_context(started(command, folder / "log", 0, _KEYS))
    # The two have the whole machine, both of them: what is compared is CPU, not time.
    os.sched_setaffinity(child.pid, os.sched_getaffinity(0))
    gateway = Running(f"{workers}", port, child)
    gateway.wait_for_health()
    gateway.rest()
    return gateway


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    body = chat_body(MODELS["openai"])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        serving = [sys.executable, str(upstream.__file__)]
        backend = stack.enter_context(started(serving, folder / "backend.log", OTHER_CORE))
        assert backend.stdout is not None
        url = f"http://127.0.0.1:{int(backend.stdout.readline())}"
        single = begin(stack, folder / "one", url, 1)
        several = begin(stack, folder / "several", url, options.workers)
        rounds: dict[str, list[Seen]] = {single.name: [], several.name: []}
        for gateway in (single, several):
            one_round(gateway, body, 1.0)  # warm
        for _ in range(options.rounds):
            for gateway in (single, several):
                rounds[gateway.name].append(one_round(gateway, body, options.seconds))
    cpu = {name: min(one.cpu_micros for one in seen) for name, seen in rounds.items()}
    rate = {
        name: statistics.median(one.per_second for one in seen) for name, seen in rounds.items()
    }
    failures = sum(one.failures for seen in rounds.values() for one in seen)
    for name in rounds:
        print(
            f"{name:>2} worker(s)  {cpu[name]:7.1f} us of CPU an answer  {rate[name]:7.0f} a second"
        )
    ratio = options.workers * cpu[single.name] / cpu[several.name]
    print(f"serves {ratio:.2f} times as much on {options.workers} cores (goal {GOAL})")
    print(f"seen by clients on this machine: {rate[several.name] / rate[single.name]:.2f} times")
    print(f"failures: {failures}")


if __name__ == "__main__":
    main()
