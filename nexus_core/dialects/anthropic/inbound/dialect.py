"""Anthropic's Messages API as a dialect of clients; to backends of other formats by its bridge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from nexus_core.dialects.anthropic.inbound.errors import (
    as_error,
    error_body,
    error_event,
    write_error,
)
from nexus_core.dialects.anthropic.inbound.native import as_stream, read_answer, text_length
from nexus_core.dialects.anthropic.inbound.reader import MessageStreamReader
from nexus_core.dialects.anthropic.inbound.request import PATH, read_request
from nexus_core.dialects.base.bridge import AnswerWriter, Bridge, HubRequest, HubTarget
from nexus_core.dialects.base.dialect import InnerStream
from nexus_core.dialects.base.stream import StreamReader
from nexus_core.dialects.error_report import read_error_body, read_wait
from nexus_core.dialects.hub.prompt import prompt_of
from nexus_core.dialects.reading.body import as_streaming
from nexus_core.dialects.request import Request
from nexus_core.dialects.sse import EVENT_END, MEDIA_TYPE
from nexus_core.errors import NexusError, UnsupportedFieldsError
from nexus_core.types import DialectName, Operation, PromptParts

_PING = b'event: ping\ndata: {"type": "ping"}\n\n'


class MessagesBridge:
    """Between the Messages API and chat completions. What translates is imported when it does."""

    def to_hub(self, request: Request, target: HubTarget) -> HubRequest:
        """Translate a request into a chat request."""
        from nexus_core.dialects.anthropic.inbound.bridge.to_hub import to_hub

        return to_hub(request, target)

    def writer(self, request: Request, model: str) -> AnswerWriter:
        """Create the writer of its answer."""
        from nexus_core.dialects.anthropic.inbound.bridge.writer import MessageWriter

        return MessageWriter(request, model)


class Messages:
    """The wire format of Anthropic's API, and of every server that is compatible with it."""

    name = DialectName.ANTHROPIC
    paths: Mapping[Operation, str] = MappingProxyType({Operation.CHAT: PATH})
    stream_type = MEDIA_TYPE
    event_end = EVENT_END
    # https://platform.claude.com/docs/en/api/versioning and .../beta-headers
    passed_headers = frozenset({b"anthropic-version", b"anthropic-beta"})
    request_id_header: bytes | None = b"request-id"
    bridge: Bridge | None = MessagesBridge()

    read_request = staticmethod(read_request)

    read_answer = staticmethod(read_answer)
    text_bytes = staticmethod(text_length)
    as_stream = staticmethod(as_stream)

    read_error = staticmethod(read_error_body)
    read_wait = staticmethod(read_wait)
    as_error = staticmethod(as_error)
    write_error = staticmethod(write_error)
    error = staticmethod(error_body)
    error_event = staticmethod(error_event)

    def read_prompt(self, request: Request) -> PromptParts:
        """Texts, images and tools of a request's prompt, as the hub's format has them."""
        from nexus_core.dialects.anthropic.inbound.bridge.to_hub import prompt_fields

        return prompt_of(prompt_fields(request))

    def write_passed(self, request: Request, model: str) -> bytes:
        """The body for a server that is not Anthropic's."""
        from nexus_core.dialects.anthropic.inbound.passed import write_local

        return write_local(request, model)

    @staticmethod
    def status(error: NexusError) -> int:
        """Anthropic has no 422: what a backend can't do is an invalid request."""
        return 400 if isinstance(error, UnsupportedFieldsError) else error.status

    @staticmethod
    def inner_stream(request: Request) -> InnerStream:
        """The request as one for a stream: those tell all that a whole message has."""
        from nexus_core.dialects.anthropic.inbound.collected import MessageCollector

        return InnerStream(as_streaming(request), MessageCollector)

    @staticmethod
    def ping(request: Request) -> bytes:
        """The event that Anthropic sends, too."""
        return _PING

    @staticmethod
    def read_stream(
        request: Request, clean: Callable[[str], str], *, hides_usage: bool
    ) -> StreamReader:
        """Create the reader of one streamed answer; its usage is never hidden."""
        return MessageStreamReader(clean)


MESSAGES = Messages()
