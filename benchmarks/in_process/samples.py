"""Where a thread's CPU time goes: samples of it, by package and by function.

What a C function takes counts for the Python function that called it.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

_EVERY_SECONDS = 0.001  # of CPU; many systems sample every fourth alone
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep


@dataclass
class Samples:
    """How often a sample fell where."""

    packages: Counter[str] = field(default_factory=Counter)
    functions: Counter[str] = field(default_factory=Counter)

    def shares(self, most: int) -> list[tuple[str, float]]:
        """The packages with most of them, each with its share of all."""
        whole = self.packages.total() or 1
        return [(name, number / whole) for name, number in self.packages.most_common(most)]

    def function_shares(self, most: int) -> list[tuple[str, float]]:
        whole = self.packages.total() or 1
        return [(name, number / whole) for name, number in self.functions.most_common(most)]


def package_of(file: str) -> str:
    """`nexus_core.proxy` for anything in that folder; a library by its name."""
    if file.startswith(_ROOT):
        parts = file.removeprefix(_ROOT).removesuffix(".py").split(os.sep)
        return ".".join(parts[:2])
    parts = file.split(os.sep)
    for mark in ("site-packages", "python3"):
        for at, part in enumerate(parts[:-1]):
            if part.startswith(mark) and "site-packages" not in parts[at + 1 :]:
                return parts[at + 1].removesuffix(".py")
    return parts[-1]


@contextmanager
def sampling(samples: Samples) -> Generator[None]:
    """Sample the main thread within the block."""

    def on_signal(_: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        package = package_of(frame.f_code.co_filename)
        samples.packages[package] += 1
        samples.functions[f"{package}  {frame.f_code.co_qualname}"] += 1

    before = signal.signal(signal.SIGPROF, on_signal)
    signal.setitimer(signal.ITIMER_PROF, _EVERY_SECONDS, _EVERY_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
