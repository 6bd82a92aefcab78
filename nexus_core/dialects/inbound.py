"""Which wire format and which operation a path asks for: every path of every inbound API."""

from __future__ import annotations

from typing import NamedTuple

from nexus_core.dialects.base import Dialect
from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT
from nexus_core.types import Operation


class Inbound(NamedTuple):
    """What a client asks for by a path."""

    dialect: Dialect
    operation: Operation


DEFAULT: Dialect = OPENAI_CHAT  # in which is told what no inbound API was asked for

DIALECTS: tuple[Dialect, ...] = (OPENAI_CHAT,)  # that clients may speak

CHAT_PATH = OPENAI_CHAT.paths[Operation.CHAT]

INBOUND = {
    path: Inbound(dialect, operation)
    for dialect in DIALECTS
    for operation, path in dialect.paths.items()
}


def operation_at(path: str) -> Operation:
    """The operation a path asks for; chat where only another version of Nexus knows the path."""
    known = INBOUND.get(path)
    return Operation.CHAT if known is None else known.operation


def dialect_of(path: str) -> Dialect:
    """In whose format what is asked at a path is told"""
    known = INBOUND.get(path)
    return DEFAULT if known is None else known.dialect
