"""Nexus and the floor side by side over real sockets: one table of ratios.

The gateway has a core to itself, clients and backend the other. Rounds alternate; medians count,
of CPU the smallest, since a busy machine only adds. A ratio by CPU is the better one on such a
machine, and where the clients' core is full. Everything is on: ledger in a file, log lines at INFO
in a file, X-Nexus headers, prices. A LiteLLM that is on the PATH is measured beside them.
Run: python benchmarks/gateways.py [--quick] [--requests 100000] [--only throughput,start,...]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.loads import LOADS, MODELS, PROMPT, chat_body
from benchmarks.side_by_side import upstream
from benchmarks.side_by_side.figures import (
    Effort,
    Rounds,
    alternate,
    growth_mb,
    kilobytes_per_stream,
    long_prompts,
    longest_stalls,
    make_requests,
    stall_after_start,
    start_seconds,
)
from benchmarks.side_by_side.processes import OTHER_CORE, Running, pin, started
from benchmarks.side_by_side.rivals import DASHBOARD, FLOOR, LITELLM, NEXUS, Bench, rivals
from benchmarks.side_by_side.upstream import PACE

# Streams are compared with the floor's own, which is passed on, in the same rounds: what a machine
# does besides changes from one minute to the next.
GOALS = {
    "chat": 0.80,
    "sse": 0.80,
    "anthropic": 0.60,
    "google": 0.60,
    "messages": 0.60,
    "responses": 0.60,
    "ollama": 0.60,
    "gemini": 0.60,
    "messages-passed": 0.80,
    "responses-passed": 0.80,
    "gemini-passed": 0.80,
}
TITLES = {
    "chat": "chat, 200-byte prompt",
    "sse": "SSE, 100 chunks",
    "anthropic": "Anthropic -> OpenAI SSE",
    "google": "Google -> OpenAI SSE",
    "messages": "OpenAI SSE -> Messages",
    "responses": "OpenAI SSE -> Responses",
    "ollama": "OpenAI SSE -> Ollama",
    "gemini": "OpenAI SSE -> Gemini",
    "messages-passed": "Messages, passed on",
    "responses-passed": "Responses, passed on",
    "gemini-passed": "Gemini, passed on",
}
CROWDS = (64, 256)
TOGETHER = {"throughput", "latency", "stalls"}  # of gateways that run side by side
PARTS = ("throughput", "latency", "stalls", "start", "memory", "dashboard")
COLUMNS = (31, 10, 6, 42, 26)  # widths
LOADING_SECONDS = 4.0  # after a start, in which all is loaded


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    effort: Effort
    crowd: Effort
    stalls: int
    streams: int
    requests: int  # for the growth of memory
    starts: int
    pairs: int  # of processes with a screen and without one


QUICK = Scale(Effort(2, 1), Effort(1, 1), 6, 200, 4_000, 2, 1)
FULL = Scale(Effort(4, 3), Effort(3, 3), 12, 1_000, 30_000, 9, 3)
BESIDE = Effort(8, 0.8)  # of each pair
LISTED = 12_000  # requests: more than a screen lists


def row(work: str, goal: str, this_run: str, floor: str, is_met: bool | None) -> None:
    """`is_met` is None where there is no goal."""
    verdict = {True: "met", False: "MISSED", None: ""}[is_met]
    cells = zip((work, goal, verdict, this_run, floor), COLUMNS, strict=True)
    print("  ".join(cell.ljust(width) for cell, width in cells).rstrip(), flush=True)


@dataclass(frozen=True, slots=True)
class Compared:
    """Rounds of one gateway against the floor's."""

    mine: Rounds
    floor: Rounds

    @property
    def by_rate(self) -> float:
        return self.mine.per_second / self.floor.per_second

    @property
    def by_cpu(self) -> float:
        return self.floor.cpu_micros / self.mine.cpu_micros

    def __str__(self) -> str:
        told = f"{self.by_rate:.2f}; by CPU {self.by_cpu:.2f} ({self.mine.cpu_micros:.0f} us)"
        return told + (f"; {self.mine.failures} FAILED" if self.mine.failures else "")


