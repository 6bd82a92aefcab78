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
    start_seconds,
)
from benchmarks.side_by_side.processes import OTHER_CORE, Running, pin, started
from benchmarks.side_by_side.rivals import DASHBOARD, FLOOR, LITELLM, NEXUS, Bench, rivals
from benchmarks.side_by_side.upstream import PACE

GOALS = {"chat": 0.80, "sse": 0.80, "anthropic": 0.60, "google": 0.60}
TITLES = {
    "chat": "chat, 200-byte prompt",
    "sse": "SSE, 100 chunks",
    "anthropic": "Anthropic -> OpenAI SSE",
    "google": "Google -> OpenAI SSE",
}
CROWDS = (64, 256)
TOGETHER = {"throughput", "latency", "stalls"}  # of gateways that run side by side
PARTS = ("throughput", "latency", "stalls", "start", "memory", "dashboard")
COLUMNS = (31, 11, 42, 26)  # widths


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    effort: Effort
    crowd: Effort
    stalls: int
    streams: int
    requests: int  # for the growth of memory
    starts: int


QUICK = Scale(Effort(3, 1), Effort(1, 2), 6, 200, 4_000, 3)
FULL = Scale(Effort(5, 4), Effort(3, 4), 12, 1_000, 30_000, 9)


def row(work: str, goal: str, this_run: str, floor: str) -> None:
    cells = zip((work, goal, this_run, floor), COLUMNS, strict=True)
    print("  ".join(cell.ljust(width) for cell, width in cells).rstrip(), flush=True)


def throughput(gateways: list[Running], effort: Effort) -> None:
    by_name = {gateway.name: gateway for gateway in gateways}
    least: dict[str, Rounds] = {}
    for name, load in LOADS.items():
        has_floor = load.backend == "openai"
        asked = gateways if has_floor else [by_name[NEXUS]]
        if has_floor:
            found = alternate(asked, load.request_body, 16, effort)
            least[name] = found[FLOOR]
        else:
            found = alternate(asked, load.request_body, 16, effort)
        floor = least[name if has_floor else "sse"]
        row(
            TITLES[name],
            f">= {GOALS[name]:.2f}",
            _ratio(found[NEXUS], floor),
            f"{floor.per_second:,.0f}/s, {floor.cpu_micros:.0f} us of CPU",
        )
        if LITELLM in found:
            row(f"  LiteLLM: {name}", "", _ratio(found[LITELLM], floor), "")
    # Not saturating, so that no read brings two: what a stream takes, read by read.
    body = chat_body(MODELS["openai"], is_stream=True, prompt=PACE + PROMPT[len(PACE) :])
    paced = alternate([by_name[FLOOR], by_name[NEXUS]], body, 16, effort)
    mine, floor_cpu = paced[NEXUS].cpu_micros, paced[FLOOR].cpu_micros
    told = f"by CPU {floor_cpu / mine:.2f} ({mine:.0f} us)"
    row("SSE, each read by itself", ">= 0.80", told, f"{floor_cpu:.0f} us of CPU")


def _ratio(mine: Rounds, floor: Rounds) -> str:
    told = f"{mine.per_second / floor.per_second:.2f}; by CPU "
    told += f"{floor.cpu_micros / mine.cpu_micros:.2f} ({mine.cpu_micros:.0f} us)"
    return told + (f"; {mine.failures} FAILED" if mine.failures else "")


def latency(gateways: list[Running], scale: Scale) -> None:
    both = [gateway for gateway in gateways if gateway.name in (FLOOR, NEXUS)]
    found = alternate(both, LOADS["chat"].request_body, 1, scale.effort)
    added = found[NEXUS].p50_ms - found[FLOOR].p50_ms
    row("one connection, p50", "<= +0.2 ms", f"{added:+.2f} ms", f"{found[FLOOR].p50_ms:.2f} ms")
    for name in ("chat", "sse"):
        for connections in CROWDS:
            found = alternate(both, LOADS[name].request_body, connections, scale.crowd)
            mine, floor = found[NEXUS], found[FLOOR]
            told = f"{mine.p99_ms / floor.p99_ms:.2f} times; {_ratio(mine, floor)}"
            row(f"{name}, {connections} connections, p99", "<= 1.5", told, f"{floor.p99_ms:.0f} ms")


def stalls(gateways: list[Running], times: int) -> None:
    by_name = {gateway.name: gateway for gateway in gateways}
    for title, body in long_prompts().items():
        floor = longest_stalls(by_name[FLOOR], body, times)
        mine = longest_stalls(by_name[NEXUS], body, times)
        row(f"1 MB in {title}, stall", "<= +2 ms", f"{mine - floor:+.1f} ms", f"{floor:.1f} ms")


def memory(bench: Bench, scale: Scale) -> None:
    idle: dict[str, float] = {}
    each: dict[str, float] = {}
    for name in (FLOOR, NEXUS):
        with bench.running(name) as gateway:
            idle[name] = gateway.resident_mb()
            each[name] = kilobytes_per_stream(gateway, scale.streams)
    row(
        "memory, idle",
        "<= +30 MB",
        f"{idle[NEXUS] - idle[FLOOR]:+.0f} MB ({idle[NEXUS]:.0f})",
        f"{idle[FLOOR]:.0f} MB",
    )
    row("memory, an idle stream", "<= 30 KB", f"{each[NEXUS]:.1f} KB", f"{each[FLOOR]:.1f} KB")
    with bench.running(NEXUS) as gateway:
        grown = growth_mb(gateway, LOADS["chat"].request_body, scale.requests)
    row(f"memory, {scale.requests:,} requests", "flat", f"{grown:+.1f} MB", "")


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
    told = f"{clock[NEXUS] / clock[FLOOR]:.2f} times; by CPU {cpu[NEXUS] / cpu[FLOOR]:.2f}"
    row("start until ready", "<= 1.5", told, f"{clock[FLOOR]:.2f} s, {cpu[FLOOR]:.2f} s of CPU")


def dashboard(bench: Bench, effort: Effort) -> None:
    with bench.running(NEXUS) as without, bench.running(DASHBOARD) as screen:
        found = alternate([without, screen], LOADS["chat"].request_body, 16, effort)
    mine, headless = found[DASHBOARD], found[NEXUS]
    cost = (1 - headless.cpu_micros / mine.cpu_micros) * 100
    told = (
        f"-{cost:.0f} % by CPU, {(1 - mine.per_second / headless.per_second) * 100:.0f} % by rate"
    )
    row("dashboard at 2 Hz, throughput", ">= -10 %", told, "")
    row("dashboard at 2 Hz, p99", "<= +5 ms", f"{mine.p99_ms - headless.p99_ms:+.1f} ms", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="about a minute, and rougher")
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
        row("work", "goal", "Nexus against the floor", "the floor")
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
            dashboard(bench, scale.effort)


if __name__ == "__main__":
    main()
