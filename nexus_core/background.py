"""Work in a thread beside the event loop, which goes first whenever both want the interpreter."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

_Made = TypeVar("_Made")

# For so long at most a thread keeps the interpreter from another one. With Python's own 5 ms, each
# turn of the loop would wait that long for a thread that imports or computes; and a request takes a
# dozen turns.
_TURN_SECONDS = 0.00005

LONG_BYTES = 64 * 1024  # of JSON: what takes longer to read than the loop should stand still

_lock = threading.Lock()
_working = 0  # threads
_loading = 0  # those of them that bring modules
_had_gc = False  # before they did
_usual_seconds = 0.0  # of a turn while none works


async def load_in_background(load: Callable[[], _Made]) -> _Made:
    """What `load` gives, in a thread; of modules that stay for good.

    The garbage collector never sees what they bring: it rests until they are there, and leaves
    them out from then on. Its look at them would take longer with each, and hold the loop up.
    """
    return await in_background(partial(_without_gc, load))


def _without_gc(load: Callable[[], _Made]) -> _Made:
    global _loading, _had_gc  # the interpreter has one collector
    with _lock:
        if not _loading:
            _had_gc = gc.isenabled()
            gc.disable()
        _loading += 1
    modules = len(sys.modules)
    try:
        return load()
    finally:
        with _lock:
            _loading -= 1
            if len(sys.modules) > modules:
                gc.freeze()
            if not _loading and _had_gc:
                gc.enable()


async def read_long(read: Callable[[bytes], _Made], content: bytes) -> _Made:
    """What `read` makes of the content, or raises; in a thread where that takes long."""
    if len(content) < LONG_BYTES:
        return read(content)
    return await in_background(lambda: read(content))


async def in_background(work: Callable[[], _Made]) -> _Made:
    """What `work` gives, or raises, in a thread.

    For imports, files and long computing. A single call that keeps the interpreter, as of some C
    libraries, holds the loop up all the same.
    """
    return await asyncio.to_thread(_in_short_turns, work)


def _in_short_turns(work: Callable[[], _Made]) -> _Made:
    with _short_turns():
        return work()


@contextmanager
def _short_turns() -> Generator[None]:
    global _working, _usual_seconds  # the interpreter has one setting for all threads
    with _lock:
        if not _working:
            _usual_seconds = sys.getswitchinterval()
            sys.setswitchinterval(_TURN_SECONDS)
        _working += 1
    try:
        yield
    finally:
        with _lock:
            _working -= 1
            if not _working:
                sys.setswitchinterval(_usual_seconds)
