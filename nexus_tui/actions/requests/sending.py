"""What is asked before an operator's request is sent: where it would go, and what that costs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from nexus_core.errors import NexusError
from nexus_core.observe.record import RequestRecord
from nexus_core.routing.explain import Chosen, Explanation
from nexus_tui.actions.context import AppContext
from nexus_tui.screens.dialog import confirm
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import dollars
from nexus_tui.view.explain_form import ExplainForm

_SHORT = 8  # prompt tokens of a request that says hi


class Sending:
    """Questions about a request before it is sent."""

    def __init__(self, context: AppContext) -> None:
        self._context = context

    async def explained(self, form: ExplainForm) -> Explanation | None:
        """Where it would go; None where nobody can say."""
        try:
            return await self._context.source.explain(form.question())
        except NexusError:
            return None  # the rest is worth showing without it

    async def may_send(self, form: ExplainForm) -> bool:
        """Ask before a request goes to a cloud, by the real state, not the what-if one."""
        answer = await self._context.source.explain(replace(form, tokens=_SHORT).question())
        types = {one.name: one.type for one in self._context.source.backends()}
        clouds = [
            one.backend
            for one in answer.candidates
            if one.backend not in types or types[one.backend].is_cloud
        ]
        if not clouds:
            return True
        is_first = answer.chosen is not None and answer.chosen.backend == clouds[0]
        what = "A short request" if is_first else "If the backends before it fail, a short request"
        return await self.ask_for_cloud(clouds[0], what, answer.chosen if is_first else None)

    async def ask_for_cloud(self, name: str, what: str, chosen: Chosen | None) -> bool:
        """Ask whether it may go to a cloud, with its price."""
        usd = chosen.estimated_usd if chosen else None
        price = "" if usd is None else f": about {dollars(Decimal(str(usd)))}"
        if chosen and usd is None:
            price = "; price unknown"
        text = f"{what} is sent to a cloud provider and billed{price}."
        question = confirm(f"Send it to {escaped(name)}?", [text], "Send it")
        return await self._context.ask(question) or False


def form_to_send(row: RequestRecord, body: bytes | None = None) -> ExplainForm:
    """The explain form of a replay: the request without its client, whose budget does not apply.

    Args:
        body: as it was kept; None: it was not.
    """
    return replace(ExplainForm.of_captured(row, body), client=None)
