"""The dashboard, for what else runs in the process and has something to tell its user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus_tui.text.escape import escaped

if TYPE_CHECKING:
    from nexus_tui.app import NexusApp


class Screen:
    """The dashboard while there is one."""

    def __init__(self) -> None:
        self.app: NexusApp | None = None

    def notice(self, text: str) -> None:
        """Show a notice in the last line; without a dashboard nothing happens."""
        if self.app is not None:
            self.app.call_later(self.app.notice, escaped(text))
