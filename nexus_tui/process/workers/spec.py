"""What a worker is given at its start: over a socket that also tells it when its supervisor ends.

The configuration holds keys: it goes through this socket, never into arguments or files.
"""

from __future__ import annotations

import argparse
import pickle
import socket
import struct
from dataclasses import dataclass, field

from nexus_core.api.siblings.handover import Handover
from nexus_core.config.schema import Config
from nexus_core.worker import WorkerPlace

_LENGTH = struct.Struct("=I")
READY = b"r"  # from the worker: it serves


@dataclass(frozen=True, slots=True)
class Spec:
    """What a worker runs with."""

    place: WorkerPlace
    config: Config = field(repr=False)
    options: argparse.Namespace = field(repr=False)  # of the command line
    log_level: str
    log_format: str
    listener: int  # descriptors that it inherits
    board: int
    handover: Handover | None = field(repr=False)  # from a worker that serves; None at the start


def send_spec(channel: socket.socket, spec: Spec) -> None:
    """Write it into a new socket, whose buffer it may pass: the reader must be there."""
    data = pickle.dumps(spec, pickle.HIGHEST_PROTOCOL)
    channel.sendall(_LENGTH.pack(len(data)) + data)


def receive_spec(channel: socket.socket) -> Spec:
    """What `send_spec` wrote.

    Raises:
        EOFError: the supervisor is gone.
    """
    (length,) = _LENGTH.unpack(_read(channel, _LENGTH.size))
    spec: Spec = pickle.loads(_read(channel, length))  # noqa: S301 - our own parent wrote it
    return spec


def _read(channel: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = channel.recv(size - len(data))
        if not part:
            raise EOFError("the supervisor is gone")
        data += part
    return data
