"""Write the answer to one Messages request from the hub's: whole, streamed, or an error."""

from __future__ import annotations

from nexus_core.dialects.anthropic.inbound.bridge.answer import write_message
from nexus_core.dialects.anthropic.inbound.bridge.stream import MessageStreamWriter
from nexus_core.dialects.anthropic.inbound.errors import translate_error
from nexus_core.dialects.anthropic.inbound.events import dumped
from nexus_core.dialects.base.bridge import StreamWriter
from nexus_core.dialects.request import Request
from nexus_core.dialects.sse import MEDIA_TYPE
from nexus_core.observe.events import TokenUsage


class MessageWriter:
    """Writer of one answer in Anthropic's format."""

    stream_type = MEDIA_TYPE

    def __init__(self, request: Request, model: str) -> None:
        """`request`: the client's own; `model`: the backend's name of the model."""
        self._request = request
        self._model = model

    def whole(self, body: bytes, usage: TokenUsage | None) -> bytes:
        """Write a whole answer.

        Raises:
            ValueError: it is not a chat completion.
        """
        return dumped(write_message(self._request, self._model, body, usage)).encode()

    def error(self, body: bytes, status: int, retry_after: str | None = None) -> bytes:
        """Write an error answer, whatever form its body has."""
        return translate_error(body, status, self._request.id)

    def stream(self) -> StreamWriter:
        """Create the writer of a stream."""
        return MessageStreamWriter(self._request, self._model)
