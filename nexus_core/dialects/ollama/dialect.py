"""Ollama's API as a dialect of clients. What reads and writes it is imported when it does.

Four paths, two of them for one operation, are four dialects with one name: a path says what its
body looks like. https://docs.ollama.com/api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from nexus_core.dialects.base.bridge import AnswerWriter, Bridge, HubRequest, HubTarget
from nexus_core.dialects.base.report import AnswerReading, AskedWait, ErrorReport
from nexus_core.dialects.base.stream import StreamReader
from nexus_core.dialects.reading.body import rename_model
from nexus_core.dialects.request import Request
from nexus_core.errors import NexusError, UnsupportedFieldsError
from nexus_core.types import DialectName, Operation, PromptParts

MEDIA_TYPE = "application/x-ndjson"


class OllamaBridge:
    """Between Ollama's API and the hub's. What translates is imported when it does."""

    def to_hub(self, request: Request, target: HubTarget) -> HubRequest:
        """Translate a request into one of the hub's: chat, completion or embeddings."""
        from nexus_core.dialects.ollama.bridge.to_hub import to_hub

        return to_hub(request, target)

    def writer(self, request: Request, model: str) -> AnswerWriter:
        """Create the writer of its answer."""
        from nexus_core.dialects.ollama.bridge.writer import OllamaWriter

        return OllamaWriter(request)


class OllamaDialect:
    """The wire format at one path of Ollama's API."""

    name = DialectName.OLLAMA
    stream_type = MEDIA_TYPE
    event_end = b"\n"
    passed_headers: frozenset[bytes] = frozenset()
    request_id_header: bytes | None = None
    bridge: Bridge | None = OllamaBridge()

    def __init__(self, path: str, operation: Operation) -> None:
        self.path = path
        self.paths: Mapping[Operation, str] = MappingProxyType({operation: path})

    # Requests ---------------------------------------------------------------------------------

    def read_request(self, operation: Operation, body: bytes, request_id: str = "") -> Request:
        """Parse and validate a client's request body; unknown fields pass."""
        from nexus_core.dialects.ollama.request import read_request

        return read_request(self.path, body, request_id)

    def read_prompt(self, request: Request) -> PromptParts:
        """Texts, images and tools of a request's prompt, as the hub's format has them."""
        from nexus_core.dialects.ollama.bridge.to_hub import read_prompt

        return read_prompt(request)

    def ping(self, request: Request) -> bytes:
        """Nothing: there are no comments, and a line more would be an answer."""
        return b""

    def write_passed(self, request: Request, model: str) -> bytes:
        """The body for a server that speaks this format: with its name of the model."""
        return rename_model(request, model)

    # Answers ----------------------------------------------------------------------------------

    def read_answer(
        self, request: Request, body: bytes, *, wants_usage: bool = True
    ) -> AnswerReading:
        """Read a whole answer that came with a 2xx status."""
        from nexus_core.dialects.ollama.native import read_answer

        return read_answer(body, wants_usage=wants_usage)

    def text_bytes(self, body: bytes, /) -> int:
        """Bytes of the model's text in a whole answer."""
        from nexus_core.dialects.ollama.native import text_length

        return text_length(body)

    def as_stream(self, request: Request, body: bytes) -> bytes:
        """A whole answer is a stream of one line."""
        return body.strip() + b"\n"

    def read_stream(
        self, request: Request, clean: Callable[[str], str], *, hides_usage: bool
    ) -> StreamReader:
        """Create the reader of one streamed answer; its usage is never hidden."""
        from nexus_core.dialects.ollama.reader import LineReader

        return LineReader(clean)

    # Errors -----------------------------------------------------------------------------------

    def read_error(self, body: bytes) -> ErrorReport:
        """Read the error in the body of an answer with an error status."""
        from nexus_core.dialects.error_report import read_error_body

        return read_error_body(body)

    def read_wait(self, body: bytes) -> AskedWait:
        """Ollama states no delays in its bodies."""
        return AskedWait()

    def as_error(self, body: bytes, words: str, status: int) -> bytes:
        """Body of an error answer for an error that came with a 2xx status; unchanged if valid."""
        from nexus_core.dialects.ollama.errors import as_error

        return as_error(body, words)

    def write_error(self, words: str, kind: str) -> bytes:
        """Write a provider's error; the format has no place for its kind."""
        from nexus_core.dialects.ollama.errors import envelope

        return envelope(words)

    @staticmethod
    def status(error: NexusError) -> int:
        """Ollama has no 422: what a backend can't do is a bad request."""
        return 400 if isinstance(error, UnsupportedFieldsError) else error.status

    def error(self, error: NexusError, request_id: str = "") -> bytes:
        """Write one of Nexus's own errors as a response body."""
        from nexus_core.dialects.ollama.errors import error_body

        return error_body(error)

    def error_event(self, error: NexusError, request_id: str = "") -> bytes:
        """Write one of Nexus's own errors as a line, for a stream that has begun."""
        from nexus_core.dialects.ollama.errors import envelope

        return envelope(error.message) + b"\n"


CHAT = OllamaDialect("/api/chat", Operation.CHAT)
GENERATE = OllamaDialect("/api/generate", Operation.CHAT)
EMBED = OllamaDialect("/api/embed", Operation.EMBEDDINGS)
EMBEDDINGS = OllamaDialect("/api/embeddings", Operation.EMBEDDINGS)  # before /api/embed

OLLAMA: tuple[OllamaDialect, ...] = (CHAT, GENERATE, EMBED, EMBEDDINGS)

_BY_PATH = {dialect.path: dialect for dialect in OLLAMA}


def at_path(path: str) -> OllamaDialect:
    """The dialect of a request's path; of errors at any other of Ollama's, the first."""
    return _BY_PATH.get(path, CHAT)
