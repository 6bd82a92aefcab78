"""The shared event loop of proxy and dashboard: uvloop, else asyncio's."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Loop = asyncio.SelectorEventLoop
else:
    try:
        from uvloop import Loop as _Loop
    except ImportError:  # not installed, or not made for this platform
        _Loop = asyncio.SelectorEventLoop


class NexusLoop(_Loop):
    """Event loop that refuses the eager task factory, which Textual sets.

    Eager tasks would change how the proxy's own tasks are scheduled, and some pairs of uvloop and
    Python raise TypeError for them.
    """

    def set_task_factory(self, factory: Any) -> None:
        """Set the factory for new tasks; asyncio's eager one is ignored."""
        if factory is not None and factory is getattr(asyncio, "eager_task_factory", None):
            return
        super().set_task_factory(factory)


def loop_factory() -> asyncio.AbstractEventLoop:
    """A new loop; pass this function to `asyncio.Runner(loop_factory=...)`."""
    return NexusLoop()


def hold_gc() -> None:
    """Disable garbage collection during imports: it finds nothing and takes a fifth of start-up."""
    gc.disable()


# Of the garbage collector: new objects before it looks at them, at those that stayed, at all.
# What stays are thousands of requests that the screens list. Nothing of them is garbage, and hardly
# anything is an object that it looks at; with Python's own thresholds it still went through all of
# them several times a second under load.
_THRESHOLDS = (4_000, 4, 100)


def resume_gc() -> None:
    """Enable garbage collection, except for objects made at start-up."""
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    gc.enable()


def settle_gc() -> None:
    """Take what start-up made out of the garbage collector's sight.

    A full collection with the dashboard mounted took 22 ms, all of it a stall of the proxy.
    """
    gc.collect()
    gc.freeze()
