"""OpenAI's Responses API as a dialect of clients; to backends of other formats by its bridge.

What reads and writes it is imported with the first request: most starts see none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from nexus_core.dialects.base.bridge import AnswerWriter, Bridge, HubRequest, HubTarget
from nexus_core.dialects.base.dialect import InnerStream
from nexus_core.dialects.base.report import AnswerReading, AskedWait, ErrorReport
from nexus_core.dialects.base.stream import StreamReader
from nexus_core.dialects.error_report import read_error_body, read_wait
from nexus_core.dialects.reading.body import as_streaming
from nexus_core.dialects.request import Request
from nexus_core.dialects.sse import COMMENT, EVENT_END, MEDIA_TYPE
from nexus_core.errors import NexusError
from nexus_core.types import DialectName, Operation, PromptParts

PATH = "/v1/responses"


class ResponsesBridge:
    """Between the Responses API and chat completions. What translates is imported when it does."""

    def to_hub(self, request: Request, target: HubTarget) -> HubRequest:
        """Translate a request into a chat request."""
        from nexus_core.dialects.openai_responses.bridge.to_hub import to_hub

        return to_hub(request, target)

    def writer(self, request: Request, model: str) -> AnswerWriter:
        """Create the writer of its answer."""
        from nexus_core.dialects.openai_responses.bridge.writer import ResponseWriter

        return ResponseWriter(request, model)


class Responses:
    """The wire format of OpenAI's Responses API, and of servers that are compatible with it."""

    name = DialectName.RESPONSES
    paths: Mapping[Operation, str] = MappingProxyType({Operation.CHAT: PATH})
    stream_type = MEDIA_TYPE
    event_end = EVENT_END
    # Codex says by the second that its tools come as an item of the input.
    passed_headers = frozenset({b"openai-beta", b"x-openai-internal-codex-responses-lite"})
    request_id_header: bytes | None = b"x-request-id"
    bridge: Bridge | None = ResponsesBridge()

    @staticmethod
    def read_request(operation: Operation, body: bytes, request_id: str = "") -> Request:
        """Parse and validate a client's request body."""
        from nexus_core.dialects.openai_responses.request import read_request

        return read_request(operation, body, request_id)

    @staticmethod
    def read_prompt(request: Request) -> PromptParts:
        """Texts, images and tools of a request's prompt, as the hub's format has them."""
        from nexus_core.dialects.hub.prompt import prompt_of
        from nexus_core.dialects.openai_responses.bridge.to_hub import prompt_fields

        return prompt_of(prompt_fields(request))

    @staticmethod
    def write_passed(request: Request, model: str) -> bytes:
        """The body for a server that speaks this format: with its name of the model."""
        from nexus_core.dialects.openai_responses.passed import write_passed

        return write_passed(request, model)

    # Answers ----------------------------------------------------------------------------------

    @staticmethod
    def read_answer(request: Request, body: bytes, *, wants_usage: bool = True) -> AnswerReading:
        """Read a whole answer that came with a 2xx status."""
        from nexus_core.dialects.openai_responses.native import read_answer

        return read_answer(body, wants_usage=wants_usage)

    @staticmethod
    def text_bytes(body: bytes, /) -> int:
        """Bytes of the model's text in a whole answer."""
        from nexus_core.dialects.openai_responses.native import text_length

        return text_length(body)

    @staticmethod
    def as_stream(request: Request, body: bytes) -> bytes:
        """Turn a whole answer into the stream the client requested."""
        from nexus_core.dialects.openai_responses.native import as_stream

        return as_stream(body)

    @staticmethod
    def ping(request: Request) -> bytes:
        """A comment."""
        return COMMENT

    @staticmethod
    def inner_stream(request: Request) -> InnerStream:
        """The request as one for a stream: its last event is the whole response."""
        from nexus_core.dialects.openai_responses.collected import ResponseCollector

        return InnerStream(as_streaming(request), ResponseCollector)

    @staticmethod
    def read_stream(
        request: Request, clean: Callable[[str], str], *, hides_usage: bool
    ) -> StreamReader:
        """Create the reader of one streamed answer; its usage is never hidden."""
        from nexus_core.dialects.openai_responses.reader import ResponseStreamReader

        return ResponseStreamReader(clean)

    # Errors -----------------------------------------------------------------------------------

    @staticmethod
    def read_error(body: bytes) -> ErrorReport:
        """Read the error in the body of an answer with an error status."""
        return read_error_body(body)

    @staticmethod
    def read_wait(body: bytes) -> AskedWait:
        """Read the retry delays stated in an error's body."""
        return read_wait(body)

    @staticmethod
    def as_error(body: bytes, words: str, status: int) -> bytes:
        """Body of an error answer for an error that came with a 2xx status."""
        from nexus_core.dialects.openai_responses.errors import as_error

        return as_error(body, words, status)

    @staticmethod
    def write_error(words: str, kind: str) -> bytes:
        """Write a provider's error; `kind` is its own type."""
        from nexus_core.dialects.openai_responses.errors import write_error

        return write_error(words, kind)

    @staticmethod
    def status(error: NexusError) -> int:
        """HTTP status by which the format's clients know what to do."""
        from nexus_core.dialects.openai_responses.errors import status_of

        return status_of(error)

    @staticmethod
    def error(error: NexusError, request_id: str = "") -> bytes:
        """Write one of Nexus's own errors as a response body."""
        from nexus_core.dialects.openai_responses.errors import error_body

        return error_body(error)

    @staticmethod
    def error_event(error: NexusError, request_id: str = "") -> bytes:
        """Write one of Nexus's own errors as an event; see `error_event_after`."""
        from nexus_core.dialects.openai_responses.errors import error_event_after

        return error_event_after(error, request_id, b"", b"")

    @staticmethod
    def error_event_after(error: NexusError, request_id: str, first: bytes, last: bytes) -> bytes:
        """Write one of Nexus's own errors as the event that ends a stream."""
        from nexus_core.dialects.openai_responses.errors import error_event_after

        return error_event_after(error, request_id, first, last)


RESPONSES = Responses()