def throughput(gateways: list[Running], effort: Effort) -> None:
    floor, nexus, *_ = gateways
    for name, goal in GOALS.items():
        load = LOADS[name]
        is_own = name in ("chat", "sse")  # of all gateways
        asked, others = (gateways, {}) if is_own else ([floor, nexus], {FLOOR: LOADS["sse"]})
        found = alternate(asked, load.request_body, 16, effort, load.path, others)
        least = found[FLOOR]
        result = Compared(found[NEXUS], least)
        best = max(result.by_rate, result.by_cpu) if load.is_stream else result.by_rate
        absolute = f"{least.per_second:,.0f}/s, {least.cpu_micros:.0f} us of CPU"
        is_met = best >= goal and not result.mine.failures
        row(TITLES[name], f">= {goal:.2f}", str(result), absolute, is_met)
        if LITELLM in found:
            row(f"  LiteLLM: {name}", "", str(Compared(found[LITELLM], least)), "", None)
    # Not saturating, so that no read brings two: what a stream takes, read by read.
    body = chat_body(MODELS["openai"], is_stream=True, prompt=PACE + PROMPT[len(PACE) :])
    paced = alternate([floor, nexus], body, 16, effort)
    result = Compared(paced[NEXUS], paced[FLOOR])
    told = f"by CPU {result.by_cpu:.2f} ({result.mine.cpu_micros:.0f} us)"
    absolute = f"{result.floor.cpu_micros:.0f} us of CPU"
    row("SSE, each read by itself", ">= 0.80", told, absolute, result.by_cpu >= 0.80)


def latency(gateways: list[Running], scale: Scale) -> None:
    both = gateways[:2]
    found = alternate(both, LOADS["chat"].request_body, 1, scale.effort)
    least = found[FLOOR].p50_ms
    added = found[NEXUS].p50_ms - least
    row("one connection, p50", "<= +0.2 ms", f"{added:+.2f} ms", f"{least:.2f} ms", added <= 0.2)
    for name in ("chat", "sse"):
        for connections in CROWDS:
            found = alternate(both, LOADS[name].request_body, connections, scale.crowd)
            mine, floor = found[NEXUS], found[FLOOR]
            if not (mine.per_second and floor.per_second):
                row(f"{name}, {connections} connections", "<= 1.5", "no answer in time", "", False)
                continue
            times = mine.p99_ms / floor.p99_ms
            told = f"{times:.2f} times; {Compared(mine, floor)}"
            title = f"{name}, {connections} connections, p99"
            row(title, "<= 1.5", told, f"{floor.p99_ms:.0f} ms", times <= 1.5)


def stalls(gateways: list[Running], times: int) -> None:
    for title, body in long_prompts().items():
        floor, mine = (longest_stalls(gateway, body, times) for gateway in gateways[:2])
        told = f"{mine - floor:+.1f} ms"
        row(f"1 MB in {title}, stall", "<= +2 ms", told, f"{floor:.1f} ms", mine - floor <= 2)


def memory(bench: Bench, scale: Scale) -> None:
    idle: dict[str, float] = {}
    each: dict[str, float] = {}
    for name in (FLOOR, NEXUS):
        with bench.running(name) as gateway:
            idle[name] = gateway.resident_mb()
            each[name] = kilobytes_per_stream(gateway, scale.streams)
    added = idle[NEXUS] - idle[FLOOR]
    told = f"{added:+.0f} MB ({idle[NEXUS]:.0f})"
    row("memory, idle", "<= +30 MB", told, f"{idle[FLOOR]:.0f} MB", added <= 30)
    told = f"{each[NEXUS]:.1f} KB"
    row("memory, an idle stream", "<= 30 KB", told, f"{each[FLOOR]:.1f} KB", each[NEXUS] <= 30)
    with bench.running(NEXUS) as gateway:
        grown = growth_mb(gateway, LOADS["chat"].request_body, scale.requests)
    row(f"memory, {scale.requests:,} requests", "<= +5 MB", f"{grown:+.1f} MB", "", grown <= 5)


