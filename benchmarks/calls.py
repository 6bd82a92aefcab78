"""How many calls of Nexus's own functions a chat request, a toggle and a drawing take.

Counted with `sys.setprofile` on the loop's thread: every call of a function that stands in
nexus_core or nexus_tui. A coroutine or generator counts when it begins; how often one goes on after
a pause stands beside. Comprehensions do not count (most are no functions since Python 3.12), nor
does anything of a library. A border is crossed where a function of one package folder
(nexus_tui.actions) calls one of another (nexus_tui.view), be it through a library such as Textual.
The chat request goes from its parsed ASGI scope to its end, with its log line, and its backend
answers over a socket; the toggle from the key to the screen at rest.

Run: python benchmarks/calls.py [--json] [--top N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import FrameType
from typing import Any

from nexus_core.api.app import FrontDoor
from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config, HealthCheckConfig, StorageConfig
from nexus_core.gateway import Gateway, GatewayOptions
from nexus_core.observe.log_ring import LogRing
from nexus_core.types import PrivacyZone
from nexus_tui.app import NexusApp
from nexus_tui.process.log_handlers import RingHandler
from nexus_tui.sources.local import LocalSource

BACKENDS = 50
SIZE = (120, 62)  # columns, lines: every backend has its row
QUIET_SECONDS = 0.3  # without a call of ours, and longer than a pause between two paintings
ROUNDS = 4  # of which the one with the fewest calls counts: a tick of the clock may fall into one

_PACKAGES = tuple(
    os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), package, "")
    for package in ("nexus_core", "nexus_tui")
)
_ROOT = len(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + 1
_NO_FUNCTIONS = frozenset({"<module>", "<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"})
_SORTING = frozenset({"sorted", "sort"})


@dataclass
class Count:
    """What was called between two moments."""

    functions: Counter[tuple[str, str]] = field(default_factory=Counter)  # module, function
    borders: Counter[tuple[str, str]] = field(default_factory=Counter)  # folder to folder
    resumed: int = 0  # coroutines and generators that went on
    sorts: int = 0  # by any function of ours

    @property
    def calls(self) -> int:
        return self.functions.total()

    @property
    def modules(self) -> int:
        return len({module for module, _ in self.functions})

    @property
    def crossings(self) -> int:
        return self.borders.total()

    @property
    def histograms(self) -> int:
        return self.functions["nexus_core.observe.histogram", "Histogram.__init__"]

    def as_json(self, top: int) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "modules": self.modules,
            "crossings": self.crossings,
            "resumed": self.resumed,
            "sorts": self.sorts,
            "histograms": self.histograms,
            "functions": {
                f"{module}:{name}": n for (module, name), n in self.functions.most_common(top)
            },
            "borders": {f"{a} -> {b}": n for (a, b), n in self.borders.most_common(top)},
        }


@cache
def module_of(file: str) -> str | None:
    """The dotted name of a module of ours; None for any other file."""
    if not file.startswith(_PACKAGES):
        return None
    return file[_ROOT:].removesuffix(".py").removesuffix("__init__").strip(os.sep).replace(
        os.sep, "."
    )  # fmt: skip


def folder_of(module: str) -> str:
    """`nexus_tui.view` for anything in that folder or below it; a loose module is its package's."""
    parts = module.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 else parts[0]


def _goes_on(frame: FrameType) -> bool:
    """Whether a coroutine or generator goes on, rather than begins.

    https://docs.python.org/3/library/dis.html#opcode-RESUME
    """
    return frame.f_code.co_code[frame.f_lasti + 1] & 3 != 0


@contextmanager
def counting(count: Count) -> Generator[None]:
    """Count into `count` what this thread calls within the block."""

    def on_event(frame: FrameType, event: str, arg: object) -> None:
        if event == "c_call":
            if getattr(arg, "__name__", "") in _SORTING and module_of(frame.f_code.co_filename):
                count.sorts += 1
            return
        if event != "call" or frame.f_code.co_name in _NO_FUNCTIONS:
            return
        module = module_of(frame.f_code.co_filename)
        if module is None:
            return
        if _goes_on(frame):
            count.resumed += 1
            return
        count.functions[module, frame.f_code.co_qualname] += 1
        caller = frame.f_back
        while caller is not None:
            before = module_of(caller.f_code.co_filename)
            if before is not None:
                if (came_from := folder_of(before)) != (here := folder_of(module)):
                    count.borders[came_from, here] += 1
                return
            caller = caller.f_back

    sys.setprofile(on_event)
    try:
        yield
    finally:
        sys.setprofile(None)


# --- (a) a chat request ---------------------------------------------------------------------------

_ANSWER = (
    b'{"id":"1","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"hello"}}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":1}}'
)
_BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'


