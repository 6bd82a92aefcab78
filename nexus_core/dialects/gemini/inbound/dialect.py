"""Google's Gemini API as a dialect of clients; to backends of other formats by its bridge.

The model's name stands in the path. So each request has a dialect of its own, bound to what its
path and query ask for: `dialect_at`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from nexus_core.dialects.base.bridge import AnswerWriter, Bridge, HubRequest, HubTarget
from nexus_core.dialects.base.stream import StreamReader
from nexus_core.dialects.error_report import read_error_body, read_wait
from nexus_core.dialects.gemini.inbound.array import ARRAY_TYPE
from nexus_core.dialects.gemini.inbound.errors import (
    as_error,
    error_body,
    error_element,
    error_event,
    write_error,
)
from nexus_core.dialects.gemini.inbound.native import as_stream, read_answer, text_length
from nexus_core.dialects.gemini.inbound.paths import Asked, Method, read_path
from nexus_core.dialects.gemini.inbound.reader import GeminiStreamReader
from nexus_core.dialects.gemini.inbound.request import GeminiRequest, read_request
from nexus_core.dialects.hub.prompt import prompt_of
from nexus_core.dialects.request import Request
from nexus_core.dialects.sse import EVENT_END, MEDIA_TYPE
from nexus_core.errors import NexusError, UnsupportedFieldsError
from nexus_core.types import DialectName, Operation, PromptParts

_EMBEDDINGS = frozenset({Method.EMBED, Method.BATCH_EMBED})


def as_gemini(request: Request) -> GeminiRequest:
    """A request that came in by this dialect, as what it is."""
    assert isinstance(request, GeminiRequest)  # noqa: S101 - no other is made with its name
    return request


class GeminiBridge:
    """Between the Gemini API and the hub's format. What translates is imported when it does."""

    def to_hub(self, request: Request, target: HubTarget) -> HubRequest:
        """Translate a request into one for chat or embeddings."""
        if request.operation is Operation.EMBEDDINGS:
            from nexus_core.dialects.gemini.inbound.bridge.embeddings import embeddings_to_hub

            return embeddings_to_hub(as_gemini(request))
        from nexus_core.dialects.gemini.inbound.bridge.to_hub import to_hub

        return to_hub(request, target)

    def writer(self, request: Request, model: str) -> AnswerWriter:
        """Create the writer of its answer."""
        if request.operation is Operation.EMBEDDINGS:
            from nexus_core.dialects.gemini.inbound.bridge.embeddings import EmbeddingsWriter

            return EmbeddingsWriter(as_gemini(request))
        from nexus_core.dialects.gemini.inbound.bridge.writer import GeminiWriter

        return GeminiWriter(as_gemini(request), model)


class Gemini(msgspec.Struct, frozen=True):
    """The wire format of the Gemini API, for what one path asks."""

    asked: Asked

    @property
    def name(self) -> DialectName:
        return DialectName.GEMINI

    @property
    def paths(self) -> Mapping[Operation, str]:
        return _PATHS

    @property
    def stream_type(self) -> str:
        """Media type of its stream: one JSON array, where no events are asked for."""
        return ARRAY_TYPE if self.asked.as_array else MEDIA_TYPE

    @property
    def event_end(self) -> bytes:
        """What ends an event; elements of an array need nothing between them but commas."""
        return b"" if self.asked.as_array else EVENT_END

    @property
    def passed_headers(self) -> frozenset[bytes]:
        """None: the version stands in the path."""
        return frozenset()

    @property
    def request_id_header(self) -> bytes | None:
        return None

    @property
    def bridge(self) -> Bridge | None:
        return _BRIDGE

    read_answer = staticmethod(read_answer)
    text_bytes = staticmethod(text_length)
    as_stream = staticmethod(as_stream)

    read_error = staticmethod(read_error_body)
    read_wait = staticmethod(read_wait)
    as_error = staticmethod(as_error)
    write_error = staticmethod(write_error)
    error = staticmethod(error_body)

    def read_request(self, operation: Operation, body: bytes, request_id: str = "") -> Request:
        """Parse and validate a client's request body; unknown fields pass.

        Raises:
            InvalidRequestError: it is not valid for this API; names the field.
        """
        return read_request(self.asked, operation, body, request_id)

    def read_prompt(self, request: Request) -> PromptParts:
        """Texts, images and tools of a request's prompt, as the hub's format has them."""
        if request.operation is Operation.EMBEDDINGS:
            from nexus_core.dialects.gemini.inbound.bridge.embeddings import texts_of

            return prompt_of({"input": texts_of(as_gemini(request))})
        from nexus_core.dialects.gemini.inbound.bridge.to_hub import prompt_fields

        return prompt_of(prompt_fields(request))

    @staticmethod
    def write_passed(request: Request, model: str) -> bytes:
        """The body for a server that speaks this format: no server but Google's."""
        from nexus_core.dialects.gemini.inbound.passed import write_passed

        return write_passed(as_gemini(request), model)

    @staticmethod
    def ping(request: Request) -> bytes:
        """None: Google's clients read nothing but data, and comments are errors to them."""
        return b""

    @staticmethod
    def status(error: NexusError) -> int:
        """Google has no 422: what a backend can't do is an invalid argument."""
        return 400 if isinstance(error, UnsupportedFieldsError) else error.status

    @staticmethod
    def read_stream(
        request: Request, clean: Callable[[str], str], *, hides_usage: bool
    ) -> StreamReader:
        """Create the reader of one streamed answer; its usage is never hidden."""
        return GeminiStreamReader(clean)

    def error_event(self, error: NexusError, request_id: str = "") -> bytes:
        """Write one of Nexus's own errors as the last of a stream that has begun."""
        write = error_element if self.asked.as_array else error_event
        return write(error, request_id)


_PATHS = MappingProxyType(
    {Operation.CHAT: Method.GENERATE.path, Operation.EMBEDDINGS: Method.EMBED.path}
)
_BRIDGE = GeminiBridge()

GEMINI = Gemini(Asked(Method.GENERATE, None, as_array=False))  # for what no path was read of


def dialect_of(request: GeminiRequest) -> Gemini:
    """The dialect that a request came in by."""
    return Gemini(Asked(request.method, request.model, request.as_array))


def dialect_at(path: str, query: str = "") -> tuple[Gemini, Operation] | None:
    """Dialect and operation of a path, published or asked for; None for one of no request.

    Raises:
        AuthenticationError: the query has a key.
        InvalidRequestError: the query is not valid.
    """
    asked = read_path(path, query)
    if asked is None:
        return None
    is_embedding = asked.method in _EMBEDDINGS
    return Gemini(asked), Operation.EMBEDDINGS if is_embedding else Operation.CHAT
