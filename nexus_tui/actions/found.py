"""Use a cloud key that was found: when it is asked for, and the one that is meant."""

from __future__ import annotations

from nexus_tui.actions.context import AppContext
from nexus_tui.screens.dialog import Choose, Option
from nexus_tui.sources.base import FoundKey, offered
from nexus_tui.text.escape import visible

_TEXT = "Local servers are used as soon as they are found. A cloud's key is used only now:"


async def add_found(context: AppContext, *, uses_the_only_one: bool) -> None:
    """Use a found key until restart; of several, which one is asked, of one only where wanted.

    Raises:
        NexusError: it can't be used; the message is for the screen.
    """
    discovery = context.source.discovery
    keys = offered(discovery)
    if discovery is None or not keys:
        context.notice("no cloud key was found that is not used already")
        return
    if not context.may_command:
        return
    if uses_the_only_one and len(keys) == 1:
        variable: str | None = keys[0].variable
    else:
        options = [_option(number, key) for number, key in enumerate(keys, 1)]
        variable = await context.ask(Choose("Add a backend", [_TEXT], options))
    if variable is None:
        return
    outcome = await discovery.use_key(variable)
    context.notice(visible(outcome.message))


def _option(number: int, key: FoundKey) -> Option[str]:
    return Option(key.variable, f"{key.title}, zone open", str(number), f"by {key.variable}")
