"""Add a backend for a cloud key from the environment, on request."""

from __future__ import annotations

from nexus_tui.actions.context import AppContext
from nexus_tui.screens.dialog import Choose, Option
from nexus_tui.sources.base import FoundKey, offered
from nexus_tui.text.escape import escaped

_PRESSED = "123456789abcdefg"  # one key each, and none that moves the cursor
_TEXT = "Local servers are used once discovered. Cloud keys are used on request:"


async def add_found(context: AppContext, *, uses_the_only_one: bool) -> None:
    """Add a backend for a cloud key until restart; asks which, if there are several.

    Raises:
        NexusError: the key is unusable; the message is for the screen.
    """
    discovery = context.source.discovery
    keys = offered(discovery)
    if discovery is None or not keys:
        context.notice("no unused cloud key in the environment")
        return
    if not context.may_command:
        return
    if uses_the_only_one and len(keys) == 1:
        variable: str | None = keys[0].variable
    else:
        options = [_option(index, key) for index, key in enumerate(keys)]
        variable = await context.ask(Choose("Add a backend", [_TEXT], options))
    if variable is None:
        return
    with context.giving_way():
        outcome = await discovery.use_key(variable)
    context.notice(escaped(outcome.message))


def _option(index: int, key: FoundKey) -> Option[str]:
    pressed = _PRESSED[index : index + 1]  # beyond them it is chosen by the arrows
    return Option(key.variable, f"{key.title}, zone open", pressed, f"by {key.variable}")
