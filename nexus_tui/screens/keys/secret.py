"""Dialog with the secret of a client key: the only time that anybody sees it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import TextArea

from nexus_tui.screens.dialog import Dialog
from nexus_tui.widgets.base.lines import Line

_TEXT = (
    "This is shown once: Nexus keeps a digest of it only. Clients send it as "
    "Authorization: Bearer, x-api-key or x-goog-api-key.",
)


class SecretDialog(Dialog[bool]):
    """Shows a secret; True: it is to be copied."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy", show=False)]

    def __init__(self, name: str, secret: str, also: str = "") -> None:
        text: list[str | Line] = [
            *_TEXT,
            *([also] if also else []),
            (("y", "key"), (" copies it   ", "dim"), ("esc", "key"), (" closes, for good", "dim")),
        ]
        super().__init__(f"Secret of {name}", text)
        self._secret = secret

    def compose_below(self) -> ComposeResult:
        yield TextArea(self._secret, read_only=True, soft_wrap=True, id="secret")

    def on_mount(self) -> None:
        self.query_one(TextArea).focus()

    def action_copy(self) -> None:
        """Close, and have it copied."""
        self.dismiss(True)
