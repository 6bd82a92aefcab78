"""Write the answer to one Gemini request from the hub's: whole, streamed, or an error."""

from __future__ import annotations

from nexus_core.dialects.base.bridge import StreamWriter
from nexus_core.dialects.gemini.inbound.array import ARRAY_TYPE, ArrayStreamWriter
from nexus_core.dialects.gemini.inbound.bridge.answer import write_answer
from nexus_core.dialects.gemini.inbound.bridge.stream import GeminiStreamWriter
from nexus_core.dialects.gemini.inbound.errors import translate_error
from nexus_core.dialects.gemini.inbound.request import GeminiRequest
from nexus_core.dialects.hub.envelope import dumped_fields
from nexus_core.dialects.sse import MEDIA_TYPE
from nexus_core.errors import InvalidRequestError
from nexus_core.observe.events import TokenUsage


class GeminiWriter:
    """Writer of one answer in Google's format."""

    def __init__(self, request: GeminiRequest, model: str) -> None:
        """`request`: the client's own; `model`: the backend's name of the model."""
        self.stream_type = ARRAY_TYPE if request.as_array else MEDIA_TYPE
        self._request = request
        self._model = model

    def whole(self, body: bytes, usage: TokenUsage | None) -> bytes:
        """Write a whole answer.

        Raises:
            ValueError: it is not a chat completion.
        """
        answer = write_answer(self._request, self._model, body, usage)
        try:
            return dumped_fields(answer)
        except InvalidRequestError as error:
            raise ValueError("answered with a number that JSON can't hold") from error

    def error(self, body: bytes, status: int, retry_after: str | None = None) -> bytes:
        """Write an error answer, whatever form its body has."""
        return translate_error(body, status, retry_after)

    def stream(self) -> StreamWriter:
        """Create the writer of a stream."""
        events = GeminiStreamWriter(self._request, self._model)
        return ArrayStreamWriter(events) if self._request.as_array else events
