"""Requests per second through Nexus, against the same backend asked directly.

Three processes: a backend that answers at once, Nexus, and this one that asks. Each engine in turn,
alternating with the direct rounds; quote the ratios.
Run: python benchmarks/passthrough.py [seconds per round]
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONNECTIONS = 16
ROUNDS = 3

BACKEND = """
import asyncio
BODY = b'{"id":"1","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop",' \\
    b'"message":{"role":"assistant","content":"hello"}}],' \\
    b'"usage":{"prompt_tokens":9,"completion_tokens":1}}'
HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n"
ANSWER = HEAD % len(BODY) + BODY
async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\\r\\n")[0]
            if length.strip():
                await reader.readexactly(int(length))
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

CONFIG = """
[server]
upstream = "{engine}"
[health_check]
enabled = false
[[backends]]
name = "backend"
url = "http://127.0.0.1:{port}"
type = "vllm"
models = ["m"]
"""

BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY)
) + BODY


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.terminate()
        child.communicate()


async def ask(port: int, end: float, milliseconds: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < end:
        started = time.perf_counter()
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode())
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        milliseconds.append((time.perf_counter() - started) * 1000)
    writer.close()


async def measure(port: int, seconds: float) -> tuple[float, list[float]]:
    """Requests per second, and each one's time."""
    milliseconds: list[float] = []
    started = time.perf_counter()
    end = started + seconds
    await asyncio.gather(*(ask(port, end, milliseconds) for _ in range(CONNECTIONS)))
    return len(milliseconds) / (time.perf_counter() - started), milliseconds


async def wait_for(port: int) -> None:
    for _ in range(1000):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    raise SystemExit(f"nothing listens on {port}")


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    with process(sys.executable, "-c", BACKEND) as backend, tempfile.TemporaryDirectory() as folder:
        assert backend.stdout is not None
        direct_port = int(backend.stdout.readline())
        for engine in ("http1", "httpx"):
            config = Path(folder, f"{engine}.toml")
            config.write_text(CONFIG.format(engine=engine, port=direct_port))
            port = free_port()
            nexus = ("-m", "nexus_tui.cli", "--no-ui", "--config", str(config), "--port", str(port))
            with process(sys.executable, *nexus, "--log-level", "warning"):
                report(engine, direct_port, port, seconds)


def report(engine: str, direct_port: int, port: int, seconds: float) -> None:
    rates: dict[str, list[float]] = {"direct": [], "nexus": []}
    times: dict[str, list[float]] = {"direct": [], "nexus": []}
    asyncio.run(wait_for(port))
    asyncio.run(measure(port, 0.5))
    for _ in range(ROUNDS):
        for name, asked in (("direct", direct_port), ("nexus", port)):
            rate, milliseconds = asyncio.run(measure(asked, seconds))
            rates[name].append(rate)
            times[name] += milliseconds
    for name in rates:
        cuts = statistics.quantiles(times[name], n=100)
        print(
            f"{engine:8} {name:7} {statistics.median(rates[name]):8.0f} requests/s"
            f"   p50 {cuts[49]:6.2f} ms   p99 {cuts[98]:6.2f} ms"
        )
    ratio = statistics.median(rates["nexus"]) / statistics.median(rates["direct"])
    print(f"{engine:8} ratio   {ratio:8.3f}")


if __name__ == "__main__":
    main()