@asynccontextmanager
async def local_server() -> AsyncGenerator[str]:
    """The URL of a server on this machine that gives every request the same answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or b"0"))
                kind = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                writer.write(kind + b"Content-Length: %d\r\n\r\n" % len(_ANSWER) + _ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


async def ask(door: FrontDoor) -> int:
    """Put one request through the front door, as the HTTP server does; its status."""
    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(_BODY)),
    ]
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    sent: list[dict[str, Any]] = []
    incoming = [{"type": "http.request", "body": _BODY, "more_body": False}]
    never = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not incoming:
            await never.wait()  # the client stays until it has its answer
        return incoming.pop()

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await door(scope, receive, send)
    return int(sent[0]["status"])


@contextmanager
def _logging_to(logs: LogRing) -> Generator[None]:
    """As in a process of Nexus: its log lines are kept."""
    root, handler = logging.getLogger(), RingHandler(logs)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


async def count_chat() -> Count:
    """One request for a local model, warm, not streamed: from its ASGI scope to its end."""
    logs = LogRing()
    with _logging_to(logs):
        async with local_server() as url:
            backend = BackendConfig(
                name="local",
                url=url,
                type=BackendType.VLLM,
                zone=PrivacyZone.RESTRICTED,
                models={"m": "m"},
            )
            config = Config(
                backends=(backend,),
                health_check=HealthCheckConfig(enabled=False),
                storage=StorageConfig(path=":memory:"),
            )
            gateway = Gateway(config, options=GatewayOptions(logs=logs))
            door = FrontDoor(gateway)
            async with gateway.running():
                return await _fewest(lambda: _one_chat(door))


async def _one_chat(door: FrontDoor) -> Count:
    count = Count()
    await ask(door)  # warm: the connection is kept, and whatever is remembered is
    with counting(count):
        status = await ask(door)
    if status != 200:
        raise SystemExit(f"the request was answered {status}")
    return count


# --- (b), (c) the screen --------------------------------------------------------------------------


def many_backends() -> Gateway:
    """A gateway with 50 local backends of one model, so that none is the only one."""
    backends = tuple(
        BackendConfig(
            name=f"backend-{number:02}",
            url=f"http://127.0.0.1:{number + 1}",
            type=BackendType.VLLM,
            zone=PrivacyZone.RESTRICTED,
            max_concurrent=4,
            models={"m": "m"},
        )
        for number in range(BACKENDS)
    )
    return Gateway(Config(backends=backends, storage=StorageConfig(path=":memory:")))


async def count_screen() -> tuple[Count, Count]:
    """A toggle from the key to the screen at rest, and the first drawing of all backends."""
    app = NexusApp(LocalSource(many_backends()))
    async with app.run_test(size=SIZE) as pilot:
        await _rest(Count())
        drawing = Count()
        with counting(drawing):
            await pilot.press("3")
            await _rest(drawing)

        async def toggle() -> Count:
            count = Count()
            with counting(count):
                await pilot.press("space")
                await _rest(count)
            return count

        return await _fewest(toggle), drawing


async def _rest(count: Count) -> None:
    """Wait until nothing was called for a while: the screen is painted and at rest."""
    calls, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        await asyncio.sleep(QUIET_SECONDS / 10)
        if count.calls != calls:
            calls, since = count.calls, time.monotonic()


async def _fewest(measure: Callable[[], Any]) -> Count:
    counts: list[Count] = [await measure() for _ in range(ROUNDS)]
    return min(counts, key=lambda count: count.calls)


# --- the report -----------------------------------------------------------------------------------


def count_all() -> dict[str, Count]:
    """The three counts by their names."""
    chat = asyncio.run(count_chat())
    toggle, drawing = asyncio.run(count_screen())
    return {"chat": chat, "toggle": toggle, "drawing": drawing}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
    parser.add_argument("--top", type=int, default=10, help="how many functions and borders")
    asked = parser.parse_args()
    counts = count_all()
    if asked.json:
        print(json.dumps({name: one.as_json(asked.top) for name, one in counts.items()}, indent=2))
        return
    columns = ("calls", "modules", "crossings", "resumed", "sorts", "histograms")
    print(" " * 10 + "".join(f"{column:>12}" for column in columns))
    for name, one in counts.items():
        print(f"{name:10}" + "".join(f"{getattr(one, column):12}" for column in columns))
    for name, one in counts.items():
        print(f"\n{name}: called most")
        for (module, function), number in one.functions.most_common(asked.top):
            print(f"{number:7}  {module}  {function}")
        print(f"{name}: borders crossed most")
        for (before, after), number in one.borders.most_common(asked.top):
            print(f"{number:7}  {before} -> {after}")


if __name__ == "__main__":
    main()
