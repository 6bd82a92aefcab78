"""Write the answer to one Responses request from the hub's: whole, streamed, or an error."""

from __future__ import annotations

from nexus_core.dialects.base.bridge import StreamWriter
from nexus_core.dialects.openai_responses.bridge.answer import write_response
from nexus_core.dialects.openai_responses.bridge.stream import ResponseStreamWriter
from nexus_core.dialects.openai_responses.errors import translate_error
from nexus_core.dialects.openai_responses.events import dumped
from nexus_core.dialects.request import Request
from nexus_core.dialects.sse import MEDIA_TYPE
from nexus_core.observe.events import TokenUsage


class ResponseWriter:
    """Writer of one answer in the format of the Responses API."""

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
        return dumped(write_response(self._request, self._model, body, usage)).encode()

    def error(self, body: bytes, status: int, retry_after: str | None = None) -> bytes:
        """Write an error answer, whatever form its body has."""
        return translate_error(body, status)

    def stream(self) -> StreamWriter:
        """Create the writer of a stream."""
        return ResponseStreamWriter(self._request, self._model)
