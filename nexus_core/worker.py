"""One of several workers on one port: its number, its siblings, and the board they share."""

from __future__ import annotations

import mmap
import os
import socket
import sys
import tempfile
from pathlib import Path
from struct import Struct

import msgspec

TURN_SECONDS = 0.003  # for a worker with fewer connections to take the next one

_MOST_WAITS = 4

_COUNT = Struct("=Q")
_NOBODY = 2**64 - 1  # on the board, in place of a worker that isn't there


class WorkerPlace(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker knows of the others."""

    number: int  # 1 is the first
    count: int  # of workers
    supervisor: int  # its process id
    folder: Path  # of the control sockets, for their owner only
    journal: int | None = None  # the descriptor of its ledger's journal
    # A month, and what the worker before it had spent in it, by account, at its end.
    spent: tuple[str, dict[str, int]] | None = None

    @property
    def control(self) -> Path:
        """The control socket of this worker."""
        return control_socket(self.folder, self.number)

    @property
    def hub(self) -> Path:
        """The supervisor's socket: what it is asked there, it asks all workers."""
        return hub_socket(self.folder)


def control_socket(folder: Path, number: int) -> Path:
    """Where the worker of this number takes what only its supervisor asks."""
    return folder / f"{number}.sock"


def hub_socket(folder: Path) -> Path:
    """Where the supervisor takes what workers pass on."""
    return folder / "hub.sock"


def listen_at(path: Path) -> socket.socket:
    """A listening unix socket, in a folder that is its owner's alone."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(128)
    listener.setblocking(False)
    return listener


class Board:
    """How many connections each worker has, in memory that all of them share.

    Whoever wakes first would take all new connections, and the others nothing.
    """

    def __init__(self, descriptor: int, count: int) -> None:
        """The descriptor of `make_board`; it can be closed afterwards."""
        self._memory = mmap.mmap(descriptor, _COUNT.size * count)
        self._count = count

    def note(self, number: int, connections: int) -> None:
        """So many connections has the worker of this number."""
        _COUNT.pack_into(self._memory, (number - 1) * _COUNT.size, connections)

    def leave(self, number: int) -> None:
        """The worker of this number takes none."""
        self.note(number, _NOBODY)

    def fewest(self) -> int:
        """The connections of the worker that has fewest."""
        return min(self._counts())

    @property
    def serving(self) -> int:
        """How many workers take connections."""
        return sum(count != _NOBODY for count in self._counts())

    def _counts(self) -> list[int]:
        return [count for (count,) in _COUNT.iter_unpack(self._memory[:])]

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()


class Share:
    """One worker's line of the board."""

    def __init__(self, board: Board, number: int) -> None:
        self.board = board
        self._number = number
        self._waits = 0  # for a worker with fewer connections to take the next one

    def note(self, connections: int) -> None:
        """So many connections are here."""
        self.board.note(self._number, connections)

    def leave(self) -> None:
        """No more are taken here."""
        self.board.leave(self._number)

    def has_turn(self, connections: int) -> bool:
        """Whether the next connection is to be taken here, where so many are.

        False where another worker has fewer; asked again TURN_SECONDS later, and that as often as
        there are more here, that one is late.
        """
        if self._waits < min(connections - self.board.fewest(), _MOST_WAITS):
            self._waits += 1
            return False
        self._waits = 0
        self.note(connections + 1)
        return True


def make_board(count: int) -> int:
    """The descriptor of the memory for a board, which child processes inherit by its number."""
    memory = shared_memory(_COUNT.size * count)
    os.pwrite(memory, _COUNT.pack(_NOBODY) * count, 0)
    return memory


def shared_memory(size: int) -> int:
    """The descriptor of memory that several processes map, and that outlives each of them.

    Where the system has it, no file is behind it: a page that is on its way to a disk would hold
    up whoever writes to it.
    """
    if sys.platform == "linux":
        memory = os.memfd_create("nexus")
    else:
        with tempfile.TemporaryFile(buffering=0) as file:
            memory = os.dup(file.fileno())
    os.ftruncate(memory, size)
    return memory
