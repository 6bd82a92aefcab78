"""Key actions: create, limit, rotate, block and revoke client keys; copy the list."""

from __future__ import annotations

import csv
import io

from nexus_core.errors import NexusError
from nexus_tui.actions.clip import ClipActions
from nexus_tui.actions.context import AppContext, Handlers
from nexus_tui.screens.dialog import AskLine, Choose, Option, confirm
from nexus_tui.screens.keys.secret import SecretDialog
from nexus_tui.screens.keys.tab import KeysTab
from nexus_tui.sources.client_keys import (
    ClientKey,
    KeyAnswer,
    KeyChange,
    changed_words,
    limits_in_words,
)
from nexus_tui.text.escape import escaped
from nexus_tui.text.export import harmless
from nexus_tui.view.keys.typed import EXAMPLE, read_typed, written, wrong_key, wrong_limits
from nexus_tui.widgets.key_table import as_rows

_AT_ONCE = "0s"
_GRACES = (
    (_AT_ONCE, "is not taken any more", "n"),
    ("1h", "is taken for an hour", "h"),
    ("24h", "is taken for a day", "d"),
    ("7d", "is taken for a week", "w"),
)


class KeyActions:
    """Actions on the key under the cursor."""

    def __init__(self, context: AppContext, tab: KeysTab, clip: ClipActions) -> None:
        self._context = context
        self._tab = tab
        self._clip = clip

    def handlers(self) -> Handlers:
        return {
            "key.create": self._create,
            "key.limit": self._limit,
            "key.rotate": self._rotate,
            "key.revoke": self._revoke,
            "copy_keys": self._copy,
        }

    def _selected(self) -> ClientKey | None:
        """The key under the cursor, if it can be changed; else a notice says why not."""
        context, selected = self._context, self._tab.table.selected
        if not context.may_command:
            return None
        if selected is None:
            context.notice("no client key is selected")
        elif not selected.is_created:
            context.notice(f"{escaped(selected.name)} is a key of the environment: change it there")
        elif selected.state == "revoked":
            context.notice(f"{escaped(selected.name)} is revoked for good: make another one")
        else:
            return selected
        return None

    async def toggle(self) -> None:
        """Block the key, or let it in again."""
        if (key := self._selected()) is None:
            return
        is_blocked = key.blocked is not None
        done = "is let in again" if is_blocked else "is blocked; its requests get a 401"
        await self._carry_out(
            KeyChange("unblock" if is_blocked else "block", key.name), f"{escaped(key.name)} {done}"
        )

    async def _create(self) -> None:
        if not self._context.may_command:
            return
        keys = self._tab.known.keys
        text = [f"Its name, and limits as far as wanted:  {EXAMPLE}"]
        if keys is not None and not any(key.is_created for key in keys):
            text.append("Once there is a created key, requests need a key.")
        typed = await self._context.ask(AskLine("Create a client key", text, check=wrong_key))
        if typed is None:
            return
        name, asked = read_typed(typed)
        answer = await self._carry_out(KeyChange("create", name, asked), f"created key {name}")
        await self._show(name, answer)

    async def _limit(self) -> None:
        if (key := self._selected()) is None:
            return
        before = limits_in_words(key)
        text = [
            f"{EXAMPLE}. What is left out limits nothing; expires stays, unless it is named "
            "(expires=none).",
        ]
        typed = await self._context.ask(
            AskLine(f"Limits of {key.name}", text, value=written(before), check=wrong_limits)
        )
        if typed is None:
            return
        asked = changed_words(before, read_typed(typed)[1])
        if not asked:
            self._context.notice("nothing was changed")
            return
        await self._carry_out(
            KeyChange("limit", key.name, asked), f"changed the limits of {escaped(key.name)}"
        )

    async def _rotate(self) -> None:
        if (key := self._selected()) is None:
            return
        options = [Option(grace, f"the old one {words}", press) for grace, words, press in _GRACES]
        text = ["It gets another secret, which is shown once. Is the old one taken meanwhile?"]
        grace = await self._context.ask(Choose(f"Rotate {key.name}?", text, options, cursor=2))
        if grace is None:
            return
        change = KeyChange("rotate", key.name, grace=None if grace == _AT_ONCE else grace)
        answer = await self._carry_out(change, f"rotated {escaped(key.name)}")
        words = next(words for one, words, _ in _GRACES if one == grace)
        await self._show(key.name, answer, f"The old one {words}.")

    async def _revoke(self) -> None:
        if (key := self._selected()) is None:
            return
        text = [
            "Its requests get a 401 from now on, for good; those under way "
            f"({key.used.under_way}) finish. The name is not given again.",
            "To shut it out for a while, block it.",
        ]
        if await self._context.ask(confirm(f"Revoke {key.name}?", text, "Revoke it")):
            await self._carry_out(KeyChange("revoke", key.name), f"{escaped(key.name)} is revoked")

    async def _carry_out(self, change: KeyChange, done: str) -> KeyAnswer | None:
        """Carry it out and say so; None if it failed."""
        context = self._context
        try:
            with context.giving_way():
                answer = await context.source.change_key(change)
                await self._tab.known.read(context.source)
        except NexusError as error:
            context.notice(escaped(error.message))
            return None
        context.notice(done)
        return answer

    async def _show(self, name: str, answer: KeyAnswer | None, also: str = "") -> None:
        """Show a secret, once."""
        if answer is None or answer.secret is None:
            return
        if await self._context.ask(SecretDialog(name, answer.secret, also)):
            self._clip.put(f"the secret of {escaped(name)}", answer.secret, may_keep=False)

    def _copy(self) -> None:
        keys = self._tab.table.shown
        if not keys:
            self._context.notice("no client key to copy")
            return
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([harmless(value) for value in row] for row in as_rows(keys))
        self._clip.put(f"{len(keys):,} client keys as CSV", file.getvalue())
