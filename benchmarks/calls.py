"""How many calls of Nexus's own functions requests, a toggle and a drawing take.

Counted with `sys.setprofile` on the loop's thread: every call of a function that stands in
nexus_core or nexus_tui. A coroutine or generator counts when it begins; how often one goes on after
a pause stands beside. Comprehensions do not count (most are no functions since Python 3.12), nor
does anything of a library. A border is crossed where a function of one package folder
(nexus_tui.actions) calls one of another (nexus_tui.view), be it through a library such as Textual.
A request goes from the bytes that its client sends to the last ones that it gets, with its log
line, and with its share of what is done for several at once: once for all that are counted, and
never by a timer, so that a slow machine counts no more. The toggle from the key to the screen
at rest. What requests keep in memory is counted as well: in blocks of Python's allocator, and in
objects that the garbage collector sees.

Run: python benchmarks/calls.py [--json] [--top N]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.in_process.fake_wires import ClientWire, FakeLoop, ask
from benchmarks.in_process.nexus_side import (
    NexusSide,
    Swap,
    at_rest,
    backend_that_never_reads,
    nexus_in_this_loop,
)
from benchmarks.loads import HOLD, LOADS, MODELS, as_request, chat_body
from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config, StorageConfig
from nexus_core.gateway import Gateway
from nexus_core.observe import bus
from nexus_core.types import PrivacyZone
from nexus_tui.app import NexusApp
from nexus_tui.process.logs import log_handlers
from nexus_tui.sources.local import LocalSource

WAITING, FINISHED = 32, 320  # requests that are looked at together, and all of them listed
# Requests of which one is the average: some work is done for so many at once. Of streams, whose
# reads are what counts, fewer.
PORTION, STREAMS = 16, 2
BACKENDS = 50
SIZE = (120, 62)  # columns, lines: every backend has its row
QUIET_SECONDS = 0.3  # without a call of ours, and longer than a pause between two paintings
ROUNDS = 4  # of which the one with the fewest calls counts

_PACKAGES = tuple(
    os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), package, "")
    for package in ("nexus_core", "nexus_tui")
)
_ROOT = len(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + 1
_NO_FUNCTIONS = frozenset({"<module>", "<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"})
_SORTING = frozenset({"sorted", "sort"})


@dataclass
class Count:
    """What was called between two moments, by one request or by several that are alike."""

    requests: int = 1
    functions: Counter[tuple[str, str]] = field(default_factory=Counter)  # module, function
    borders: Counter[tuple[str, str]] = field(default_factory=Counter)  # folder to folder
    resumed: int = 0  # coroutines and generators that went on
    c_calls: int = 0  # calls of C functions by any function of ours
    sorts: int = 0  # of these

    @property
    def calls(self) -> int:
        """Of one request, as all figures but those of single functions and borders."""
        return round(self.functions.total() / self.requests)

    @property
    def builtins(self) -> int:
        return round(self.c_calls / self.requests)

    @property
    def modules(self) -> int:
        return len({module for module, _ in self.functions})

    @property
    def crossings(self) -> int:
        return round(self.borders.total() / self.requests)

    @property
    def histograms(self) -> int:
        return self.functions["nexus_core.observe.histogram", "Histogram.__init__"]

    def as_json(self, top: int) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "modules": self.modules,
            "crossings": self.crossings,
            "resumed": self.resumed,
            "builtins": self.builtins,
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
            if module_of(frame.f_code.co_filename):
                count.c_calls += 1
                count.sorts += getattr(arg, "__name__", "") in _SORTING
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


# --- (a) requests ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kept:
    """What one request leaves in memory, or holds there, on average."""

    blocks: float  # of Python's allocator
    tracked: float  # objects that the garbage collector has to look at


@dataclass
class Requests:
    """What requests take, by the names of LOADS, and what they keep."""

    counts: dict[str, Count]
    finished: Kept  # what stays of a whole answer, while it is listed
    waiting: Kept  # what a stream holds that waits for its backend

    @property
    def calls_a_read(self) -> float:
        """Of a stream that is passed on, beyond what every request takes."""
        added = self.counts["sse"].calls - self.counts["chat"].calls
        return added / len(LOADS["sse"].reads)

    def calls_an_event(self, load: str) -> float:
        """Of a translated stream, beyond a stream that is passed on, in as many reads."""
        passed = self.counts["bursts" if load.endswith("bursts") else "sse"].calls
        added = self.counts[load].calls - passed
        return added / LOADS[load].events


async def count_requests() -> Requests:
    """Requests of a warm gateway with everything on, from the first byte read to the last written.

    Server, client and what lies between are the real ones; the kernel is missing (fake_wires.py).
    """
    with _logging_as_it_was(), _untimed():
        async with _new_gateway() as (nexus, clients):
            counts = {}
            for name, load in LOADS.items():
                number = STREAMS if load.is_stream else PORTION
                portion = partial(_portion, nexus, clients[:1], load.request, number)
                counts[name] = await _fewest(portion)
    with _logging_as_it_was():
        async with _new_gateway() as (_, clients):  # whose lists are empty
            return Requests(counts, await _finished(clients), await _waiting(clients))


@contextmanager
def _untimed() -> Generator[None]:
    """Leave what is done for several requests at once to `NexusSide.settle`."""
    kept = bus._SETTLE_SECONDS, log_handlers._FLUSH_SECONDS
    bus._SETTLE_SECONDS = log_handlers._FLUSH_SECONDS = 3600.0
    try:
        yield
    finally:
        bus._SETTLE_SECONDS, log_handlers._FLUSH_SECONDS = kept


@asynccontextmanager
async def _new_gateway() -> AsyncGenerator[tuple[NexusSide, list[ClientWire]]]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FakeLoop)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            backend_that_never_reads() as url,
            nexus_in_this_loop(url, Path(folder), Swap("counted")) as nexus,
            loop.clients_of(nexus.port, WAITING) as clients,
        ):
            await at_rest()
            yield nexus, clients


async def _portion(
    nexus: NexusSide, clients: list[ClientWire], request: bytes, number: int
) -> Count:
    await ask(clients, request, 3)  # warm: the connection is kept, and whatever is remembered is
    nexus.settle()
    count = Count(number)
    with counting(count):
        await ask(clients, request, number)
        await asyncio.sleep(0)  # the last one's end
        nexus.settle()
    return count


async def _finished(clients: list[ClientWire]) -> Kept:
    request = LOADS["chat"].request
    await ask(clients, request, FINISHED)  # by now what grows in steps has grown
    before = await _at_hand()
    await ask(clients, request, FINISHED)
    after = await _at_hand()
    return Kept(*((more - less) / FINISHED for more, less in zip(after, before, strict=True)))


async def _waiting(clients: list[ClientWire]) -> Kept:
    """Afterwards the clients leave: their wires are closed with the block that gave them."""
    body = chat_body(MODELS["openai"], is_stream=True, prompt=HOLD)
    before = await _at_hand()
    for client in clients:
        client.protocol.data_received(as_request(body))
    after = await _at_hand()
    return Kept(*((more - less) / len(clients) for more, less in zip(after, before, strict=True)))


async def _at_hand() -> tuple[int, int]:
    """Blocks and tracked objects, once nothing goes on."""
    await at_rest()
    gc.collect()
    return sys.getallocatedblocks(), len(gc.get_objects())


@contextmanager
def _logging_as_it_was() -> Generator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(False)


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
    app.pacer._tick = 3600.0  # no round of the clock falls into what a key takes
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
    parser.add_argument("--top", type=int, default=10, help="how many functions and borders")
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=FakeLoop) as runner:
        requests = runner.run(count_requests())
    toggle, drawing = asyncio.run(count_screen())
    counts = {**requests.counts, "toggle": toggle, "drawing": drawing}
    if asked.json:
        print(json.dumps({name: one.as_json(asked.top) for name, one in counts.items()}, indent=2))
        return
    columns = ("calls", "builtins", "modules", "crossings", "resumed", "sorts", "histograms")
    print(" " * 10 + "".join(f"{column:>12}" for column in columns))
    for name, one in counts.items():
        print(f"{name:10}" + "".join(f"{getattr(one, column):12}" for column in columns))
    print(f"\ncalls a read: {requests.calls_a_read:.1f}")
    for name in ("anthropic", "google", "anthropic-bursts", "google-bursts"):
        print(f"calls an event, {name}: {requests.calls_an_event(name):.1f}")
    for title, kept in (("finished", requests.finished), ("waiting", requests.waiting)):
        print(f"{title}: {kept.blocks:.1f} blocks, {kept.tracked:.1f} of them tracked")
    for name, one in counts.items():
        print(f"\n{name}: called most")
        for (module, function), number in one.functions.most_common(asked.top):
            print(f"{number / one.requests:9.2f}  {module}  {function}")
        print(f"{name}: borders crossed most")
        for (before, after), number in one.borders.most_common(asked.top):
            print(f"{number / one.requests:9.2f}  {before} -> {after}")


if __name__ == "__main__":
    main()
