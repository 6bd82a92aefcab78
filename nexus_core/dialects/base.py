"""What a wire format does for everybody else: the Dialect protocol. Pure: bytes in, values out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from nexus_core.dialects.request import Request
from nexus_core.types import DialectName, Operation


class Dialect(Protocol):
    """A wire format that clients speak."""

    @property
    def name(self) -> DialectName: ...

    @property
    def paths(self) -> Mapping[Operation, str]:
        """Where its API publishes what can be asked for in it."""
        ...

    def read_request(self, operation: Operation, body: bytes, request_id: str = "") -> Request:
        """Read and check what a client sent.

        Raises:
            InvalidRequestError: it is not what the API takes; names the field.
        """
        ...
