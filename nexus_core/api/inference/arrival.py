"""An inference request as it arrives: what is known of it before its body is read."""

from __future__ import annotations

import os
import time

from nexus_core.api.asgi.messages import RawHeaders
from nexus_core.api.auth import Caller
from nexus_core.dialects.inbound import Inbound


def new_id() -> str:
    """The id of a new request."""
    return os.urandom(8).hex()


class Arrival:
    """An inference request whose head is in, and which was let in."""

    __slots__ = ("asked", "caller", "headers", "path", "received", "request_id")

    def __init__(
        self, asked: Inbound, path: str, headers: RawHeaders, caller: Caller, request_id: str
    ) -> None:
        self.asked = asked
        self.path = path
        self.headers = headers  # with lower-case names
        self.caller = caller
        self.request_id = request_id
        self.received = time.monotonic()
