"""How long `nexus --no-ui` takes to its first /health, against a bare uvicorn + FastAPI app.

Alternating rounds on the same machine; quote the ratio of the medians.
Run: python benchmarks/startup.py [rounds]
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

BARE = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/health")
async def health(): return {"status": "ok"}
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""

CONFIG = """
[[backends]]
name = "local"
url = "http://127.0.0.1:9"
type = "vllm"
models = ["m"]
"""

REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def seconds_to_health(command: Sequence[str], port: int) -> float:
    """From the process's start to a 200."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while time.perf_counter() - started < 30:
            if process.poll() is not None:
                raise SystemExit(f"{command[0]} ended with {process.returncode}")
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                    connection.sendall(REQUEST)
                    if b" 200 " in connection.recv(64):
                        return time.perf_counter() - started
            except OSError:
                time.sleep(0.005)
        raise SystemExit(f"{command[0]} was not ready within 30 s")
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    figures: dict[str, list[float]] = {"nexus": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "nexus.toml")
        config.write_text(CONFIG)
        for number in range(rounds + 1):
            port = str(free_port())
            nexus = (sys.executable, "-m", "nexus_tui.cli", "--no-ui", "--config", str(config))
            taken = {
                "nexus": seconds_to_health((*nexus, "--port", port), int(port)),
                "bare": seconds_to_health((sys.executable, "-c", BARE, port), int(port)),
            }
            if number:  # the first round warms the file cache
                for name, seconds in taken.items():
                    figures[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in figures.items()}
    for name, values in figures.items():
        print(
            f"{name:6} median {medians[name]:.3f} s  min {min(values):.3f}  max {max(values):.3f}"
        )
    print(f"ratio  {medians['nexus'] / medians['bare']:.2f} (wanted: below 1.5)")


if __name__ == "__main__":
    main()
