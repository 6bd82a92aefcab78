"""Inbound API paths: the wire format (dialect) and operation of each."""

from __future__ import annotations

from typing import NamedTuple

from nexus_core.dialects.anthropic.inbound.dialect import MESSAGES
from nexus_core.dialects.base import Dialect
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


def dialect_named(name: DialectName) -> Dialect:
    """The dialect of a request that came in.

    Raises:
        KeyError: no client may speak it.
    """
    return _BY_NAME[name]


def operation_at(path: str) -> Operation:
    """Operation of an inbound path; chat for a path that only another Nexus version knows."""
    known = INBOUND.get(path)
    return Operation.CHAT if known is None else known.operation


def dialect_of(path: str) -> Dialect:
    """Dialect of the answers and errors at a path; OpenAI's for a path of no inbound API."""
    known = INBOUND.get(path)
    if known is not None:
        return known.dialect
    if path.startswith(f"{MESSAGES_PATH}/"):  # count_tokens, and what may follow
        return MESSAGES
    if path.startswith(f"{RESPONSES_PATH}/"):
        return RESPONSES
    return ollama.at_path(path) if path.startswith("/api/") else DEFAULT