def start(bench: Bench, times: int) -> None:
    found: dict[str, list[tuple[float, float]]] = {FLOOR: [], NEXUS: []}
    for number in range(times + 1):
        for name, taken in found.items():
            seconds = start_seconds(bench, name)
            if number:  # the first round warms the file cache
                taken.append(seconds)
    clock, cpu = (
        {name: statistics.median(one[at] for one in taken) for name, taken in found.items()}
        for at in (0, 1)
    )
    ratio = clock[NEXUS] / clock[FLOOR]
    told = f"{ratio:.2f} times; by CPU {cpu[NEXUS] / cpu[FLOOR]:.2f}"
    absolute = f"{clock[FLOOR]:.2f} s, {cpu[FLOOR]:.2f} s of CPU"
    row("start until ready", "<= 1.5", told, absolute, ratio <= 1.5)
    floor, mine = (stall_after_start(bench, name, LOADING_SECONDS) for name in (FLOOR, NEXUS))
    row(
        "loading after the start, stall",
        "<= 10 ms",
        f"{mine:.0f} ms",
        f"{floor:.0f} ms",
        mine <= 10,
    )


def dashboard(bench: Bench, pairs: int) -> None:
    """Both without log lines in a file: the screen's process keeps them in memory alone.

    How a process lies in memory makes it some percent slower or faster than the next one of the
    same kind: hence several pairs, and the median of them.
    """
    found = [beside_headless(bench) for _ in range(pairs)]
    rate, cpu, added = (statistics.median(one) for one in zip(*found, strict=True))
    rates, cpus, more = ([one[at] for one in found] for at in range(3))
    told = f"{rate:+.0f} %; by CPU {cpu:+.0f} %"
    spread = f"{min(rates):+.0f} to {max(rates):+.0f} %; {min(cpus):+.0f} to {max(cpus):+.0f} %"
    row("dashboard at 2 Hz, throughput", ">= -10 %", told, spread, max(rate, cpu) >= -10)
    spread = f"{min(more):+.1f} to {max(more):+.1f} ms"
    row("dashboard at 2 Hz, p99", "<= +5 ms", f"{added:+.1f} ms", spread, added <= 5)


def beside_headless(bench: Bench) -> tuple[float, float, float]:
    """With a screen beside without one: percent of throughput and of that by CPU, p99 in ms.

    Each is the median of pairs of rounds that follow each other, once as many requests are listed
    as a screen lists.
    """
    body = LOADS["chat"].request_body
    with bench.running(NEXUS, "warning") as plain, bench.running(DASHBOARD, "warning") as screen:
        for gateway in (plain, screen):
            make_requests(gateway, body, LISTED)
        found = alternate([plain, screen], body, 16, BESIDE)
    without, beside = found[NEXUS], found[DASHBOARD]
    rounds = [*zip(without.results, beside.results, strict=True)]
    rate = statistics.median(mine.per_second / floor.per_second for floor, mine in rounds)
    cpu = statistics.median(a / b for a, b in zip(without.cpu, beside.cpu, strict=True))
    p99_ms = statistics.median(mine.p99_ms - floor.p99_ms for floor, mine in rounds)
    return (rate - 1) * 100, (cpu - 1) * 100, p99_ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="rough, in about a minute")
    parser.add_argument("--requests", type=int, help="for the growth of memory")
    parser.add_argument("--only", default=",".join(PARTS), help="some of these, with commas")
    asked = parser.parse_args()
    parts = asked.only.split(",")
    scale = QUICK if asked.quick else FULL
    if asked.requests:
        scale = replace(scale, requests=asked.requests)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        backend = stack.enter_context(
            started([sys.executable, upstream.__file__], folder / "upstream.log", OTHER_CORE)
        )
        pin(os.getpid(), OTHER_CORE)
        assert backend.stdout is not None
        bench = Bench(f"http://127.0.0.1:{int(backend.stdout.readline())}", folder)
        row("work", "goal", "this run, against the floor", "the floor", None)
        with ExitStack() as together:
            if not TOGETHER.isdisjoint(parts):
                gateways = [together.enter_context(bench.running(name)) for name in rivals()]
            if "throughput" in parts:
                throughput(gateways, scale.effort)
            if "latency" in parts:
                latency(gateways, scale)
            if "stalls" in parts:
                stalls(gateways, scale.stalls)
        if "start" in parts:
            start(bench, scale.starts)
        if "memory" in parts:
            memory(bench, scale)
        if "dashboard" in parts:
            dashboard(bench, scale.pairs)


if __name__ == "__main__":
    main()
