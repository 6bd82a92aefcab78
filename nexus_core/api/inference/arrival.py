"""An inference request as it arrives: what is known of it before its body is read."""

from __future__ import annotations

import os
import time
from random import Random

from nexus_core.api.asgi.messages import RawHeaders
from nexus_core.api.auth import Caller
from nexus_core.dialects.inbound import Inbound

_bits = Random()  # noqa: S311 - an id is unique, and no secret; the system's own take longer
os.register_at_fork(after_in_child=_bits.seed)


def new_id() -> str:
    """The id of a new request."""
    return _bits.getrandbits(64).to_bytes(8, "big").hex()


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
