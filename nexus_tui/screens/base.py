"""The base screen under the dialogs."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

from textual.screen import Screen

from nexus_tui.draw.pacer import Pacer
from nexus_tui.widgets.base.lines import app_of


@runtime_checkable
class Paced(Protocol):
    """An app that wants to know what its compositor costs."""

    @property
    def pacer(self) -> Pacer: ...


class BaseScreen(Screen[None], inherit_bindings=False):
    """Tells the pacer what the compositor costs."""

    AUTO_FOCUS = ""

    def _on_timer_update(self) -> None:
        started = time.thread_time()
        super()._on_timer_update()
        app = app_of(self)
        if isinstance(app, Paced):
            app.pacer.add_cost(time.thread_time() - started)
