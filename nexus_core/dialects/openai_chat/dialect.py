"""OpenAI's API as a dialect: chat completions, with legacy completions and embeddings beside it."""

from __future__ import annotations

from collections.abc import Callable

from nexus_core.dialects.base.bridge import Bridge
from nexus_core.dialects.base.stream import StreamReader
from nexus_core.dialects.error_report import read_error_body, read_wait
from nexus_core.dialects.hub.prompt import read_prompt
from nexus_core.dialects.openai_chat.answers import (
    as_error,
    as_stream,
    read_answer,
    text_length,
    write_error,
)
from nexus_core.dialects.openai_chat.errors import error_body, error_event
from nexus_core.dialects.openai_chat.request import PATHS, read_request
from nexus_core.dialects.openai_chat.stream import ChatStreamReader
from nexus_core.dialects.reading.body import rename_model
from nexus_core.dialects.request import Request
from nexus_core.dialects.sse import COMMENT, EVENT_END, MEDIA_TYPE
from nexus_core.errors import NexusError
from nexus_core.types import DialectName


class OpenAIChat:
    """The wire format of OpenAI's API and of every server that is compatible with it."""

    name = DialectName.OPENAI_CHAT
    paths = PATHS
    stream_type = MEDIA_TYPE
    event_end = EVENT_END
    passed_headers: frozenset[bytes] = frozenset()
    request_id_header: bytes | None = None
    bridge: Bridge | None = None  # the hub's format is this one

    read_request = staticmethod(read_request)
    read_prompt = staticmethod(read_prompt)
    write_passed = staticmethod(rename_model)

    read_answer = staticmethod(read_answer)
    text_bytes = staticmethod(text_length)
    as_stream = staticmethod(as_stream)

    read_error = staticmethod(read_error_body)
    read_wait = staticmethod(read_wait)
    as_error = staticmethod(as_error)
    write_error = staticmethod(write_error)
    error = staticmethod(error_body)
    error_event = staticmethod(error_event)

    @staticmethod
    def status(error: NexusError) -> int:
        """The error's own."""
        return error.status

    @staticmethod
    def ping(request: Request) -> bytes:
        """A comment."""
        return COMMENT

    @staticmethod
    def read_stream(
        request: Request, clean: Callable[[str], str], *, hides_usage: bool
    ) -> StreamReader:
        """Create the reader of one streamed answer."""
        return ChatStreamReader(
            choices=request.demand.choices, hides_usage=hides_usage, clean=clean
        )


OPENAI_CHAT = OpenAIChat()
