"""Inbound API paths: the wire format (dialect) and operation of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nexus_core.dialects.anthropic.inbound.dialect import MESSAGES
from nexus_core.dialects.base.dialect import Dialect
from nexus_core.dialects.ollama import dialect as ollama
from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT
from nexus_core.dialects.openai_responses.dialect import RESPONSES
from nexus_core.types import DialectName, Operation


class Inbound(NamedTuple):
    """Dialect and operation of one inbound path."""

    dialect: Dialect
    operation: Operation


DEFAULT: Dialect = OPENAI_CHAT  # for errors on paths of no inbound API

# Supported for clients.
DIALECTS: tuple[Dialect, ...] = (OPENAI_CHAT, MESSAGES, RESPONSES, *ollama.OLLAMA)

CHAT_PATH = OPENAI_CHAT.paths[Operation.CHAT]
MESSAGES_PATH = MESSAGES.paths[Operation.CHAT]
RESPONSES_PATH = RESPONSES.paths[Operation.CHAT]

INBOUND = {
    path: Inbound(dialect, operation)
    for dialect in DIALECTS
    for operation, path in dialect.paths.items()
}


_BY_NAME = {dialect.name: dialect for dialect in DIALECTS}


# Google's API has the model's name in its paths: as they are published. Its dialect is imported
# when one of them is asked for.
_MODEL = "{model}"
GEMINI_PATH = f"/v1beta/models/{_MODEL}:generateContent"
GEMINI_PATHS = (
    GEMINI_PATH,
    f"/v1beta/models/{_MODEL}:streamGenerateContent",
    f"/v1beta/models/{_MODEL}:embedContent",
    f"/v1beta/models/{_MODEL}:batchEmbedContents",
)
AS_EVENTS = "?alt=sse"  # of a stream of Google's that is none of JSON elements
_GEMINI_ROOTS = ("/v1beta/models/", "/v1/models/")

PATHS = (*INBOUND, *GEMINI_PATHS)  # of every inbound API, as they are published

# What clients ask beside those, first of all or to look whether the address is right.
_ASKED_FIRST = ("/v1/models", f"{MESSAGES_PATH}/count_tokens", "/api/tags", "/api/version")
_ROOTS = ("/v1", "/v1beta")  # that one client's base URL ends with, and another's does not


def inbound_at(path: str, query: str = "") -> Inbound | None:
    """Dialect and operation of a path, published or asked for; None for one of no inbound API.

    Args:
        path: decoded; in Google's API with the model's name, or `{model}` where the body has it.
        query: as it came; only Google's API has one that matters.

    Raises:
        AuthenticationError: the query has a key.
        InvalidRequestError: the query is not valid.
    """
    known = INBOUND.get(path)
    if known is not None or not path.startswith(_GEMINI_ROOTS) or ":" not in path:
        return known
    from nexus_core.dialects.gemini.inbound.dialect import dialect_at

    found = dialect_at(path, query)
    return None if found is None else Inbound(*found)


def meant_path(path: str) -> str | None:
    """The published path that a client asks for whose base URL lacks a part, or has one too many.

    OpenAI's clients have `/v1` in their base URL, all others write it themselves.
    """
    below = path[path.find("/", 1) :]  # without the first part
    asked = (*(f"{root}{path}" for root in _ROOTS), below)
    return next((known for one in asked for known in _published(one)), None)


def _published(path: str) -> Iterator[str]:
    if path in INBOUND or path in _ASKED_FIRST:
        yield path
    if path.startswith(_GEMINI_ROOTS):
        yield from (known for known in GEMINI_PATHS if path.endswith(known.partition(_MODEL)[2]))


def inbound_of(endpoint: str) -> Inbound | None:
    """The same of a request that is kept or described: `Request.place`, or a published path."""
    path, _, query = endpoint.rpartition("?")
    return inbound_at(path, query) if f"?{query}" == AS_EVENTS else inbound_at(endpoint)


def place_of(endpoint: str, model: str, *, is_streaming: bool = False) -> str:
    """A published path with the model's name where it has a place for one: `Request.place`."""
    if _MODEL not in endpoint:
        return endpoint
    is_stream = is_streaming and endpoint.endswith(":streamGenerateContent")
    return endpoint.replace(_MODEL, model) + (AS_EVENTS if is_stream else "")


def check_query(path: str, query: str) -> None:
    """Refuse a key in the URL of Google's API, whatever the path is.

    Raises:
        AuthenticationError: there is one.
        InvalidRequestError: the query asks for a form of answer that Google does not have.
    """
    if query and path.startswith("/v1beta/"):
        from nexus_core.dialects.gemini.inbound.paths import read_query

        read_query(query)


def dialect_named(name: DialectName) -> Dialect:
    """The dialect of a request that came in.

    Raises:
        KeyError: no client may speak it.
    """
    return _gemini() if name is DialectName.GEMINI else _BY_NAME[name]


def _gemini() -> Dialect:
    from nexus_core.dialects.gemini.inbound.dialect import GEMINI

    return GEMINI


def operation_at(path: str) -> Operation:
    """Operation of an inbound path; chat for a path that only another Nexus version knows."""
    known = inbound_of(path)
    return Operation.CHAT if known is None else known.operation


def dialect_of(path: str) -> Dialect:
    """Dialect of the answers and errors at a path; OpenAI's for a path of no inbound API."""
    known = INBOUND.get(path)
    if known is not None:
        return known.dialect
    if path.startswith("/v1beta/"):
        return _gemini()
    if path.startswith("/v1/models/"):  # OpenAI's, but for a method of Google's
        counts = path.endswith(":countTokens")
        found = _gemini() if counts else getattr(inbound_at(path), "dialect", None)
        return DEFAULT if found is None else found
    if path.startswith(f"{MESSAGES_PATH}/"):  # count_tokens, and what may follow
        return MESSAGES
    if path.startswith(f"{RESPONSES_PATH}/"):
        return RESPONSES
    return ollama.at_path(path) if path.startswith("/api/") else DEFAULT
