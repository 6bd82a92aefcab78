"""OpenAI and every server that speaks its API: relay bytes, list models."""

from __future__ import annotations

import logging

from nexus_core.dialects.openai_chat.additions import refuses_addition
from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT
from nexus_core.dialects.openai_chat.request import PATHS, write_request
from nexus_core.dialects.request import Request
from nexus_core.observe.events import TokenUsage
from nexus_core.providers.base import Call, Response, WayBack
from nexus_core.providers.http import HttpAgent
from nexus_core.types import Operation
from nexus_core.upstream.base import MaySend, UpstreamResponse

log = logging.getLogger(__name__)


class PlainResponse:
    """An answer that is passed on as it comes; what it tells of its usage stands in its body."""

    def __init__(self, response: UpstreamResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.usage: TokenUsage | None = None
        self.chunks = response.chunks
        self.close = response.close


class OpenAIAgent(HttpAgent):
    """A backend that speaks OpenAI's API; requests pass to it as they are."""

    _takes_additions = True  # until it refuses them: then until its configuration changes

    def prepare(self, request: Request, model: str, *, wants_usage: bool = False) -> Call:
        """The request as it came, but for the model's name and a stream's wish for its usage."""
        adds_usage = (
            wants_usage
            and self._takes_additions
            and request.is_streaming
            and request.operation is not Operation.EMBEDDINGS
            and not request.demand.wants_usage
        )
        return Call(
            path=PATHS[request.operation],
            body=write_request(request, model, adds_usage=adds_usage),
            is_streaming=request.is_streaming,
            model=model,
            adds_usage=adds_usage,
            way_back=self._way_back(request, model) if adds_usage else None,
            request=request,
            dialect=OPENAI_CHAT,
        )

    def _way_back(self, request: Request, model: str) -> WayBack:
        def plain() -> Call:
            return self.prepare(request, model)

        def remember() -> None:
            self._takes_additions = False
            log.info(
                "backend %s refuses stream_options; token counts of its streams are estimates",
                self.name,
            )

        return WayBack(plain, refuses_addition, remember)

    async def send(self, call: Call, may_send: MaySend) -> Response:
        """Send it and wait for the answer's head.

        Raises:
            UpstreamError: there is no answer.
        """
        return PlainResponse(
            await self.post(call.path, call.body, accept=call.accept, may_send=may_send)
        )
