"""Copy: by the terminal, by the desktop, and onto the screen where neither is sure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from nexus_tui.actions.desk import Desk
from nexus_tui.clipboard import copy
from nexus_tui.screens.dialog import ShowText

_TOLD = "The terminal was asked to copy it. Terminals do not say whether they did."


def copying(
    desk: Desk, title: str, text: str, environ: Mapping[str, str], *, may_keep: bool
) -> Callable[[], Awaitable[None]]:
    """What is left to do once the terminal was asked: the desktop's tool, else a box and a file."""

    async def finish() -> None:
        copied = await copy(text, environ, may_keep=may_keep)
        if copied.is_sure:
            desk.notice(f"copied: {title}")
            return
        where = [f"It is in {copied.path} too."] if copied.path else []
        await desk.ask(ShowText(f"Copied: {title}", [_TOLD, *where], text))

    return finish
